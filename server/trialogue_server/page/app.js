// Puts a signed-in user's page together: which conversation the address names, what the views may ask for, and how they
// hear of changes.

import { actionsOf } from "./actions.js";
import { addressed, isPlain, placeOf, sought } from "./addresses.js";
import { api, newId } from "./api.js";
import { OpenConversation } from "./conversation.js";
import { h, oncePerFrame, toast } from "./dom.js";
import { Panel } from "./panel.js";
import { Stream } from "./stream.js";
import { ComposerView, forgetDrafts } from "./view-composer.js";
import { HeadView } from "./view-head.js";
import { ListView, PAGE } from "./view-list.js";
import { LogView } from "./view-log.js";

/** Tells the other tabs of this browser that nobody is signed in any more. */
const tabs = new BroadcastChannel("trialogue");
/** The list's stream is given back soon: a browser has six connections to one server, and what was missed is told later. */
const LIST_HIDDEN_MS = 2_000;

export class App {
  /** `left(notice)` is called when nobody is signed in any more; `notice` says why. */
  constructor(user, left) {
    this.left = left;
    this.models = [];
    this.preferred = localStorage.getItem("model");
    this.open = null;
    this.draw = oncePerFrame(() => this.drawNow());
    const act = actionsOf(this);
    this.list = new ListView(act, user);
    this.head = new HeadView(act);
    this.log = new LogView(act);
    this.composer = new ComposerView(act);
    this.panel = new Panel({
      user,
      open: () => this.open,
      models: () => this.models,
      folders: () => this.list.folders(),
      titles: () => this.list.titles(),
      go: (id) => this.go(id),
      changed: () => this.list.drawAccount(),
      failed: (error) => this.failed(error),
      left: (notice) => (forgetDrafts(), this.leave(notice)),
    });
    this.veil = h("div", { className: "veil", hidden: true, onclick: () => this.drawer(false) });
    this.main = h(
      "main",
      { className: "main", id: "main", tabIndex: -1 },
      this.head.element,
      this.log.element,
      this.log.down,
      this.composer.element,
    );
    this.element = h("div", { className: "shell", onclick: (event) => this.clicked(event) }, this.list.element, this.veil, this.main);
    this.listen();
  }

  listen() {
    this.deafen = new AbortController();
    const { signal } = this.deafen;
    addEventListener("popstate", () => this.turned(), { signal });
    addEventListener("hashchange", () => this.panel.follow(), { signal });
    addEventListener("keydown", (event) => event.key === "Escape" && this.drawer(false), { signal });
    // What is told in words of time grows old.
    document.addEventListener("visibilitychange", () => document.hidden || this.list.draw(), { signal });
    tabs.onmessage = ({ data }) => data === "signed-out" && this.leave("You signed out in another tab.");
  }

  start() {
    const message = sought();
    if (message) history.replaceState(null, "", "/");
    this.show(addressed());
    if (message) this.find(message);
    this.followList();
    this.loadModels();
  }

  followList() {
    const on = {
      event: (type, value) => this.list.take(type, value),
      state() {},
      end: (error) => this.failed(error),
    };
    this.listStream = new Stream(`/api/events?limit=${PAGE}`, on, LIST_HIDDEN_MS);
  }

  close() {
    this.panel.close();
    this.open?.close();
    this.listStream?.close();
    this.deafen.abort();
    tabs.onmessage = null;
  }

  async loadModels() {
    try {
      const { models, default: usual } = await api.models();
      Object.assign(this, { models, usual });
      this.draw();
    } catch (error) {
      this.failed(error);
    }
  }

  switchTo(head) {
    this.log.landing = head;
    this.open.change({ head });
  }

  /** The model the next message goes to: the conversation's, else the one chosen last, else the server's default. */
  model() {
    const offered = (id) => this.models.some((model) => model.id === id);
    const wanted = this.open?.state?.conversation.model;
    if (wanted) return wanted;
    return offered(this.preferred) ? this.preferred : (this.usual ?? null);
  }

