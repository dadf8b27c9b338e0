// Forms that say what is wrong where it is wrong: labelled fields, and the server's refusals beside what they are about.

import { ApiError } from "./api.js";
import { h } from "./dom.js";

/** A control under its label. `hint` stands below it; a refusal will as well. The control's `name` is what refusals name. */
export function field(label, control, hint = "") {
  control.id ||= `field-${control.name}`;
  const says = `${control.id}-says`;
  control.setAttribute("aria-describedby", says);
  return h(
    "div",
    { className: "field-row" },
    h("label", { htmlFor: control.id }, label),
    control,
    h("p", { className: "hint", id: says }, hint, h("span", { className: "problem", role: "alert", dataset: { of: control.name } })),
  );
}

/** A box to tick, with its words behind it. */
export function tick(name, label, checked, properties = {}) {
  return h("label", { className: "tick" }, h("input", { type: "checkbox", name, checked, ...properties }), label);
}

/** A list to choose from; `options` are [value, words] pairs. */
export function choice(name, options, value = "") {
  const select = h("select", { name }, ...options.map(([of, words]) => h("option", { value: of }, words)));
  select.value = value;
  return select;
}

/**
 * A form with its button at the foot. `submit(controls)` does the work with the form's named controls; what it throws is
 * shown. Nothing can be sent twice.
 */
export function formOf(content, button, submit, properties = {}) {
  const general = h("p", { className: "problem", role: "alert" });
  const send = h("button", { type: "submit", className: "word-button primary" }, button);
  const onsubmit = async (event) => {
    event.preventDefault();
    tell(form, general, []);
    send.disabled = true;
    try {
      await submit(form.elements);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      tell(form, general, error.errors?.length ? error.errors : [{ pointer: "", detail: error.message }]);
    } finally {
      send.disabled = false;
    }
  };
  const form = h(
    "form",
    { className: "panel-form", onsubmit, ...properties },
    content,
    h("div", { className: "form-foot" }, general, send),
  );
  return form;
}

/** Each refusal beside the field that its pointer ends at, the others at the foot. */
function tell(form, general, errors) {
  for (const place of form.querySelectorAll(".problem")) place.textContent = "";
  for (const control of form.elements) control.removeAttribute("aria-invalid");
  for (const { pointer = "", detail } of errors) {
    const control = [...pointer.split("/").reverse()].map((name) => name && form.elements[name]).find(Boolean);
    const place = control && form.querySelector(`[data-of="${CSS.escape(control.name ?? "")}"]`);
    (place ?? general).textContent += `${detail} `;
    if (place) control.setAttribute("aria-invalid", "true");
  }
  form.querySelector("[aria-invalid]")?.focus();
}
