// A JSON schema as a list of fields. What a schema refers to is named, and opened where it stands.

import { h } from "../dom.js";
import { inline, paragraphs } from "./text.js";

/** Makes the view of schemas of one document. */
export function schemaView(document) {
  const named = (schema) => schema.$ref?.split("/").at(-1);
  const whole = (schema) => (schema.$ref ? document.components.schemas[named(schema)] : schema);

  /** A few words for what kind of value it is. */
  function kind(schema) {
    if (schema.$ref) return named(schema);
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    if (schema.anyOf) return schema.anyOf.map(kind).join(" | ");
    if (schema.type === "array") return `[${schema.items ? kind(schema.items) : "any"}]`;
    if (schema.type === "object" && typeof schema.additionalProperties === "object")
      return `{name: ${kind(schema.additionalProperties)}}`;
    return schema.format ?? schema.type ?? "any";
  }

  /** What bounds the value, in words. */
  function bounds(schema) {
    const said = [];
    if (schema.minimum !== undefined) said.push(`at least ${schema.minimum}`);
    if (schema.maximum !== undefined) said.push(`at most ${schema.maximum}`);
    if (schema.maxLength !== undefined) said.push(`at most ${schema.maxLength} characters`);
    if (schema.default !== undefined && schema.default !== null) said.push(`else ${JSON.stringify(schema.default)}`);
    return said.join(", ");
  }

  /** The schemas with fields that a value may be: of the value itself, of an array's items, of one of several. */
  function inside(schema) {
    const inner = whole(schema);
    if (inner.properties) return [schema];
    if (inner.items) return inside(inner.items);
    return (inner.anyOf ?? []).flatMap(inside);
  }

  function field(name, schema, required, above) {
    const notes = [required ? null : "may be absent", bounds(schema)].filter(Boolean).join("; ");
    const line = [h("code", {}, name), " ", h("span", { className: "kind" }, kind(schema)), " "];
    return h(
      "li",
      {},
      line,
      notes && h("span", { className: "note" }, `(${notes})`),
      schema.description && h("p", {}, inline(schema.description)),
      inside(schema).map((one) => opened(one, above)),
    );
  }

  function opened(schema, above) {
    const name = named(schema);
    if (name && above.includes(name)) return h("p", {}, `${name}, as above`);
    return lazy(name ?? "its fields", () => fields(schema, name ? [...above, name] : above));
  }

  /** The fields of a schema; `above` are the names of those it stands in. */
  function fields(schema, above = []) {
    if (!schema) return [h("p", {}, "bytes")];
    const inner = whole(schema);
    if (!inner.properties) {
      return [h("p", {}, kind(schema)), ...inside(schema).map((one) => opened(one, above))];
    }
    const required = inner.required ?? [];
    const items = Object.entries(inner.properties).map(([name, one]) => field(name, one, required.includes(name), above));
    return [...paragraphs(inner.description), h("ul", { className: "fields" }, items)];
  }

  return { fields, kind, named };
}

/** Something that is made when it is opened for the first time. */
export function lazy(title, make) {
  const inside = h("div");
  const details = h("details", { className: "answer" }, h("summary", {}, title), inside);
  details.addEventListener("toggle", () => details.open && !inside.firstChild && inside.append(...make()));
  return details;
}
