// What the address in the browser names: a conversation, or a message wherever it stands.

/** The conversation in the address, or null. */
export const addressed = () => named("c");

/** The message in the address, or null: where it stands is to be found out. */
export const sought = () => named("m");

/** The address of a message. */
export const placeOf = (message) => `/m/${encodeURIComponent(message)}`;

const named = (kind) => new RegExp(`^/${kind}/([\\w-]+)$`).exec(location.pathname)?.[1] ?? null;

/** Whether a click on a link is for this page: with Ctrl or the middle button it opens a tab as anywhere. */
export const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
