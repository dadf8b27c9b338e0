// The trash: what was deleted and can still come back, newest first.

import { api } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, iconButton, wordButton } from "./dom.js";
import { ago } from "./words.js";

const PAGE = 50;

export class TrashView {
  /** `restored(id)` is told what came back, `failed(error)` what went wrong. */
  constructor(restored, failed) {
    this.restored = restored;
    this.failed = failed;
    this.cursor = null;
    this.list = h("ul", { className: "dialog-list" });
    this.none = h("p", { className: "none", hidden: true }, "The trash is empty.");
    this.more = h("button", { type: "button", className: "word-button", hidden: true, onclick: () => this.load() }, "More");
    openDialog("Trash", (body, close) => {
      this.close = close;
      body.replaceChildren(this.list, this.none, this.more);
    });
    this.load();
  }

  load() {
    return this.ask(async () => {
      const page = await api.conversations({ trashed: true, limit: PAGE, cursor: this.cursor });
      this.list.append(...page.conversations.map((conversation) => this.row(conversation)));
      this.cursor = page.cursor;
      this.more.hidden = !page.has_more;
      this.none.hidden = this.list.children.length > 0;
    });
  }

  row({ id, title, deleted_at }) {
    const gone = iconButton("trash", "Delete for good", () => this.confirm(id, row, gone));
    const row = h(
      "li",
      {},
      h("span", { className: "row-title" }, title || "Untitled"),
      h("time", { dateTime: deleted_at }, ago(deleted_at)),
      wordButton("again", "Restore", () => this.restore(id)),
      gone,
    );
    return row;
  }

  restore(id) {
    return this.ask(async () => {
      await api.restore(id);
      this.close();
      this.restored(id);
    });
  }

  /** The button asks once more, in words. */
  confirm(id, row, button) {
    const sure = wordButton("trash", "Delete for good?", () =>
      this.ask(async () => {
        await api.purge(id);
        row.remove();
        this.none.hidden = this.list.children.length > 0;
      }),
    );
    button.replaceWith(sure);
    sure.focus();
  }

  async ask(work) {
    try {
      await work();
    } catch (error) {
      this.failed(error);
    }
  }
}