  choose(model) {
    this.preferred = model;
    localStorage.setItem("model", model);
    if (this.open?.state) this.open.change({ model });
    this.composer.focus();
  }

  // --- which conversation ------------------------------------------------------------------------------------------

  go(id) {
    if (id !== addressed()) history.pushState(null, "", id ? `/c/${id}` : "/");
    this.show(id);
  }

  /** The address changed by itself: to another conversation, or only to settings and back. */
  turned() {
    if (addressed() === (this.open?.id ?? null)) this.draw();
    else this.show(addressed());
  }

  /** A click on a link to a message: it is looked for here. */
  clicked(event) {
    const link = event.target.closest?.("a[href^='/m/']");
    if (!link || !isPlain(event) || event.defaultPrevented) return;
    event.preventDefault();
    this.find(link.pathname.slice(placeOf("").length));
  }

  show(id) {
    this.drawer(false);
    if (id === null || id !== this.open?.id) {
      this.attach(id && new OpenConversation(id, this.listener()));
      this.open?.follow();
      this.composer.open(id);
    }
    this.draw();
  }

  attach(open) {
    this.open?.close();
    this.open = open || null;
    this.list.select(this.open?.id ?? null);
    this.log.clear();
  }

  listener() {
    return {
      change: () => this.draw(),
      lost: (error) => this.lost(error),
      error: (error) => this.failed(error),
    };
  }

  send(text, files) {
    this.log.toEnd();
    if (!this.open) {
      this.attach(new OpenConversation(newId(), this.listener(), { model: this.model() ?? undefined }));
      this.composer.conversation = this.open.id;
      history.pushState(null, "", `/c/${this.open.id}`);
    }
    this.open.send(text, this.model(), files);
  }

  /**
   * Open a message wherever it stands: its conversation, on the branch that goes through it. Another branch than the one that
   * is shown is switched to only when the user has `chosen` the message; a link may be anybody's words, and asks first.
   */
  async find(message, chosen = false) {
    try {
      const { conversation } = await api.message(message);
      const shown = await isShown(conversation, message);
      if (!shown && chosen) await api.change(conversation, { head: message });
      this.go(conversation);
      if (shown || chosen) this.log.seek(message);
      else toast("This message is on another branch.", ["Show it", () => this.find(message, true)]);
    } catch (error) {
      if (error.status === 404) toast("This message is not there any more.");
      else this.failed(error);
    }
  }

  // --- what goes wrong ---------------------------------------------------------------------------------------------

  failed(error) {
    if (this.deafen.signal.aborted) return;
    if (error.status === 401) this.leave("Your session has ended. Sign in again to go on.");
    else toast(error.message);
  }

  lost(error) {
    if (error.status === 401) return this.failed(error);
    toast(error.status === 404 ? "This conversation is not there any more." : error.message);
    this.go(null);
  }

  async signOut() {
    try {
      await api.logout();
    } catch (error) {
      if (error.status !== 401) return this.failed(error);
    }
    forgetDrafts();
    tabs.postMessage("signed-out");
    this.leave("");
  }

  leave(notice) {
    this.close();
    this.left(notice);
  }

  // --- drawing -----------------------------------------------------------------------------------------------------

  drawNow() {
    if (this.deafen.signal.aborted) return;
    this.head.draw(this.open);
    this.log.draw(this.open, this.models);
    this.composer.draw(this.open, this.models, this.model());
    this.panel.follow();
  }

  /** On a narrow screen the list lies over the conversation. */
  drawer(open) {
    if (open === this.element.classList.contains("drawer")) return;
    this.element.classList.toggle("drawer", open);
    this.veil.hidden = !open;
    this.main.inert = open;
    this.head.menu.setAttribute("aria-expanded", String(open));
    if (open) this.list.search.focus();
    else this.head.menu.focus();
  }
}

/** Whether a message is on the branch that is shown: something follows it there, or it is the last. */
async function isShown(conversation, message) {
  if ((await api.below(conversation, message)).messages.length > 0) return true;
  return (await api.last(conversation)).messages[0]?.id === message;
}
