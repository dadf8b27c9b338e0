// What a conversation is, as a pure fold over its events: evolve(state, event) -> state. No I/O and no DOM.
//
// It mirrors the server's own fold, for the end of the active branch only. States are never changed in place, so whoever
// draws one may compare messages by identity. What a fold cannot know from here (another branch became the active one, a
// delta that does not fit) sets `stale`, and the holder takes a fresh snapshot.

/** The state a `snapshot` event describes. */
export function fromSnapshot(snapshot) {
  const state = {
    conversation: snapshot.conversation,
    messages: [],
    /** Message ids by parent, oldest first: the branches that can be switched to. */
    children: {},
    run: snapshot.run,
    inbox: snapshot.inbox,
    hasMore: snapshot.has_more,
    stale: false,
  };
  return prepend(state, snapshot.messages, snapshot.has_more);
}

/** The state with older messages of the branch put before those it has. */
export function prepend(state, older, hasMore) {
  const children = { ...state.children };
  for (const message of older) children[keyOf(message.parent)] = message.siblings ?? [message.id];
  const messages = older.map(({ siblings, ...message }) => whole(message));
  return { ...state, children, hasMore, messages: [...messages, ...state.messages] };
}

/** The ids of a message and those that stand beside it, oldest first. */
export const siblingsOf = (state, message) => state.children[keyOf(message.parent)] ?? [message.id];

const keyOf = (parent) => parent ?? "";

/** The message with what its JSON leaves out because it is usual. */
const whole = (message) => ({ status: "completed", parent: null, ...message });

/** The state after `event`. An event of a type that is not known here changes nothing. */
export function evolve(state, event) {
  const step = STEPS[event.type];
  return step ? step(state, event) : state;
}

const STEPS = {
  "conversation.updated": updated,
  "message.added": (state, { message }) => added(state, whole(message)),
  "message.revised": (state, { message, stale }) => replaced(unsummed(state, stale), message.id, () => whole(message)),
  "context.compacted": (state, { message, summary, stale }) =>
    summary ? replaced(unsummed(state, stale), message, (old) => ({ ...old, summary })) : state,
  "message.removed": removed,
  "head.moved": (state, { head }) => (headOf(state) === head ? state : { ...state, stale: true }),
  "inbox.added": (state, { queued, front }) => ({
    ...state,
    inbox: front ? [queued, ...state.inbox] : [...state.inbox, queued],
  }),
  "inbox.removed": (state, { message }) => ({
    ...state,
    inbox: state.inbox.filter((queued) => queued.message.id !== message),
  }),
  "run.started": started,
  "run.waiting": (state, { reason }) => ({ ...state, run: state.run && { ...state.run, waiting: reason } }),
  "part.started": partStarted,
  "part.delta": delta,
  "part.ended": partEnded,
  "part.added": partAdded,
  "approval.asked": (state, { call, expires_at }) => called(state, call, { state: "asked", expires_at }),
  "approval.given": approvalGiven,
  "tool.called": (state, { call, idempotent }) => called(state, call, { state: "called", idempotent }),
  "tool.returned": toolReturned,
  usage: (state, { message, usage }) => replaced(state, message, (old) => ({ ...old, usage })),
  "run.completed": (state, event) => ended(state, event, { status: "completed", finish_reason: event.finish_reason }),
  "run.incomplete": (state, event) =>
    ended(state, event, { status: "incomplete", finish_reason: limitOf(event.reason) }),
  "run.failed": (state, event) =>
    ended(state, event, { status: "failed", finish_reason: "error", failure: event.failure }),
  "run.cancelled": (state, event) => ended(state, event, { status: "cancelled" }),
  "run.interrupted": (state, event) => ended(state, event, { status: "incomplete", failure: INTERRUPTED }),
};

const INTERRUPTED = {
  code: "interrupted",
  detail: "The server stopped while this was being written. Continue it or try again.",
  retryable: true,
};
const limitOf = (reason) => (reason === "content_filter" ? reason : "length");

const headOf = (state) => state.messages.at(-1)?.id ?? null;

function updated(state, { type, at, deleted, ...changes }) {
  const conversation = { ...state.conversation, ...changes, updated_at: at };
  if (deleted !== undefined) conversation.deleted_at = deleted ? at : null;
  return { ...state, conversation };
}

function added(state, message) {
  const key = keyOf(message.parent);
  const known = state.children[key] ?? [];
  const children = known.includes(message.id) ? state.children : { ...state.children, [key]: [...known, message.id] };
  const place = message.parent ? state.messages.findIndex((other) => other.id === message.parent) : -1;
  // A parent that is not shown: the branch goes on somewhere we cannot see, unless it begins anew or is still empty.
  if (place < 0 && (message.parent || (state.hasMore && state.messages.length))) return { ...state, stale: true };
  return { ...state, children, messages: [...state.messages.slice(0, place + 1), message] };
}

