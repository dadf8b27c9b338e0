// One's files: looked at, and removed. Messages that name a removed one stay.

import { api } from "./api.js";
import { h, iconButton, wordButton } from "./dom.js";
import { contentOf } from "./uploads.js";
import { ago, bytes } from "./words.js";

const PAGE = 50;

export function filesView({ failed, signal }) {
  const list = h("ul", { className: "dialog-list" });
  const none = h("p", { className: "hint", hidden: true }, "Files that you attach to messages will stand here.");
  const more = h("button", { type: "button", className: "word-button", hidden: true, onclick: () => load() }, "More");
  let cursor = null;
  const attempt = (work) => work().catch((error) => signal.aborted || failed(error));
  const counted = () => (none.hidden = list.children.length > 0);
  const remove = (file, row) =>
    attempt(async () => {
      await api.removeFile(file.id);
      row.remove();
      counted();
    });
  const load = () =>
    attempt(async () => {
      const page = await api.files({ limit: PAGE, cursor });
      cursor = page.cursor;
      more.hidden = !page.has_more;
      list.append(...page.files.map((file) => fileRow(file, remove)));
      counted();
    });
  load();
  return h("div", {}, list, none, more);
}

function fileRow(file, remove) {
  const ask = iconButton("trash", `Remove ${file.name}`, () => {
    const sure = wordButton("trash", "Remove?", () => remove(file, row), { className: "word-button danger" });
    ask.replaceWith(sure);
    sure.focus();
  });
  const row = h(
    "li",
    {},
    h(
      "div",
      { className: "row-words" },
      h("a", { href: contentOf(file.id), target: "_blank", rel: "noreferrer" }, file.name),
      h("span", { className: "hint" }, [file.media_type, bytes(file.size), ago(file.created_at)].join(" · ")),
    ),
    ask,
  );
  return row;
}
