// What a search finds beside titles: messages and texts of files, each with the words around what was looked for.
//
// Asked again whenever the words change. A message opens where it stands, a file as everywhere.

import { isPlain, placeOf } from "./addresses.js";
import { api } from "./api.js";
import { h } from "./dom.js";
import { contentOf } from "./uploads.js";
import { ago, several } from "./words.js";

const PAGE = 20;

export class HitsView {
  /** `act.find(message)`, `act.error(error)`; `changed()` is called whenever something else is shown. */
  constructor(act, changed) {
    this.act = act;
    this.changed = changed;
    this.words = "";
    /** Answers to an older question than the last are dropped. */
    this.asked = 0;
    this.list = h("ul", { className: "hits" });
    this.failure = h("p", { className: "none", hidden: true });
    this.more = h(
      "button",
      { type: "button", className: "word-button", hidden: true, onclick: () => this.load(this.cursor) },
      "More messages and files",
    );
    /** Tells those who do not see the list how long it is. */
    this.told = h("p", { className: "unseen", role: "status" });
    this.shown = h("section", { "aria-label": "Messages and files", hidden: true }, h("h2", {}, "Messages and files"), this.list);
    this.element = h("div", {}, this.shown, this.failure, this.more, this.told);
  }

  /** Whether there is anything to be seen of it. */
  get isEmpty() {
    return this.shown.hidden && this.failure.hidden;
  }

  /** Look for these words from now on; none end the search. */
  look(words) {
    this.words = words;
    if (words) return this.load();
    this.asked++;
    this.put([], null, "");
  }

  async load(cursor = null) {
    const mine = ++this.asked;
    try {
      const page = await api.search({ q: this.words, in: "messages,files", limit: PAGE, cursor });
      if (mine !== this.asked) return;
      const rows = page.hits.map((hit) => this.row(hit));
      const length = rows.length + (cursor ? this.list.children.length : 0);
      this.put(rows, page.cursor, `${several(length, "hit")} in messages and files`, cursor !== null);
    } catch (error) {
      if (mine === this.asked) this.fail(error);
    }
  }

  put(rows, cursor, told, below = false) {
    if (below) this.list.append(...rows);
    else this.list.replaceChildren(...rows);
    this.shown.hidden = this.list.children.length === 0;
    this.failure.hidden = true;
    this.told.textContent = told;
    this.cursor = cursor;
    this.more.hidden = !cursor;
    if (below) rows[0]?.firstChild.focus();
    this.changed();
  }

  fail(error) {
    if (error.status === 401) return this.act.error(error);
    this.put([], null, error.message);
    this.failure.textContent = error.message;
    this.failure.hidden = false;
    this.changed();
  }

  row({ kind, id, title, role, at, snippet, matches }) {
    const who = kind === "file" ? "File" : role === "user" ? "You" : "Answer";
    const head = h(
      "span",
      { className: "hit-head" },
      h("span", { className: "row-title" }, title || "Untitled"),
      h("time", { dateTime: at }, ago(at)),
    );
    const words = h("span", { className: "hit-words" }, h("span", { className: "hit-who" }, `${who}: `), ...marked(snippet, matches));
    const open =
      kind === "file"
        ? { href: contentOf(id), target: "_blank", rel: "noreferrer" }
        : { href: placeOf(id), onclick: (event) => this.follow(event, id) };
    return h("li", {}, h("a", open, head, words));
  }

  /** Links stay links. */
  follow(event, id) {
    if (!isPlain(event)) return;
    event.preventDefault();
    this.act.find(id);
  }
}

/** The text with what matches marked; places are counted in code points. */
export function marked(text, matches = []) {
  const points = Array.from(text);
  const pieces = [];
  let end = 0;
  for (const [from, to] of matches) {
    pieces.push(points.slice(end, from).join(""), h("mark", {}, points.slice(from, to).join("")));
    end = to;
  }
  return [...pieces, points.slice(end).join("")];
}