function removed(state, { message, head }) {
  const children = Object.fromEntries(
    Object.entries(state.children).map(([key, ids]) => [key, ids.filter((id) => id !== message)]),
  );
  const place = state.messages.findIndex((other) => other.id === message);
  const left = { ...state, children, messages: place < 0 ? state.messages : state.messages.slice(0, place) };
  return headOf(left) === head ? left : { ...left, stale: true };
}

function started(state, { run, message, model, asked = null, attempt = 1, calls = [] }) {
  // What an earlier attempt left on the message goes, its text stays: this run goes on from there.
  const reset = { finish_reason: null, failure: null, usage: null, summary: null };
  const fresh = { status: "in_progress", model, asked, run, attempt, ...reset };
  const next = replaced(state, message, (old) => ({ ...old, ...fresh }));
  return { ...next, run: { run, message, model, part: null, waiting: null, calls } };
}

/** End the run; a run that is not the live one only marks its message. */
function ended(state, { run, message }, fields) {
  const next = replaced(state, message, (old) => ({ ...old, finish_reason: null, failure: null, ...fields }));
  return next.run?.run === run ? { ...next, run: null } : next;
}

function replaced(state, id, change) {
  const place = state.messages.findLastIndex((message) => message.id === id);
  return place < 0 ? state : { ...state, messages: state.messages.with(place, change(state.messages[place])) };
}

/** The state without the summaries of these messages. */
function unsummed(state, stale = []) {
  return stale.reduce((left, id) => replaced(left, id, (old) => ({ ...old, summary: null })), state);
}

function partStarted(state, { message, part, kind }) {
  const opened = kind === "tool_call" ? { type: kind, call: "", name: "", arguments: "" } : { type: kind, text: "" };
  const next = replaced(state, message, (old) => ({ ...old, parts: [...old.parts.slice(0, part), opened] }));
  return { ...next, run: next.run && { ...next.run, part, waiting: null } };
}

function delta(state, { message, part, offset, text }) {
  const holder = state.messages.findLast((other) => other.id === message);
  if (!holder) return state; // On a branch that is not shown.
  const old = holder.parts[part];
  const field = old?.type === "tool_call" ? "arguments" : "text";
  const written = old && writeAt(old[field], offset, text);
  if (written === undefined) return { ...state, stale: true };
  return replaced(state, message, (one) => ({ ...one, parts: one.parts.with(part, { ...old, [field]: written }) }));
}

function partEnded(state, { message, part, length }) {
  const next = { ...state, run: state.run && { ...state.run, part: null } };
  const held = state.messages.findLast((other) => other.id === message)?.parts[part];
  const text = held && (held.type === "tool_call" ? held.arguments : held.text);
  return text !== undefined && lengthOf(text) !== length ? { ...next, stale: true } : next;
}

function partAdded(state, { message, part, content }) {
  const next = replaced(state, message, (old) => ({ ...old, parts: [...old.parts.slice(0, part), content] }));
  if (!next.run) return next;
  const { call, name } = content;
  const calls = content.type === "tool_call" ? [...(next.run.calls ?? []), { call, name, part }] : next.run.calls;
  return { ...next, run: { ...next.run, part: null, waiting: null, calls } };
}

/** The live run with one of its open calls changed. */
function called(state, call, fields) {
  if (!state.run) return state;
  const calls = (state.run.calls ?? []).map((one) => (one.call === call ? { ...one, ...fields } : one));
  return { ...state, run: { ...state.run, calls } };
}

function approvalGiven(state, { message, call, arguments: edited }) {
  const next = called(state, call, { state: "approved", expires_at: undefined });
  if (edited === undefined) return next;
  const put = (part) => (part.type === "tool_call" && part.call === call ? { ...part, edited } : part);
  return replaced(next, message, (old) => ({ ...old, parts: old.parts.map(put) }));
}

/** A call has its result: it is the next part, and the call is not open any more. */
function toolReturned(state, { message, part, call, text, failed, citations, files }) {
  const more = { ...(failed && { failed }), ...(citations && { citations }), ...(files && { files }) };
  const result = { type: "tool_result", call, text, ...more };
  const next = replaced(state, message, (old) => ({ ...old, parts: [...old.parts.slice(0, part), result] }));
  const calls = next.run?.calls?.filter((one) => one.call !== call);
  return next.run ? { ...next, run: { ...next.run, part: null, calls } } : next;
}

/** `text` put into `old` at `offset`, counted in code points as the server counts; undefined when that leaves a hole. */
export function writeAt(old, offset, text) {
  const length = lengthOf(old);
  if (offset === length) return old + text; // What nearly always happens.
  if (offset > length) return undefined;
  const points = Array.from(old);
  return points.slice(0, offset).join("") + text + points.slice(offset + lengthOf(text)).join("");
}

/** The length in code points; only a surrogate pair makes it differ from `length`. */
export function lengthOf(text) {
  let pairs = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) pairs++;
  }
  return text.length - pairs;
}
