// One operation: who may use it, what it takes, what it answers, and examples that work.

import { h, iconButton } from "../dom.js";
import { lazy } from "./schema.js";
import { inline, paragraphs } from "./text.js";

/** Makes the view of operations of one document. */
export function operationView(document, schemas) {
  const resolved = (one) => (one.$ref ? document.components[one.$ref.split("/").at(-2)][one.$ref.split("/").at(-1)] : one);

  function view(path, method, operation) {
    const inside = h("div");
    const details = h(
      "details",
      { className: "operation", id: operation.operationId },
      h(
        "summary",
        {},
        h("span", { className: `method method-${method}` }, method.toUpperCase()),
        h("span", { className: "path" }, path),
        h("span", { className: "words" }, inline(operation.summary ?? "")),
      ),
      inside,
    );
    details.addEventListener("toggle", () => details.open && !inside.firstChild && inside.append(...body(operation)));
    return details;
  }

  function body(operation) {
    return [
      h("p", { className: "access" }, access(operation.security)),
      ...paragraphs(operation.description),
      ...(operation["x-examples"] ?? []).flatMap((one) => example(one, operation)),
      ...parameters(operation.parameters ?? []),
      ...request(operation.requestBody),
      ...messages(operation["x-messages"]),
      h("h3", {}, "Answers"),
      ...Object.entries(operation.responses).map(([status, one]) => answer(status, resolved(one))),
    ];
  }

  function access(security) {
    if (!security.length) return "Anyone may use it.";
    const key = security.find((one) => one.key);
    const named = key ? `With a session, or an API key with the scope ${key.key[0]}.` : "With a session only.";
    return security.some((one) => !Object.keys(one).length) ? `${named} For some without either, as said below.` : named;
  }

  function example({ name, title, status, curl }, operation) {
    const reply = operation.responses[status]?.content?.["application/json"]?.examples?.[name]?.value;
    const command = curl.replaceAll("$SERVER", location.origin);
    // The clipboard is only there where the page came safely.
    const copy = navigator.clipboard && iconButton("copy", "Copy the command", () => navigator.clipboard.writeText(command));
    return [
      h("h3", {}, title),
      h("div", { className: "example" }, h("pre", { tabIndex: 0 }, command), copy),
      reply !== undefined && lazy("The answer", () => [h("pre", { tabIndex: 0 }, JSON.stringify(reply, null, 2))]),
    ].filter(Boolean);
  }

  function parameters(all) {
    if (!all.length) return [];
    const items = all.map((one) =>
      h(
        "li",
        {},
        h("code", {}, one.name),
        " ",
        h("span", { className: "kind" }, `${schemas.kind(one.schema)}, in the ${one.in}`),
        one.required && h("span", { className: "note" }, ", always"),
        h("p", {}, inline(one.description ?? "")),
      ),
    );
    return [h("h3", {}, "Parameters"), h("ul", { className: "fields" }, items)];
  }

  function request(one) {
    if (!one) return [];
    const title = h("h3", {}, one.required ? "Body" : "Body, which may be left out");
    return [title, ...Object.entries(one.content).flatMap(([type, content]) => [h("p", {}, h("code", {}, type)), ...schemas.fields(content.schema)])];
  }

  /** What the two sides of a WebSocket may say. */
  function messages(sides) {
    return Object.entries(sides ?? {}).flatMap(([side, said]) => [
      h("h3", {}, `What the ${side} says`),
      ...Object.entries(said).map(([name, schema]) => lazy(name, () => schemas.fields(schema))),
    ]);
  }

  function answer(status, response) {
    const [first, ...rest] = (response.description ?? "").split("\n\n");
    return lazy(h("span", {}, h("code", {}, status), " ", inline(first)), () => [
      ...paragraphs(rest.join("\n\n")),
      ...Object.entries(response.content ?? {}).flatMap(([type, content]) => [
        h("p", {}, h("code", {}, type)),
        ...schemas.fields(content.schema),
        ...Object.entries(content["x-events"] ?? {}).map(([name, schema]) => lazy(name, () => schemas.fields(schema))),
      ]),
      h("p", {}, "Headers: ", Object.keys(response.headers ?? {}).join(", ")),
    ]);
  }

  return view;
}
