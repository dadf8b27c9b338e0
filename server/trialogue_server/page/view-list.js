// The list of conversations, newest activity first: search, more on scrolling, and the way to a new one.

import { api } from "./api.js";
import { h, icon, iconButton } from "./dom.js";
import { ago } from "./words.js";

const PAGE = 30;

export class ListView {
  /** `act.open(id | null)`, `act.trash()`, `act.signOut()`, `act.close()`, `act.error(error)`. */
  constructor(act, user) {
    this.act = act;
    this.items = [];
    this.cursor = null;
    this.current = null;
    /** Answers to an older question than the last are dropped. */
    this.asked = 0;
    this.search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search",
      autocomplete: "off",
      oninput: () => this.searchSoon(),
    });
    this.list = h("ul", { className: "conversations" });
    this.more = h(
      "button",
      { type: "button", className: "word-button", hidden: true, onclick: () => this.loadMore() },
      "More",
    );
    this.none = h("p", { className: "none", hidden: true });
    this.element = h(
      "aside",
      { className: "side", id: "side" },
      this.top(),
      this.searchBox(),
      this.nav(),
      this.account(user),
    );
    this.watchEnd();
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
      h("label", { htmlFor: "search", className: "unseen" }, "Search conversations"),
      this.search,
    );
  }

  nav() {
    this.scroll = h("nav", { className: "side-list", "aria-label": "Conversations" }, this.list, this.none, this.more);
    return this.scroll;
  }

  account(user) {
    return h(
      "div",
      { className: "account" },
      h(
        "span",
        { className: "avatar", "aria-hidden": "true" },
        (user.name || user.email).trim().charAt(0).toUpperCase(),
      ),
      h("span", { className: "account-name", title: user.email }, user.name || user.email),
      iconButton("trash", "Trash", () => this.act.trash()),
      iconButton("leave", "Sign out", () => this.act.signOut()),
    );
  }

  watchEnd() {
    const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && this.loadMore(), {
      root: this.scroll,
      rootMargin: "200px",
    });
    observer.observe(this.more);
  }

  /** Links stay links: a click with Ctrl or the middle button opens a tab as anywhere. */
  follow(event, id) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.act.open(id);
  }

  select(id) {
    this.current = id;
    for (const link of this.list.querySelectorAll("a")) mark(link, link.dataset.id === id);
  }

  searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), 200);
  }

  /** Ask again for what is shown, as one page. */
  async refresh() {
    const limit = Math.min(Math.max(PAGE, this.items.length), 100);
    await this.ask({ q: this.search.value.trim(), limit }, (page) => page.conversations);
  }

  async loadMore() {
    if (!this.cursor) return;
    const cursor = this.cursor;
    this.cursor = null; // Until the answer is here, nobody asks for the same page again.
    await this.ask({ q: this.search.value.trim(), limit: PAGE, cursor }, (page) => [
      ...this.items,
      ...page.conversations,
    ]);
  }

  async ask(values, merge) {
    const asked = ++this.asked;
    try {
      const page = await api.conversations(values);
      if (asked !== this.asked) return;
      this.items = unique(merge(page));
      this.cursor = page.has_more ? page.cursor : null;
      this.draw();
    } catch (error) {
      if (asked === this.asked && error.status === 401) this.act.error(error);
    }
  }

  draw() {
    this.more.hidden = !this.cursor;
    this.none.hidden = this.items.length > 0;
    this.none.textContent = this.search.value ? "Nothing found." : "Your conversations will stand here.";
    const focused = document.activeElement?.closest?.(".conversations a")?.dataset.id;
    this.list.replaceChildren(...this.items.map((item) => this.row(item)));
    if (focused) this.list.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  row({ id, title, updated_at }) {
    const link = h(
      "a",
      { href: `/c/${id}`, dataset: { id }, onclick: (event) => this.follow(event, id) },
      h("span", { className: "row-title" }, title || "Untitled"),
      h("time", { dateTime: updated_at }, ago(updated_at)),
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
