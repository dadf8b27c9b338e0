// The line above the log: the conversation's title, its settings, and renaming, sharing and deleting it.

import { h, iconButton } from "./dom.js";

export class HeadView {
  /** `act.menu()`, `act.rename(title)`, `act.settings(place)`, `act.share()`, `act.remove()`. */
  constructor(act) {
    this.act = act;
    this.menu = iconButton("menu", "Conversations", () => act.menu(), {
      className: "icon-button menu",
      "aria-expanded": "false",
      "aria-controls": "side",
    });
    this.title = h("h1", { className: "title" });
    this.renaming = iconButton("pencil", "Rename", () => this.rename());
    this.setting = iconButton("sliders", "Settings of this conversation", () => act.settings("settings"));
    this.sharing = iconButton("share", "Share or keep", () => act.share());
    this.removing = iconButton("trash", "Delete", () => act.remove());
    this.buttons = [this.renaming, this.setting, this.sharing, this.removing];
    this.element = h("header", { className: "head" }, this.menu, this.title, ...this.buttons);
    this.editor = null;
  }

  draw(open) {
    const conversation = open?.state?.conversation ?? null;
    const title = conversation ? conversation.title || "Untitled" : open ? "" : "New conversation";
    if (this.title.textContent !== title) this.title.textContent = title;
    document.title = conversation?.title ? `${conversation.title} · Trialogue` : "Trialogue";
    for (const button of this.buttons) button.hidden = !conversation;
  }

  rename() {
    if (this.editor) return;
    const box = h("input", { value: this.title.textContent, maxLength: 200, "aria-label": "Title" });
    this.editor = h("form", { className: "title-editor", onsubmit: (event) => this.save(event, box) }, box);
    box.addEventListener("keydown", (event) => event.key === "Escape" && this.leave());
    box.addEventListener("blur", () => this.leave());
    this.title.replaceWith(this.editor);
    box.select();
  }

  /** Put the title back; leaving the box in any way but Enter keeps the old one. */
  leave() {
    const editor = this.editor;
    if (!editor) return;
    this.editor = null; // First: removing the box below blurs it, which comes back here.
    editor.replaceWith(this.title);
  }

  save(event, box) {
    event.preventDefault();
    const title = box.value.trim();
    this.leave();
    this.renaming.focus();
    if (title && title !== this.title.textContent) this.act.rename(title);
  }
}
