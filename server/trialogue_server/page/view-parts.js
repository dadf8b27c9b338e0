// The parts of a message, one element each: text, thoughts, tool calls and their results, files, citations, data.

import { placeOf } from "./addresses.js";
import { h } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { contentOf } from "./uploads.js";

/** Neighbouring texts are drawn as one, as an answer that was continued has several. */
export class PartsView {
  /** `own`: the reader may open the files and messages that are named. */
  constructor(role, own = true) {
    this.role = role;
    this.own = own;
    this.element = h("div", { className: "parts" });
    this.views = [];
  }

  show(parts, finished) {
    const joined = join(parts);
    joined.forEach((part, index) => {
      if (this.views[index]?.type !== part.type) this.replace(index, part.type);
      this.views[index].show(part, finished);
    });
    for (const stale of this.views.splice(joined.length)) stale.element.remove();
  }

  replace(index, type) {
    const element = h("div", { className: `part ${type}` });
    const view = { type, element, show: (DRAW[type] ?? DRAW.data)(element, this) };
    const old = this.views[index];
    if (old) old.element.replaceWith(element);
    else this.element.append(element);
    this.views[index] = view;
  }
}

function join(parts) {
  const joined = [];
  for (const part of parts) {
    // A citation stands between two pieces of one text; it is shown behind the whole of it.
    const place = joined.findLastIndex(({ type }) => type !== "citation");
    const last = joined[place];
    if (last?.type === part.type && (part.type === "text" || part.type === "reasoning"))
      joined[place] = { ...last, text: last.text + part.text };
    else joined.push(part);
  }
  return joined;
}

/** Characters of a quotation that are shown. */
const QUOTE = 200;

/** By type of part: given its element, the function that draws it. */
const DRAW = {
  text(element, { role }) {
    if (role === "user") return (part) => (element.textContent = part.text);
    const view = new MarkdownView(element);
    element.classList.add("markdown");
    return (part, finished) => view.show(part.text, finished);
  },
  reasoning(element) {
    const text = h("p");
    const summary = h("summary");
    element.append(h("details", {}, summary, text));
    return (part, finished) => {
      summary.textContent = finished ? "Thoughts" : "Thinking…";
      text.textContent = part.text;
      element.hidden = finished && !part.text; // Some models keep their thoughts to themselves.
    };
  },
  tool_call: (element) => folded(element, (part) => [`Calls ${part.name || "a tool"}`, part.edited ?? part.arguments]),
  tool_result(element, { own }) {
    const show = folded(element, (part) => [part.failed ? "The tool failed" : "The tool answered", part.text]);
    const files = h("div", { className: "returned" });
    const sources = h("div", { className: "sources" });
    element.append(files, sources);
    return (part) => {
      show(part);
      drawFiles(files, part.files ?? []);
      sources.replaceChildren(...(part.citations ?? []).flatMap((one) => cited(one, own)));
    };
  },
  file: (element) => (part) => drawFile(element, part),
  citation: (element, { own }) => (part) => element.replaceChildren(...cited(part, own)),
  data: (element) => folded(element, (part) => [part.name ?? part.type, JSON.stringify(part.data ?? part, null, 2)]),
};

/** Where a statement comes from: a link, where there is something to open, and the beginning of what is said there. */
function cited({ source, title, quote }, own) {
  const [, kind, id] = /^(file|message):([\w-]+)$/.exec(source) ?? [];
  const name = title ?? source;
  const link =
    (own && kind === "message" && h("a", { href: placeOf(id) }, name)) ||
    (own && kind === "file" && away(contentOf(id), name)) ||
    (/^https?:\/\//i.test(source) && away(source, name));
  const cite = h("cite", {}, link || name);
  return quote ? [cite, h("q", {}, quote.length > QUOTE ? `${quote.slice(0, QUOTE)}…` : quote)] : [cite];
}

const away = (href, name) => h("a", { href, target: "_blank", rel: "noreferrer" }, name);

/** A link to a file; of an image, its picture. One that was removed keeps its name. */
function drawFile(element, part) {
  if (element.dataset.file === part.file) return;
  element.dataset.file = part.file;
  const link = h("a", { href: contentOf(part.file), target: "_blank", rel: "noreferrer" });
  if (part.media_type.startsWith("image/")) {
    const picture = h("img", { src: contentOf(part.file, "thumbnail"), alt: part.name, loading: "lazy" });
    picture.addEventListener("error", () => picture.replaceWith(part.name));
    link.append(picture);
  } else link.append(part.name);
  element.replaceChildren(link);
}

/** What a tool returned besides text. */
function drawFiles(element, parts) {
  while (element.children.length < parts.length) element.append(h("span", { className: "part file" }));
  while (element.children.length > parts.length) element.lastChild.remove();
  parts.forEach((part, index) => drawFile(element.children[index], part));
}

function folded(element, words) {
  const summary = h("summary");
  const text = h("pre", { tabIndex: 0 });
  element.append(h("details", {}, summary, text));
  return (part) => {
    [summary.textContent, text.textContent] = words(part);
  };
}
