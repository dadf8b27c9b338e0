// One message: who says it, its parts, what became of it, and what can be done with it. Redrawn only where it changed.

import { h, icon, iconButton, wordButton } from "./dom.js";
import { costOf, modelName, outcomeOf, timeOf, tokensOf, usageDetails } from "./words.js";
import { ApprovalsView } from "./view-approvals.js";
import { PartsView } from "./view-parts.js";

/** The readable text of a message: its text parts, joined without anything between them. */
export const textOf = (message) => message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");

/** Says of an answer that another model was asked for it. */
const standIn = (message, models) =>
  message.asked ? [h("span", { className: "stand-in" }, `in place of ${modelName(models, message.asked)}`)] : [];

/** Says that a model is told a summary in the place of what ends here. */
const summed = ({ summary }) =>
  summary
    ? [
        h(
          "details",
          { className: "note summed" },
          h("summary", {}, "What is above is summed up for the model"),
          h("p", {}, summary),
        ),
      ]
    : [];

export class MessageView {
  /** `act` has edit, regenerate, goOn, decide, fork and show; each takes the message, `edit` its new text too, `show` another's id. */
  constructor(message, act) {
    this.act = act;
    this.role = message.role;
    /** What was drawn last; equal values need no drawing. */
    this.drawn = [];
    this.parts = new PartsView(message.role);
    this.approvals = new ApprovalsView((call, values) => this.act.decide(call, values));
    this.head = h("header", { className: "message-head" });
    this.outcome = h("div", { className: "outcome" });
    this.foot = h("footer", { className: "message-foot" });
    this.element = h(
      "article",
      { className: `message ${message.role}` },
      this.head,
      this.parts.element,
      this.approvals.element,
      this.outcome,
      this.foot,
    );
  }

  draw(message, { siblings, live, models, calls = [] }) {
    const values = [message, siblings.join(), live, models, calls];
    if (values.every((value, index) => value === this.drawn[index])) return;
    const only = values.every((value, index) => index === 0 || value === this.drawn[index]);
    this.drawn = values;
    this.message = message;
    this.element.dataset.id = message.id;
    this.element.dataset.status = live ? "in_progress" : message.status;
    this.element.classList.toggle("live", live);
    if (!this.editor) this.parts.show(message.parts, !live);
    this.approvals.show(message.parts, calls);
    if (live && only) return; // A delta: only the text grew.
    const name = message.role === "user" ? "You" : modelName(models, message.model);
    this.element.setAttribute("aria-label", name);
    const time = h(
      "time",
      { dateTime: message.created_at, title: new Date(message.created_at).toLocaleString() },
      timeOf(message.created_at),
    );
    const mine = message.role === "user";
    const rest = [...(live ? [] : this.actions(message)), ...this.pager(siblings, message)];
    this.head.replaceChildren(h("span", { className: "who" }, name), ...standIn(message, models), ...(mine ? [] : [time]));
    this.outcome.replaceChildren(...this.outcomeOf(message, live), ...summed(message));
    this.foot.replaceChildren(...(mine ? [time] : []), ...rest);
  }

  outcomeOf(message, live) {
    const outcome = outcomeOf(message, live);
    if (!outcome) return [];
    const again = wordButton("again", "Try again", () => this.act.regenerate(this.message));
    const on =
      outcome.continues && message.parts.length > 0 && wordButton("on", "Continue", () => this.act.goOn(this.message));
    return [h("p", { className: `note ${outcome.kind}` }, outcome.text), ...(on ? [on] : []), again];
  }

  pager(siblings, message) {
    const place = siblings.indexOf(message.id);
    if (siblings.length < 2 || place < 0) return [];
    const turn = (name, label, to) =>
      iconButton(name, label, () => this.act.show(siblings[to]), { disabled: !(to in siblings) });
    return [
      h(
        "span",
        { className: "pager", role: "group", "aria-label": "Versions" },
        turn("left", "Previous version", place - 1),
        h("span", {}, `${place + 1}/${siblings.length}`),
        turn("right", "Next version", place + 1),
      ),
    ];
  }

  actions(message) {
    const copy = iconButton("copy", "Copy text", () => this.copy(copy));
    if (message.role === "user") return [iconButton("pencil", "Edit", () => this.edit()), copy];
    const spent = [tokensOf(message.usage), costOf(message.usage)].filter(Boolean).join(" · ");
    const again = iconButton("again", "Regenerate", () => this.act.regenerate(this.message));
    const offered = outcomeOf(message, false) !== null; // Then "Try again" stands above already.
    const fork = iconButton("fork", "Fork from here", () => this.act.fork(this.message));
    return [copy, ...(offered ? [] : [again]), fork, ...(spent ? [this.usage(spent, message.usage)] : [])];
  }

  usage(spent, usage) {
    return h("span", { className: "usage", title: usageDetails(usage) }, spent);
  }

  async copy(button) {
    if (!navigator.clipboard) return getSelection().selectAllChildren(this.parts.element);
    await navigator.clipboard.writeText(textOf(this.message));
    button.replaceChildren(icon("check"));
    setTimeout(() => button.replaceChildren(icon("copy")), 2000);
  }

  /** Put a box in the place of the text; what is sent from it becomes another version beside this one. */
  edit() {
    if (this.editor) return;
    const box = h("textarea", { value: textOf(this.message), rows: 1, "aria-label": "Edit your message" });
    this.editor = h(
      "form",
      { className: "editor", onsubmit: (event) => this.save(event, box) },
      box,
      h(
        "div",
        { className: "editor-buttons" },
        h("button", { type: "button", className: "word-button", onclick: () => this.cancel() }, "Cancel"),
        h("button", { type: "submit", className: "word-button primary" }, "Send as new version"),
      ),
    );
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.cancel();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.save(event, box);
    });
    this.parts.element.replaceWith(this.editor);
    this.element.classList.add("editing");
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }

  leaveEditor() {
    this.editor.replaceWith(this.parts.element);
    this.editor = null;
    this.element.classList.remove("editing");
    this.parts.show(this.message.parts, true);
  }

  /** Leave and go back to where the editor was opened from. */
  cancel() {
    this.leaveEditor();
    this.foot.querySelector("button")?.focus();
  }

  async save(event, box) {
    event.preventDefault();
    const text = box.value.trim();
    if (!text || text === textOf(this.message)) return this.cancel();
    box.disabled = true;
    if (await this.act.edit(this.message, text)) return this.leaveEditor();
    box.disabled = false;
    box.focus();
  }
}
