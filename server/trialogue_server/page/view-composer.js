// The box one writes in, with the model picker, Send and Stop, and the status line above. The focus stays in the box.

import { h, icon } from "./dom.js";
import { AttachmentsView } from "./view-attachments.js";
import { statusOf } from "./words.js";

/** Where a finger types, Enter is a new line: there is no Shift to hold. */
const touch = matchMedia("(pointer: coarse)");

const draftKey = (conversation) => `draft:${conversation ?? "new"}`;

/** What is being written, for when one comes back. A browser that has no room for it, or keeps nothing, is no reason to stop. */
function keepDraft(conversation, text) {
  try {
    if (text) localStorage.setItem(draftKey(conversation), text);
    else localStorage.removeItem(draftKey(conversation));
  } catch {
    // Sending works all the same.
  }
}

/** Whoever comes next at this browser may be somebody else. */
export function forgetDrafts() {
  for (const key of Object.keys(localStorage)) if (key.startsWith("draft:")) localStorage.removeItem(key);
}

export class ComposerView {
  /** `act.send(text, files)`, `act.stop()`, `act.choose(model)`, `act.restore()`. */
  constructor(act) {
    this.act = act;
    this.conversation = null;
    this.status = h("p", { className: "status", role: "status" });
    this.box = h("textarea", {
      id: "box",
      rows: 1,
      placeholder: "Write a message",
      enterKeyHint: touch.matches ? "enter" : "send",
      autocomplete: "off",
    });
    this.picker = h("select", { id: "model", onchange: () => act.choose(this.picker.value) });
    this.send = h(
      "button",
      { type: "submit", className: "round send", "aria-label": "Send", title: "Send (Enter)" },
      icon("send"),
    );
    this.stop = h(
      "button",
      {
        type: "button",
        className: "round stop",
        "aria-label": "Stop",
        title: "Stop the answer",
        hidden: true,
        onclick: () => this.stopped(),
      },
      icon("stop"),
    );
    this.attachments = new AttachmentsView(() => this.attached());
    /** The message is to be sent as soon as its files are. */
    this.due = false;
    this.form = h(
      "form",
      { className: "composer" },
      this.attachments.element,
      h("label", { htmlFor: "box", className: "unseen" }, "Message"),
      this.box,
      h(
        "div",
        { className: "composer-row" },
        this.attachments.button,
        this.attachments.chooser,
        h("label", { htmlFor: "model", className: "unseen" }, "Model"),
        this.picker,
        h("span", { className: "grow" }),
        this.stop,
        this.send,
      ),
    );
    const restore = h("button", { type: "button", className: "word-button", onclick: () => act.restore() }, "Restore");
    this.trashed = h("p", { className: "trashed", hidden: true }, "This conversation is in the trash.", restore);
    this.element = h(
      "div",
      { className: "dock" },
      h("div", { className: "column" }, this.status, this.form, this.trashed),
    );
    this.form.addEventListener("submit", (event) => this.submitted(event));
    this.box.addEventListener("keydown", (event) => this.typed(event));
    this.box.addEventListener("input", () => this.changed());
    this.box.addEventListener("paste", (event) => this.pasted(event));
    this.takeDrops();
  }

  /** Files dropped anywhere on the box's form; the rest of the page opens none either. */
  takeDrops() {
    const over = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.form.classList.toggle("dropping", event.type === "dragover");
      if (event.type === "drop") this.attachments.add(event.dataTransfer.files);
    };
    for (const type of ["dragover", "dragleave", "drop"]) this.form.addEventListener(type, over);
  }

  pasted(event) {
    const { files } = event.clipboardData;
    // What was copied from a page or a table brings a picture of itself along with its text.
    if (!files.length || event.clipboardData.types.includes("text/plain")) return;
    event.preventDefault();
    this.attachments.add(files);
  }

  focus() {
    this.box.focus();
  }

  /** Another conversation's draft comes into the box. */
  open(conversation) {
    this.conversation = conversation;
    this.box.value = localStorage.getItem(draftKey(conversation)) ?? "";
    this.due = false;
    this.attachments.clear();
    this.changed();
    if (!touch.matches) this.focus();
  }

  /** Put a text that could not be sent back, before what is being written. */
  giveBack({ text, files = [] }) {
    this.attachments.show(files);
    this.box.value = [text, this.box.value].filter(Boolean).join("\n");
    this.changed();
    this.focus();
  }

  typed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch.matches) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  changed() {
    const text = this.box.value;
    keepDraft(this.conversation, text);
    this.send.disabled = !text.trim() && this.attachments.empty;
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }

  attached() {
    this.changed();
    if (this.due && !this.attachments.busy) this.form.requestSubmit();
  }

  submitted(event) {
    event.preventDefault();
    const text = this.box.value.trim();
    if (!text && this.attachments.empty) return;
    // What is still on its way is waited for.
    this.due = this.attachments.busy;
    if (this.due) return;
    const files = this.attachments.take();
    this.box.value = "";
    this.changed();
    this.focus();
    this.act.send(text, files);
  }

  stopped() {
    this.act.stop();
    this.focus();
  }

  draw(open, models, model) {
    const run = open?.state?.run ?? null;
    const stopping = Boolean(open?.stopping);
    if (!run && document.activeElement === this.stop) this.focus();
    this.form.hidden = Boolean(open?.state?.conversation.deleted_at);
    this.trashed.hidden = !this.form.hidden;
    this.stop.hidden = !run;
    this.stop.disabled = stopping;
    this.box.placeholder = run ? "Write on; it waits for its turn" : "Write a message";
    this.drawStatus(open ? statusOf(open.line, run, stopping, models) : { tone: "live", text: "" });
    this.drawPicker(models, model);
  }

  drawStatus({ tone, text }) {
    if (this.status.textContent !== text) this.status.textContent = text;
    this.status.dataset.tone = tone;
  }

  /** Nothing is offered until the models are known. */
  drawPicker(models, model) {
    this.picker.hidden = models.length === 0;
    if (this.picker.hidden) return;
    const known =
      models.some(({ id }) => id === model) || !model
        ? models
        : [...models, { id: model, name: `${model} (not available)` }];
    const wanted = JSON.stringify(known);
    if (this.offered !== wanted) {
      this.offered = wanted;
      this.picker.replaceChildren(
        ...known.map(({ id, name, description }) => h("option", { value: id, title: description ?? id }, name)),
      );
    }
    if (model && this.picker.value !== model) this.picker.value = model;
  }
}
