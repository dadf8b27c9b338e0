// The little Markdown that the document's descriptions hold, as elements: paragraphs, lists, `code`.

import { h } from "../dom.js";

/** The elements of a description. */
export function paragraphs(text) {
  return (text ?? "").split(/\n\n+/).filter(Boolean).map(block);
}

function block(text) {
  const lines = text.split("\n");
  if (!lines.every((line) => line.startsWith("- "))) return h("p", {}, inline(text));
  return h("ul", {}, lines.map((line) => h("li", {}, inline(line.slice(2)))));
}

/** A line's words, those between backquotes as code. */
export function inline(text) {
  return text.split("`").map((piece, at) => (at % 2 ? h("code", {}, piece) : piece));
}
