// Where a link from an administrator leads: a new password, set once. The token stands behind the `#`, which no server sees.

import { api } from "./api.js";
import { h } from "./dom.js";
import { field, formOf } from "./form.js";

/** The token in the address, which then no longer holds it; or null. */
export function takeReset() {
  const found = /^#reset=(.+)$/.exec(location.hash)?.[1] ?? null;
  if (found) history.replaceState(null, "", location.pathname);
  return found;
}

/** `done(notice)` is called once the password is set. */
export function resetView(token, done) {
  const box = h("input", { type: "password", name: "password", autocomplete: "new-password", required: true });
  const form = formOf(
    [
      h("img", { src: "/page/icon.svg", alt: "", width: 44, height: 44 }),
      h("h1", {}, "Set a new password"),
      field("New password", box),
    ],
    "Set it",
    async () => {
      await api.reset({ token, password: box.value });
      done("Your password is set. Sign in with it.");
    },
    { className: "sign-in" },
  );
  queueMicrotask(() => box.focus()); // It must be in the page for that.
  return h("main", { className: "alone", id: "main" }, form);
}
