// What can be taken out of a conversation: public links to it, and documents to keep.

import { api, newId } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, iconButton, icon, wordButton } from "./dom.js";
import { ago } from "./words.js";

export class ShareView {
  /** `failed(error)` says what went wrong. */
  constructor(conversation, failed) {
    this.id = conversation;
    this.failed = failed;
    this.list = h("ul", { className: "dialog-list" });
    this.making = wordButton("plus", "Make a link", () => this.make());
    openDialog("Share or keep", (body) => body.replaceChildren(...this.content()));
    this.load();
  }

  content() {
    const document = (format, label) =>
      h("a", { className: "word-button", href: api.exportOf(this.id, format), download: "" }, label);
    return [
      h("p", {}, "Anyone who has a link can read this branch as it is when the link is made, until you end it."),
      this.list,
      h("p", {}, this.making),
      h("h3", {}, "Keep a copy"),
      h("p", { className: "dialog-row" }, document("markdown", "Markdown"), document("json", "JSON, with all branches")),
    ];
  }

  async load() {
    await this.ask(async () => {
      const { shares } = await api.shares(this.id);
      this.list.replaceChildren(...shares.map((share) => this.row(share)));
    });
  }

  make() {
    return this.ask(async () => {
      const share = await api.share(this.id, { id: newId() });
      this.list.append(this.row(share));
    });
  }

  row(share) {
    const address = new URL(share.path, location.href).href;
    const copy = iconButton("copy", "Copy the link", () => this.copy(address, copy));
    const row = h(
      "li",
      {},
      h("a", { href: address, target: "_blank", rel: "noreferrer" }, address),
      h("time", { dateTime: share.created_at }, ago(share.created_at)),
      copy,
      iconButton("trash", "End the link", () => this.end(share, row)),
    );
    return row;
  }

  async copy(address, button) {
    if (!navigator.clipboard) return;
    await navigator.clipboard.writeText(address);
    button.replaceChildren(icon("check"));
  }

  end(share, row) {
    return this.ask(async () => {
      await api.unshare(this.id, share.id);
      row.remove();
      this.making.focus();
    });
  }

  async ask(work) {
    this.making.disabled = true;
    try {
      await work();
    } catch (error) {
      this.failed(error);
    }
    this.making.disabled = false;
  }
}
