// The log: the messages of the open conversation in order, then those on their way and those that wait. Keeps its place
// while older messages come in above, and follows the newest text unless the reader has scrolled away from it.

import { h, iconButton, whenSeen, wordButton } from "./dom.js";
import { siblingsOf } from "./fold.js";
import { MessageView, textOf } from "./view-message.js";

/** Pixels from the end within which a reader counts as being at the end. */
const NEAR = 80;

/** How many older messages are asked for at once when one of them is looked for. */
const SOUGHT = 200;

/** One and the same, so that a message without calls does not seem to change. */
const NO_CALLS = [];

export class LogView {
  /** `act`: what messages need (see MessageView), and older, withdraw, retry and discard. */
  constructor(act) {
    this.act = act;
    /** What is drawn, by message id. */
    this.views = new Map();
    this.notes = new Map();
    /** The message that is looked for: older ones come until it is here. */
    this.seeking = null;
    this.older = h(
      "button",
      { type: "button", className: "word-button older", onclick: () => act.older() },
      "Earlier messages",
    );
    this.log = h("div", {
      className: "log",
      role: "log",
      "aria-label": "Messages",
      "aria-live": "polite",
      "aria-busy": "true",
    });
    this.empty = h(
      "div",
      { className: "empty", hidden: true },
      h("h2", {}, "What is on your mind?"),
      h("p", {}, "Write below. The answer goes on even when you close this page, and waits here for you."),
    );
    this.down = iconButton("down", "To the newest message", () => this.toEnd(), {
      className: "icon-button to-end",
      hidden: true,
    });
    this.element = h(
      "div",
      { className: "scroll" },
      h("div", { className: "column" }, this.older, this.empty, this.log),
    );
    /** Follow the end of the log as it grows. */
    this.following = true;
    /** Of a version that was switched to with the pager: when it is here, its pager takes the focus. */
    this.landing = null;
    this.element.addEventListener("scroll", () => this.scrolled(), { passive: true });
    /** The first message that is drawn; when it is another one, older ones have come, perhaps a few short ones. */
    this.first = null;
    this.lookUp = whenSeen(this.element, this.older, "300px", () => act.older());
  }

  /** Another conversation is shown from now on. */
  clear() {
    this.views.clear();
    this.notes.clear();
    this.log.replaceChildren();
    this.following = true;
    this.seeking = null;
  }

  /** Show this message of the open conversation, as soon as it is here. */
  seek(message) {
    this.seeking = message;
    this.following = false;
    this.look();
  }

  look() {
    const found = this.views.get(this.seeking)?.element;
    if (!found) return this.older.hidden || this.act.older(SOUGHT);
    this.seeking = null;
    found.tabIndex = -1;
    found.focus({ preventScroll: true });
    found.scrollIntoView({ block: "start" });
    found.classList.add("found");
  }

  /** `open` is an OpenConversation, or null where a new one may begin. */
  draw(open, models) {
    const state = open?.state ?? null;
    const rows = open ? [...this.said(state, models), ...this.onTheWay(open, state)] : [];
    const anchor = this.anchor();
    this.older.hidden = !state?.hasMore;
    this.older.textContent = open?.loadingOlder ? "Loading earlier messages…" : "Earlier messages";
    this.empty.hidden = rows.length > 0 || (open !== null && state === null);
    this.log.setAttribute("aria-busy", String(Boolean(state?.run) || (open !== null && state === null)));
    this.place(rows);
    if (this.following) this.toEnd();
    else this.keep(anchor);
    this.land();
    if (this.seeking && state && !open.loadingOlder) this.look();
    const first = state?.messages[0]?.id ?? null;
    if (first !== this.first) this.lookUp();
    this.first = first;
  }

  land() {
    const view = this.landing && this.views.get(this.landing);
    if (!view) return;
    this.landing = null;
    view.element.querySelector(".pager button:not(:disabled)")?.focus({ preventScroll: true });
  }

  said(state, models) {
    return (state?.messages ?? [])
      .filter(({ role }) => role !== "system")
      .map((message) => {
        const view = this.views.get(message.id) ?? new MessageView(message, this.act);
        this.views.set(message.id, view);
        const live = state.run?.message === message.id;
        const calls = (live && state.run.calls) || NO_CALLS;
        view.draw(message, { siblings: siblingsOf(state, message), live, models, calls });
        return view.element;
      });
  }

  onTheWay(open, state) {
    const waiting = (state?.inbox ?? []).map(({ message }) => this.waiting(message));
    return [
      ...waiting,
      ...open.sending.map((one) =>
        one.error ? this.unsent(one) : this.note("sending", one.id, saidBy(one), "Sending…", []),
      ),
    ];
  }

  waiting(message) {
    const back = ["close", "Take back", () => this.act.withdraw(message)];
    return this.note("waiting", message.id, textOf(message), "Waiting for its turn", [back]);
  }

  unsent(one) {
    const again = ["again", "Send again", () => this.act.retry(one)];
    const back = ["pencil", "Back to the box", () => this.act.discard(one)];
    return this.note("unsent", one.id, saidBy(one), `Not sent. ${one.error}`, [again, back]);
  }

  /** A message of ours that is not in the log yet; the same element each time, or its buttons could not be pressed. */
  note(kind, id, text, words, buttons) {
    const old = this.notes.get(id);
    if (old?.kind === kind && old.words === words) return old.element;
    const element = h(
      "article",
      { className: `message user ${kind}`, dataset: { id, status: kind }, "aria-label": "You" },
      h("div", { className: "parts" }, h("div", { className: "part text" }, text)),
      h(
        "div",
        { className: "outcome" },
        h("p", { className: "note" }, words),
        ...buttons.map((button) => wordButton(...button)),
      ),
    );
    this.notes.set(id, { kind, words, element });
    return element;
  }

  /** Put the rows in order, touching only those that are not where they belong: a moved element loses its focus. */
  place(rows) {
    const wanted = new Set(rows);
    for (const child of [...this.log.children]) if (!wanted.has(child)) this.drop(child);
    rows.forEach((row, index) => {
      const there = this.log.children[index];
      if (there !== row) this.log.insertBefore(row, there ?? null);
    });
  }

  drop(element) {
    for (const drawn of [this.views, this.notes]) {
      if (drawn.get(element.dataset.id)?.element === element) drawn.delete(element.dataset.id);
    }
    element.remove();
  }

  // --- where the reader is -----------------------------------------------------------------------------------------

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR;
    this.down.hidden = this.following;
  }

  toEnd() {
    this.following = true;
    this.down.hidden = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** The topmost visible message and where it stands. */
  anchor() {
    const top = this.element.getBoundingClientRect().top;
    const element = [...this.log.children].find((child) => child.getBoundingClientRect().bottom > top);
    return element && { element, top: element.getBoundingClientRect().top };
  }

  keep(anchor) {
    if (!anchor?.element.isConnected) return;
    const moved = anchor.element.getBoundingClientRect().top - anchor.top;
    if (moved) this.element.scrollTop += moved;
  }
}

/** The words of a message on its way, and the names of its files. */
const saidBy = ({ text, files }) => [text, ...files.map(({ name }) => `File: ${name}`)].filter(Boolean).join("\n");
