// The files that go with the next message: chosen, pasted or dropped, sent at once, and shown until the message is sent.

import { api } from "./api.js";
import { h, iconButton, toast } from "./dom.js";
import { contentOf, sendFile } from "./uploads.js";

const isImage = (file) => file.media_type?.startsWith("image/");

export class AttachmentsView {
  /** `changed()` is called when something was added, arrived or went. */
  constructor(changed) {
    this.changed = changed;
    /** Each { element, file, sending }: `file` once the server has it, `sending` an AbortController until then. */
    this.items = [];
    this.chooser = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1, "aria-hidden": "true" });
    this.chooser.addEventListener("change", () => {
      this.add(this.chooser.files);
      this.chooser.value = "";
    });
    this.button = iconButton("clip", "Attach files", () => this.chooser.click());
    this.element = h("ul", { className: "attachments", hidden: true, "aria-label": "Attached files" });
  }

  get busy() {
    return this.items.some(({ sending }) => sending);
  }

  get empty() {
    return this.items.length === 0;
  }

  /** Send these files of the user's. */
  add(files) {
    for (const file of files) this.send(file);
  }

  /** Show files that the server has already. */
  show(files) {
    for (const file of files) this.put({ file, sending: null, element: h("li", { className: "attachment" }) });
  }

  /** What goes with the message; from here on it is the message's. */
  take() {
    const files = this.items.map(({ file }) => file);
    this.items = [];
    this.draw();
    return files;
  }

  clear() {
    for (const { sending } of this.items) sending?.abort();
    this.take();
  }

  async send(source) {
    const progress = h("progress", { max: 1, value: 0, "aria-label": `Sending ${source.name}` });
    const item = { file: null, sending: new AbortController(), element: h("li", { className: "attachment" }) };
    item.element.append(h("span", { className: "attachment-name" }, source.name), progress, this.remover(item, source));
    this.items.push(item);
    this.draw();
    try {
      item.file = await sendFile(source, (share) => (progress.value = share), item.sending.signal);
    } catch (error) {
      if (error.code !== "aborted") toast(`${source.name} was not sent. ${error.message}`);
      return this.drop(item);
    }
    item.sending = null;
    this.fill(item);
    this.changed();
  }

  put(item) {
    this.items.push(item);
    this.fill(item);
    this.draw();
  }

  fill(item) {
    const { file } = item;
    const picture = isImage(file) && h("img", { src: contentOf(file.id, "thumbnail"), alt: "" });
    if (picture) picture.addEventListener("error", () => picture.remove());
    item.element.replaceChildren(
      ...(picture ? [picture] : []),
      h("span", { className: "attachment-name", title: file.name }, file.name),
      this.remover(item, file),
    );
  }

  remover(item, { name }) {
    return iconButton("close", `Take ${name} away`, () => this.takeAway(item));
  }

  takeAway(item) {
    item.sending?.abort();
    // Of no more use to anybody; if it cannot be removed now, it is still among one's files.
    if (item.file) api.removeFile(item.file.id).catch(() => {});
    this.drop(item);
  }

  drop(item) {
    this.items = this.items.filter((one) => one !== item);
    this.draw();
  }

  draw() {
    this.element.replaceChildren(...this.items.map(({ element }) => element));
    this.element.hidden = this.empty;
    this.changed();
  }
}
