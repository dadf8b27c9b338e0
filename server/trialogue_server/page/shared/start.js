// A shared conversation, to be read: what the link in the address shows, page by page. Nothing can be changed here.

import { h } from "../dom.js";
import { PartsView } from "../view-parts.js";
import { modelName, timeOf } from "../words.js";

const PAGE = 100;
const where = `/api/shared/${encodeURIComponent(/^\/s\/([^/]+)/.exec(location.pathname)?.[1] ?? "")}`;
const UNFINISHED = { incomplete: "Unfinished.", failed: "Failed.", cancelled: "Stopped." };

const root = document.getElementById("shared");
const log = h("div", { className: "shared-log" });
const more = h("button", { type: "button", className: "word-button", hidden: true, onclick: () => load() }, "More");
let cursor = null;

async function load() {
  more.disabled = true;
  try {
    const page = await read();
    if (!log.isConnected) begin(page);
    log.append(...page.messages.map(view));
    cursor = page.cursor;
    more.hidden = !page.has_more;
  } catch (error) {
    if (log.isConnected) more.hidden = false;
    else root.replaceChildren(h("p", { className: "shared-note", role: "alert" }, error.message));
  }
  more.disabled = false;
  root.setAttribute("aria-busy", "false");
}

async function read() {
  const query = new URLSearchParams({ limit: PAGE, ...(cursor ? { cursor } : {}) });
  const response = await fetch(`${where}?${query}`, { cache: "no-store", credentials: "omit" }).catch(() => null);
  if (!response) throw new Error("The server cannot be reached. Try again in a moment.");
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(response.status === 404 ? "This link shows nothing any more." : answer.detail);
  return answer;
}

function begin(page) {
  const title = page.title || "Shared conversation";
  document.title = title;
  const on = h("time", { dateTime: page.shared_at }, new Date(page.shared_at).toLocaleDateString());
  const head = h("header", { className: "shared-head" }, h("h1", {}, title), h("p", {}, "Shared on ", on, ". Read only."));
  root.replaceChildren(head, log, more);
}

function view(message) {
  const mine = message.role === "user";
  const parts = new PartsView(message.role, false);
  parts.show(message.parts.filter(({ type }) => type !== "file"), true);
  const files = message.parts.filter(({ type }) => type === "file");
  const time = new Date(message.created_at);
  return h(
    "article",
    { className: `message ${message.role}`, dataset: { status: message.status } },
    h(
      "header",
      { className: "message-head" },
      h("span", { className: "who" }, mine ? "Person" : modelName([], message.model)),
      h("time", { dateTime: message.created_at, title: time.toLocaleString() }, timeOf(message.created_at)),
    ),
    parts.element,
    ...files.map(fileLink),
    UNFINISHED[message.status] && h("p", { className: "note incomplete" }, UNFINISHED[message.status]),
  );
}

const fileLink = ({ file, name }) =>
  h("p", { className: "part file" }, h("a", { href: `${where}/files/${encodeURIComponent(file)}` }, `File: ${name}`));

load();
