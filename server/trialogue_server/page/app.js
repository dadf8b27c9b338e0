// Puts a signed-in user's page together: which conversation the address names, what the views may ask for, and how they
// hear of changes.

import { api, newId } from "./api.js";
import { OpenConversation } from "./conversation.js";
import { h, oncePerFrame, toast } from "./dom.js";
import { Panel } from "./panel.js";
import { Stream } from "./stream.js";
import { ComposerView } from "./view-composer.js";
import { HeadView } from "./view-head.js";
import { ListView, PAGE } from "./view-list.js";
import { LogView } from "./view-log.js";
import { ShareView } from "./view-share.js";
import { TrashView } from "./view-trash.js";

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
    const act = this.actions();
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
      left: (notice) => this.leave(notice),
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
    this.element = h("div", { className: "shell" }, this.list.element, this.veil, this.main);
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
    this.show(addressed());
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

  /** What the views may ask for. Everything that changes a conversation goes through its OpenConversation. */
  actions() {
    return {
      open: (id) => this.go(id),
      menu: () => this.drawer(true),
      close: () => this.drawer(false),
      signOut: () => this.signOut(),
      error: (error) => this.failed(error),
      send: (text, files) => this.send(text, files),
      stop: () => this.open?.stop(),
      choose: (model) => this.choose(model),
      rename: (title) => this.open?.change({ title }),
      settings: (place) => this.panel.enter(place),
      remove: () => this.remove(),
      share: () => new ShareView(this.open.id, (error) => this.failed(error)),
      trash: () => new TrashView((id) => this.go(id), (error) => this.failed(error)),
      fork: (message) => this.fork(message),
      older: () => this.open?.older(),
      restore: () => this.restore(this.open.id),
      // What these are asked with goes away, and the focus would be lost with it: it returns to the box.
      edit: (message, text) => this.fromBox(this.open.edit(message, text, this.model())),
      regenerate: (message) => this.fromBox(this.open.regenerate(message, this.model())),
      goOn: (message) => this.fromBox(this.open.goOn(message)),
      decide: (call, values) => this.fromBox(this.open.decide(call, values)),
      withdraw: (message) => this.fromBox(this.open.withdraw(message)),
      retry: (message) => this.fromBox(this.open.deliver(message)),
      show: (head) => this.switchTo(head),
      discard: (message) => this.composer.giveBack(this.open.discard(message)),
    };
  }

  /** Wait for what was asked; the focus goes to the box if it is still where it was asked from. */
  async fromBox(asked) {
    const from = document.activeElement;
    const done = await asked;
    if (done !== null && [from, document.body].includes(document.activeElement)) this.composer.focus();
    return done;
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

  async remove() {
    const { id } = this.open;
    try {
      await api.remove(id);
    } catch (error) {
      return this.failed(error);
    }
    this.go(null);
    toast("Moved to the trash.", ["Undo", () => this.restore(id)]);
  }

  /** Go on from a message in a conversation of its own. */
  async fork(message) {
    try {
      const { id } = await api.fork(this.open.id, { id: newId(), message: message.id });
      this.go(id);
      this.composer.focus();
      toast("This is a copy: what you say here stays here.");
    } catch (error) {
      this.failed(error);
    }
  }

  async restore(id) {
    try {
      await api.restore(id);
      this.go(id);
    } catch (error) {
      this.failed(error);
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

/** The conversation in the address, or null. */
const addressed = () => /^\/c\/([\w-]+)$/.exec(location.pathname)?.[1] ?? null;
