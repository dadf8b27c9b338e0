// The settings of a conversation: its name, what its model is told and how it is asked, and where it stands in the list.
//
// Only what was changed here is sent, so that two devices can each change something.

import { api } from "./api.js";
import { h, toast } from "./dom.js";
import { choice, field, formOf, tick } from "./form.js";

export function settingsView({ open, models, folders, close }) {
  const { id, state } = open();
  const before = valuesOf(state.conversation);
  return formOf(fields(before, models(), folders()), "Save", async (controls) => {
    const changes = changesOf(before, read(controls));
    if (Object.keys(changes).length) await api.change(id, changes);
    close();
    toast("Saved.");
  });
}

function fields(values, models, folders) {
  const number = (name, properties) =>
    h("input", { type: "number", name, value: values[name], placeholder: "As the provider likes", ...properties });
  const folder = h("input", { name: "folder", value: values.folder, maxLength: 200, autocomplete: "off" });
  folder.setAttribute("list", "folders");
  return [
    field("Name", h("input", { name: "title", value: values.title, maxLength: 200 })),
    field("Model", choice("model", offered(models, values.model), values.model)),
    field(
      "System prompt",
      h("textarea", { name: "system", value: values.system, rows: 4 }),
      "What the model is told before anything else. It holds from the next answer on.",
    ),
    h(
      "div",
      { className: "side-by-side" },
      field("Temperature", number("temperature", { min: 0, max: 2, step: "any" }), "Higher is freer."),
      field("Top p", number("top_p", { min: 0, max: 1, step: "any" })),
      field("Longest answer", number("max_tokens", { min: 1, step: 1 }), "In tokens."),
    ),
    field("Folder", folder, "Empty for none."),
    h("datalist", { id: "folders" }, ...folders.map((value) => h("option", { value }))),
    h("div", { className: "ticks" }, tick("pinned", "Pinned", values.pinned), tick("archived", "In the archive", values.archived)),
  ];
}

/** The models there are, and the one it has, though it may be gone. */
function offered(models, current) {
  const known = models.map(({ id, name }) => [id, name]);
  const gone = current && !models.some(({ id }) => id === current) ? [[current, `${current} (not available)`]] : [];
  return [["", "The one chosen last"], ...known, ...gone];
}

const NUMBERS = ["temperature", "top_p", "max_tokens"];
const WORDS = ["title", "model", "system", "folder"];
const TICKS = ["pinned", "archived"];

/** A conversation as the form shows it: words, and truth values. */
export function valuesOf(conversation) {
  const settings = conversation.settings ?? {};
  return {
    ...Object.fromEntries(WORDS.map((name) => [name, conversation[name] ?? ""])),
    ...Object.fromEntries(NUMBERS.map((name) => [name, String(settings[name] ?? "")])),
    ...Object.fromEntries(TICKS.map((name) => [name, conversation[name] ?? false])),
  };
}

function read(controls) {
  const words = [...WORDS, ...NUMBERS].map((name) => [name, name === "system" ? controls[name].value : controls[name].value.trim()]);
  return Object.fromEntries([...words, ...TICKS.map((name) => [name, controls[name].checked])]);
}

/** A merge patch with what differs: emptied is null. */
export function changesOf(before, after) {
  const changed = (names) => names.filter((name) => before[name] !== after[name]);
  const changes = Object.fromEntries(changed([...WORDS, ...TICKS]).map((name) => [name, after[name] === "" ? null : after[name]]));
  const settings = changed(NUMBERS).map((name) => [name, after[name] === "" ? null : Number(after[name])]);
  return settings.length ? { ...changes, settings: Object.fromEntries(settings) } : changes;
}
