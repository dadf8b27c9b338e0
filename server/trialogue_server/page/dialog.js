// A box over the page with a heading, a place for what it is about, and the way out of it.

import { h, iconButton } from "./dom.js";

/** Opens the box; `fill(body, close)` puts things into it, again as often as it likes. */
export function openDialog(title, fill) {
  const close = () => dialog.close();
  const body = h("div", { className: "dialog-body" });
  const heading = h("h2", { id: "dialog-title" }, title);
  const dialog = h(
    "dialog",
    { className: "dialog", "aria-labelledby": "dialog-title" },
    h("header", { className: "dialog-head" }, heading, iconButton("close", "Close", close)),
    body,
  );
  // The way back: what opened it has the focus again, which the browser sees to, and nothing of it stays.
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  fill(body, close);
  return dialog;
}
