// The shelves of the list: all, what is pinned, the archive, and a folder each; the one that is shown is chosen here.

import { h } from "./dom.js";
import { standsOn } from "./rows.js";

const ALWAYS = [
  ["all", "All"],
  ["pinned", "Pinned"],
  ["archived", "Archive"],
];
const ASKED = { pinned: { pinned: true }, archived: { archived: true } };

export class Shelves {
  /** `turned()` is called when another one is chosen. */
  constructor(turned) {
    this.element = h("select", { id: "shelf", onchange: turned });
  }

  get current() {
    return this.element.value || "all";
  }

  /** Whether a row stands on the one that is shown. */
  holds = (row) => standsOn(this.current, row);

  /** What to ask the server for. */
  get wanted() {
    const folder = folderOf(this.current);
    return folder === null ? (ASKED[this.current] ?? {}) : { folder };
  }

  /** Offer these folders; the one that is shown stays though it may be empty. */
  draw(folders) {
    const { current, element } = this;
    const names = new Set([...folders, ...(folderOf(current) === null ? [] : [folderOf(current)])]);
    const offered = [...ALWAYS, ...[...names].map((name) => [`in:${name}`, name])];
    if (element.options.length === offered.length && offered.every(([value], at) => element.options[at].value === value)) return;
    element.replaceChildren(...offered.map(([value, label]) => h("option", { value }, label)));
    element.value = current;
  }
}

const folderOf = (shelf) => (shelf.startsWith("in:") ? shelf.slice(3) : null);
