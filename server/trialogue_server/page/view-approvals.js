// Tool calls that wait for a person: what is to be called, with what, and the buttons that decide about it.

import { h, wordButton } from "./dom.js";

export class ApprovalsView {
  /** `decide(call, values)` resolves to null when that failed; the buttons can then be used again. */
  constructor(decide) {
    this.decide = decide;
    this.element = h("div", { className: "approvals" });
    /** Forms by the id of their call: what is written in one stays while others come and go. */
    this.forms = new Map();
  }

  show(parts, calls) {
    const asked = calls.filter(({ state }) => state === "asked");
    const forms = asked.map((call) => [call.call, this.forms.get(call.call) ?? this.form(call, argumentsOf(parts, call))]);
    this.forms = new Map(forms);
    const shown = [...this.forms.values()];
    if (shown.length !== this.element.children.length || shown.some((form, at) => form !== this.element.children[at]))
      this.element.replaceChildren(...shown);
  }

  form(call, written) {
    const box = h("textarea", { value: written, readOnly: true, rows: 1, spellcheck: false, "aria-label": "Arguments" });
    const problem = h("p", { className: "note failed", role: "alert", hidden: true });
    const buttons = h("div", { className: "approval-buttons" });
    const say = async (values) => {
      buttons.inert = true;
      if ((await this.decide(call.call, values)) === null) buttons.inert = false;
    };
    const approve = () => {
      if (box.readOnly || box.value === written) return say({ decision: "approve" });
      const put = objectIn(box.value);
      problem.hidden = put !== null;
      problem.textContent = put === null ? "The arguments must be a JSON object." : "";
      return put === null ? box.focus() : say({ decision: "edit", arguments: put });
    };
    const edit = wordButton("pencil", "Edit", () => {
      box.readOnly = false;
      edit.hidden = true;
      box.focus();
    });
    buttons.append(
      wordButton("check", "Approve", approve, { className: "word-button primary" }),
      edit,
      wordButton("close", "Deny", () => say({ decision: "deny" })),
    );
    return h(
      "section",
      { className: "approval", "aria-label": `Approval of ${call.name}` },
      h("p", {}, "May ", h("b", {}, call.name), " be called?"),
      box,
      problem,
      buttons,
    );
  }
}

/** The arguments of a call as a person reads them, or as the model wrote them when they are no JSON. */
function argumentsOf(parts, { part }) {
  const written = parts[part]?.arguments ?? "";
  const value = objectIn(written || "{}");
  return value === null ? written : JSON.stringify(value, null, 2);
}

function objectIn(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
