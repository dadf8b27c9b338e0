// The list of conversations, newest activity first: search, more on scrolling, and the way to a new one.
//
// Its first page and every change come from the list's stream; what is searched for and what is further down is asked for.
// A search shows conversations here, and what was said in them in `view-hits`, below.

import { isPlain } from "./addresses.js";
import { api } from "./api.js";
import { h, icon, iconButton, oncePerFrame, whenSeen } from "./dom.js";
import { newest, placed, refreshed } from "./rows.js";
import { Shelves } from "./shelves.js";
import { HitsView } from "./view-hits.js";
import { ago } from "./words.js";

export const PAGE = 30;
/** Conversations that a search shows at first: what was said in them stands below. */
const FOUND = 5;

export class ListView {
  /**
   * `act.open(id | null)`, `act.find(message)`, `act.settings(place)`, `act.trash()`, `act.signOut()`, `act.close()`,
   * `act.error(error)`.
   */
  constructor(act, user) {
    this.act = act;
    this.items = [];
    /** Rows by id as the stream told them last, those with a live answer among them. */
    this.known = new Map();
    this.cursor = null;
    this.current = null;
    this.drawSoon = oncePerFrame(() => this.draw());
    /** Answers to an older question than the last are dropped. */
    this.asked = 0;
    this.search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search",
      autocomplete: "off",
      oninput: () => this.searchSoon(),
    });
    this.shelves = new Shelves(() => this.turnTo());
    this.list = h("ul", { className: "conversations" });
    this.more = h(
      "button",
      { type: "button", className: "word-button", hidden: true, onclick: () => this.loadMore() },
      "More",
    );
    this.none = h("p", { className: "none", hidden: true });
    this.hits = new HitsView(act, () => this.drawSoon());
    this.element = h(
      "aside",
      { className: "side", id: "side" },
      this.top(),
      this.searchBox(),
      this.nav(),
      this.account(user),
    );
    this.lookOn = whenSeen(this.scroll, this.more, "200px", () => this.words || this.loadMore());
  }

  top() {
    return h(
      "div",
      { className: "side-top" },
      h(
        "a",
        { className: "brand", href: "/", onclick: (event) => this.follow(event, null) },
        h("img", { src: "/page/icon.svg", alt: "", width: 24, height: 24 }),
        "Trialogue",
      ),
      iconButton("close", "Close the list", () => this.act.close(), { className: "icon-button side-close" }),
      h(
        "a",
        { className: "word-button new", href: "/", onclick: (event) => this.follow(event, null) },
        icon("plus"),
        "New",
      ),
    );
  }

  searchBox() {
    return h(
      "div",
      { className: "search" },
      icon("search"),
      h("label", { htmlFor: "search", className: "unseen" }, "Search conversations, messages and files"),
      this.search,
      h("label", { htmlFor: "shelf", className: "unseen" }, "Show"),
      this.shelves.element,
    );
  }

  nav() {
    this.scroll = h(
      "nav",
      { className: "side-list", "aria-label": "Conversations" },
      this.list,
      this.none,
      this.more,
      this.hits.element,
    );
    return this.scroll;
  }

  account(user) {
    this.user = user;
    this.avatar = h("span", { className: "avatar", "aria-hidden": "true" });
    this.name = h("span", { className: "account-name" });
    this.drawAccount();
    return h(
      "div",
      { className: "account" },
      this.avatar,
      this.name,
      iconButton("gear", "Account and settings", () => this.act.settings("account")),
      iconButton("trash", "Trash", () => this.act.trash()),
      iconButton("leave", "Sign out", () => this.act.signOut()),
    );
  }

  drawAccount() {
    const { name, email } = this.user;
    this.avatar.textContent = (name || email).trim().charAt(0).toUpperCase();
    this.name.textContent = name || email;
    this.name.title = email;
  }

  /** Links stay links. */
  follow(event, id) {
    if (!isPlain(event)) return;
    event.preventDefault();
    this.act.open(id);
  }

  select(id) {
    this.current = id;
    for (const link of this.list.querySelectorAll("a")) mark(link, link.dataset.id === id);
  }

  searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lookFor(), 200);
  }

  lookFor() {
    this.hits.look(this.words);
    return this.refresh(false);
  }

  // --- what is shown -----------------------------------------------------------------------------------------------

  /** The folders that are known from the rows that were seen. */
  folders() {
    const rows = [...this.known.values(), ...this.items];
    return [...new Set(rows.filter((row) => row.folder && !row.deleted_at).map((row) => row.folder))].sort();
  }

  /** [id, title] of the rows that were seen. */
  titles() {
    return [...this.items, ...this.known.values()].map(({ id, title }) => [id, title || "Untitled"]);
  }

  turnTo() {
    this.items = [];
    this.cursor = null;
    return this.refresh();
  }

  get words() {
    return this.search.value.trim();
  }

  /** An event of the list's stream. */
  take(type, value) {
    if (type === "snapshot") this.begin(value);
    else if (type === "conversation.changed") this.change(value.conversation);
    else if (type === "conversation.purged") this.forget(value.conversation);
    this.drawSoon();
  }

  begin({ conversations, running, cursor }) {
    const more = this.items.length > conversations.length;
    this.known = new Map([...conversations, ...running].map((row) => [row.id, row]));
    // What is shown beyond the first page, or was searched for, is asked for again.
    if (this.words || more || this.shelves.current !== "all") return this.refresh();
    this.asked++;
    this.items = conversations;
    this.cursor = cursor;
  }

  change(row) {
    if (newest(this.known.get(row.id), row) !== row) return;
    this.known.set(row.id, row);
    // A search is not asked again for each change; what it found is kept true.
    this.items = this.words
      ? refreshed(this.items, this.known, this.shelves.holds)
      : placed(this.items, row, this.cursor !== null, this.shelves.holds);
  }

  forget(id) {
    this.known.delete(id);
    this.items = this.items.filter((item) => item.id !== id);
  }

  /** Ask again for what is shown, as one page; or for the first of it. */
  async refresh(again = true) {
    const least = this.words ? FOUND : PAGE;
    const limit = Math.min(Math.max(least, again ? this.items.length : 0), 100);
    await this.ask({ q: this.words, ...this.shelves.wanted, limit }, (page) => page.conversations);
  }

  async loadMore() {
    if (!this.cursor) return;
    const cursor = this.cursor;
    this.cursor = null; // Until the answer is here, nobody asks for the same page again.
    await this.ask({ q: this.words, ...this.shelves.wanted, limit: PAGE, cursor }, (page) => [
      ...this.items,
      ...page.conversations,
    ]);
  }

  async ask(values, merge) {
    const asked = ++this.asked;
    try {
      const page = await api.conversations(values);
      if (asked !== this.asked) return;
      this.items = refreshed(unique(merge(page)), this.known, this.shelves.holds);
      this.cursor = page.has_more ? page.cursor : null;
      this.draw();
      this.lookOn();
    } catch (error) {
      if (asked === this.asked && error.status === 401) this.act.error(error);
    }
  }

  draw() {
    this.more.hidden = !this.cursor;
    this.none.hidden = this.items.length > 0 || !this.hits.isEmpty;
    this.shelves.draw(this.folders());
    this.none.textContent = this.search.value || this.shelves.current !== "all" ? "Nothing found." : "Your conversations will stand here.";
    const focused = document.activeElement?.closest?.(".conversations a")?.dataset.id;
    this.list.replaceChildren(...this.items.map((item) => this.row(item)));
    if (focused) this.list.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  row({ id, title, updated_at, pinned }) {
    const speaking = this.known.get(id)?.run;
    const link = h(
      "a",
      { href: `/c/${id}`, dataset: { id }, onclick: (event) => this.follow(event, id) },
      pinned && h("span", { className: "pinned", title: "Pinned" }, icon("pin"), h("span", { className: "unseen" }, "pinned ")),
      h("span", { className: "row-title" }, title || "Untitled"),
      speaking
        ? h("span", { className: "speaking", title: "Answering" }, h("span", { className: "unseen" }, "answering"))
        : h("time", { dateTime: updated_at }, ago(updated_at)),
    );
    mark(link, id === this.current);
    return h("li", {}, link);
  }
}

function mark(link, current) {
  if (current) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** A conversation that moved up while pages were read may come twice: the first one counts. */
const unique = (items) => [...new Map([...items].reverse().map((item) => [item.id, item])).values()].reverse();
