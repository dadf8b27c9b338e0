// A list that is read page by page: its first page anew whenever something else is asked for, and more on demand.

import { attempt } from "./attempt.js";
import { h } from "./dom.js";

export class Paged {
  /** `read(cursor)` gives a page with `cursor` and `has_more`, `rows(page)` its elements; `none` is said of an empty list. */
  constructor(needs, read, rows, none) {
    Object.assign(this, { needs, read, rows });
    /** Answers to an older question than the last are dropped. */
    this.asked = 0;
    this.list = h("ul", { className: "dialog-list", "aria-busy": "true" });
    this.none = h("p", { className: "hint", hidden: true }, none);
    this.more = h("button", { type: "button", className: "word-button", hidden: true, onclick: () => this.load(this.cursor) }, "More");
    this.element = h("div", {}, this.list, this.none, this.more);
  }

  /** From the beginning, in a moment: whoever types asks once. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), 200);
  }

  async load(cursor = null) {
    const mine = ++this.asked;
    const page = await attempt(this.needs, () => this.read(cursor));
    if (mine !== this.asked || !page) return;
    const rows = this.rows(page);
    if (cursor) this.list.append(...rows);
    else this.list.replaceChildren(...rows);
    this.list.removeAttribute("aria-busy");
    this.cursor = page.cursor;
    this.more.hidden = !page.has_more;
    this.none.hidden = this.list.children.length > 0;
    if (cursor) rows[0]?.querySelector("a, button, select, summary")?.focus();
  }
}
