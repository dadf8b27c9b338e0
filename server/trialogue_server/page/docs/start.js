// The API's page: everything on it is read from the document that the server makes of its routes.

import { h } from "../dom.js";
import { operationView } from "./operation.js";
import { schemaView } from "./schema.js";
import { inline, paragraphs } from "./text.js";

const root = globalThis.document.getElementById("docs");

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  root.append(h("p", { className: "docs-alone", role: "alert" }, `The API's description cannot be read: ${error.message}. Load the page again.`));
}
root.removeAttribute("aria-busy");

function show(document) {
  const view = operationView(document, schemaView(document));
  const groups = document.tags.map((tag) => ({ tag, operations: operationsOf(document, tag.name) }));
  const lists = groups.map(({ tag, operations }) => list(tag, operations));
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the operations" });
  filter.addEventListener("input", () => lists.forEach((one) => one.keep(filter.value.trim().toLowerCase())));
  const side = h("nav", { className: "docs-side", "aria-label": "Operations" }, h("h1", {}, "Trialogue"), filter, lists.map((one) => one.element));
  const about = h("header", {}, paragraphs(document.info.description), h("p", {}, "For machines: ", h("a", { href: "/openapi.json" }, "openapi.json"), `, OpenAPI ${document.openapi}.`));
  const main = h("main", { className: "docs-main", id: "main", tabIndex: -1 }, about, groups.map(({ tag, operations }) => group(tag, operations, view)));
  root.append(h("div", { className: "docs-frame" }, side, main));
  addEventListener("hashchange", openNamed);
  openNamed();
}

function operationsOf(document, tag) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({ path, method, operation })),
  );
}

function list(tag, operations) {
  const items = operations.map(({ path, method, operation }) => {
    const link = h(
      "a",
      { href: `#${operation.operationId}`, title: operation.summary },
      h("span", { className: `method method-${method}` }, method.toUpperCase()),
      h("span", { className: "path" }, path),
    );
    return { element: h("li", {}, link), words: `${method} ${path} ${operation.summary}`.toLowerCase() };
  });
  const element = h("div", {}, h("h2", {}, tag.name), h("ul", {}, items.map((one) => one.element)));
  const keep = (text) => {
    for (const one of items) one.element.hidden = !one.words.includes(text);
    element.hidden = items.every((one) => one.element.hidden);
  };
  return { element, keep };
}

function group(tag, operations, view) {
  return h(
    "section",
    {},
    h("h2", {}, tag.name),
    h("p", {}, inline(tag.description ?? "")),
    operations.map(({ path, method, operation }) => view(path, method, operation)),
  );
}

/** Open the operation that the address names. */
function openNamed() {
  const named = globalThis.document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named?.tagName !== "DETAILS") return;
  named.open = true;
  named.scrollIntoView();
}
