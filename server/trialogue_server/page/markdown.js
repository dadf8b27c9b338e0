// Markdown to safe DOM, cheaply while it grows.
//
// A growing text is cut into its top-level blocks; only blocks whose source changed are drawn again, so that a selection
// in a finished paragraph stays. Past a limit finished blocks are frozen and not parsed again, so that a long answer costs
// time in its length. Raw HTML is text but for a few plain tags, and everything passes through DOMPurify, which also holds
// the one Trusted Types policy the page has.

import { Marked } from "./vendor/marked.js";
import DOMPurify from "./vendor/dompurify.js";
import { h, icon } from "./dom.js";

/** Tags without attributes that people and models do write into Markdown. */
const PLAIN = /<\/?(?:br|hr|b|i|u|s|em|strong|del|ins|sub|sup|kbd|mark|small|q|details|summary)\s*\/?>|[<>]/gi;
const ESCAPED = { "<": "&lt;", ">": "&gt;" };

/** Any other HTML is shown as the text it is: the browser's parser, which reports what a policy forbids, never sees it. */
const shown = (html) => html.replace(PLAIN, (found) => ESCAPED[found] ?? found);

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text, block }) => (block && !/^<(?:details|hr)/i.test(text) ? `<p>${shown(text)}</p>` : shown(text)),
    // Form fields have no place in an answer; a task list shows its ticks as text.
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const RULES = {
  RETURN_DOM_FRAGMENT: true,
  USE_PROFILES: { html: true },
  FORBID_TAGS: [
    "style",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "option",
    "dialog",
    "audio",
    "video",
    "source",
    "picture",
  ],
  FORBID_ATTR: [
    "style",
    "id",
    "name",
    "srcset",
    "background",
    "ping",
    "popover",
    "popovertarget",
    "tabindex",
    "autofocus",
    "contenteditable",
  ],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

/** An image fetched from elsewhere tells its server who reads what: it becomes a link that one may follow or not. */
function imageAsLink(image) {
  const source = image.getAttribute("src") ?? "";
  if (/^data:image\//i.test(source)) return;
  const words = image.getAttribute("alt") || "image";
  const link = image.ownerDocument.createElement(/^https?:/i.test(source) ? "a" : "span");
  link.textContent = `Image: ${words}`;
  if (link.tagName === "A") outward(link, source);
  image.replaceWith(link);
}

function outward(link, href) {
  link.setAttribute("href", href);
  link.setAttribute("target", "_blank");
  link.setAttribute("rel", "noopener noreferrer nofollow");
}

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A" && node.hasAttribute("href")) outward(node, node.getAttribute("href"));
  // Only the classes that say a code's language mean something here; any other could dress text up as part of the page.
  if (node.hasAttribute?.("class") && !/^(language|hljs)[\w-]*( |$)/.test(node.className))
    node.removeAttribute("class");
});

function clean(html) {
  const fragment = DOMPurify.sanitize(html, RULES);
  for (const image of fragment.querySelectorAll("img")) imageAsLink(image);
  return fragment;
}

/** Characters that are parsed again on each change before finished blocks are frozen. */
const LIVE = 12_000;

/** A text that is drawn into `element` and may grow. */
export class MarkdownView {
  constructor(element) {
    this.element = element;
    this.clear();
  }

  clear() {
    this.text = "";
    /** The drawn blocks: { raw, element }. */
    this.blocks = [];
    this.frozen = { blocks: 0, characters: 0 };
    this.element.replaceChildren();
  }

  /** Show `text`. `finished` looks at all of it once more, and colours code. */
  show(text, finished) {
    if (!text.startsWith(this.text)) this.clear();
    if (finished) this.frozen = { blocks: 0, characters: 0 };
    const tokens = marked.lexer(text.slice(this.frozen.characters));
    // A link may be defined far below the block that uses it, whose own source does not change.
    if (finished && tokens.some(({ type }) => type === "def")) this.clear();
    this.text = text;
    const first = this.frozen.blocks;
    tokens.forEach((token, index) => this.draw(first + index, token));
    for (const stale of this.blocks.splice(first + tokens.length)) stale.element.remove();
    if (finished) this.element.querySelectorAll("pre > code:not([data-coloured])").forEach(colour);
    else if (text.length - this.frozen.characters > LIVE) this.freeze(tokens);
  }

  draw(index, token) {
    const old = this.blocks[index];
    if (old?.raw === token.raw) return;
    const element = h("div", { className: "block" }, clean(marked.parser([token])));
    element.querySelectorAll("pre").forEach(frameCode);
    element
      .querySelectorAll("table")
      .forEach((table) => table.replaceWith(h("div", { className: "wide", tabIndex: 0 }, table.cloneNode(true))));
    if (old) old.element.replaceWith(element);
    else this.element.append(element);
    this.blocks[index] = { raw: token.raw, element };
  }

  /** All but the last two blocks can no longer change, except by a link's definition: the final look sees to that. */
  freeze(tokens) {
    for (const token of tokens.slice(0, -2)) {
      this.frozen.blocks += 1;
      this.frozen.characters += token.raw.length;
    }
  }
}

/** Put a head with the language and a copy button over a code block. */
function frameCode(pre) {
  const code = pre.querySelector("code");
  const language = languageOf(code);
  const copy = h(
    "button",
    { type: "button", className: "word-button copy", onclick: () => copyText(copy, code) },
    icon("copy"),
    "Copy",
  );
  const frame = h(
    "div",
    { className: "code" },
    h("div", { className: "code-head" }, h("span", {}, language || "text"), copy),
  );
  pre.replaceWith(frame);
  pre.tabIndex = 0; // So that a keyboard can scroll it.
  frame.append(pre);
}

const languageOf = (code) => /(?:^| )language-([\w+#.-]+)/.exec(code?.className ?? "")?.[1] ?? "";

async function copyText(button, code) {
  // Browsers give the clipboard only to pages that came over TLS or from this machine; elsewhere the text is selected.
  if (!navigator.clipboard) return getSelection().selectAllChildren(code);
  await navigator.clipboard.writeText(code.textContent);
  button.replaceChildren(icon("check"), "Copied");
  setTimeout(() => button.replaceChildren(icon("copy"), "Copy"), 2000);
}

/** Colour one finished code block; the highlighter is fetched when the first one is seen. */
async function colour(code) {
  code.dataset.coloured = "";
  const language = languageOf(code);
  if (!language) return;
  const { default: highlighter } = await import("./vendor/highlight.js");
  if (!highlighter.getLanguage(language)) return;
  const { value } = highlighter.highlight(code.textContent, { language, ignoreIllegals: true });
  code.replaceChildren(clean(value));
}
