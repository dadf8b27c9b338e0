// Taking everything out, and taking in what was kept elsewhere, with its progress.

import { api } from "./api.js";
import { h, wordButton } from "./dom.js";
import { sendImport } from "./uploads.js";
import { ago, bytes } from "./words.js";

/** How often a running import is asked after. */
const ASK_MS = 800;

export function dataView(needs) {
  const imports = new ImportsView(needs);
  const document = (format, label) => h("a", { className: "word-button", href: api.exportOfAll(format), download: "" }, label);
  return h(
    "div",
    {},
    h("h3", {}, "Take everything out"),
    h("p", { className: "lead" }, "All your conversations, with the archive and the trash. The zip holds your files as well, and can be taken in again."),
    h("p", { className: "dialog-row" }, document("zip", "Zip, with files"), document("json", "JSON"), document("markdown", "Markdown, to read")),
    h("h3", {}, "Take in"),
    h("p", { className: "lead" }, "An export from here, from ChatGPT or from Claude, as the JSON or zip it came in. What is here already is left alone."),
    imports.element,
  );
}

class ImportsView {
  constructor({ failed, signal }) {
    this.failed = (error) => signal.aborted || failed(error);
    this.signal = signal;
    this.list = h("ul", { className: "dialog-list" });
    this.chooser = h("input", { type: "file", hidden: true, accept: ".json,.zip,application/json,application/zip", "aria-label": "Export to take in" });
    this.chooser.addEventListener("change", () => this.send(this.chooser.files[0]));
    this.button = wordButton("plus", "Choose a file", () => this.chooser.click());
    this.sending = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sending" });
    this.element = h("div", {}, h("p", { className: "dialog-row" }, this.button, this.chooser, this.sending), this.list);
    signal.addEventListener("abort", () => clearTimeout(this.timer));
    this.load();
  }

  /** The file is sent as long as this page is looked at; what has arrived goes on by itself. */
  async send(file) {
    this.chooser.value = "";
    if (!file) return;
    this.button.disabled = true;
    this.sending.hidden = false;
    try {
      await sendImport(file, (share) => (this.sending.value = share), this.signal);
    } catch (error) {
      this.failed(error);
    }
    this.button.disabled = false;
    this.sending.hidden = true;
    await this.load();
  }

  async load() {
    clearTimeout(this.timer);
    try {
      const { imports } = await api.imports();
      if (this.signal.aborted) return;
      this.list.replaceChildren(...imports.slice(0, 20).map((job) => this.row(job)));
      if (imports.some(isOpen)) this.timer = setTimeout(() => this.load(), ASK_MS);
    } catch (error) {
      this.failed(error);
    }
  }

  row(job) {
    const done = job.added + job.present + job.failed;
    return h(
      "li",
      {},
      h(
        "div",
        { className: "row-words" },
        h("strong", {}, importWords(job)),
        h("span", { className: "hint" }, [SOURCES[job.source], bytes(job.size), ago(job.created_at), job.detail].filter(Boolean).join(" · ")),
        job.skipped?.length ? skipped(job) : null,
      ),
      isOpen(job) && h("progress", { "aria-label": "Taking in", ...(job.total && { max: job.total, value: done }) }),
      isOpen(job) && wordButton("stop", "End", () => this.end(job)),
    );
  }

  async end(job) {
    try {
      await api.endImport(job.id);
    } catch (error) {
      this.failed(error);
    }
    await this.load();
  }
}

const SOURCES = { trialogue: "From here", chatgpt: "From ChatGPT", claude: "From Claude" };
const isOpen = ({ state }) => state === "waiting" || state === "running";
const conversations = (number) => `${number.toLocaleString()} ${number === 1 ? "conversation" : "conversations"}`;

const STATES = { waiting: "Waits its turn", running: "Being taken in", failed: "Ended early", cancelled: "Ended by you", cut_off: "Cut off" };

/** "3 conversations added, 2 were here already, 1 could not be read". */
export function importWords({ state, added = 0, present = 0, grown = 0, failed = 0 }) {
  const sums = [
    added && `${conversations(added)} added`,
    present && `${present.toLocaleString()} here already${grown ? ` (${grown.toLocaleString()} grew)` : ""}`,
    failed && `${failed.toLocaleString()} could not be taken in`,
  ].filter(Boolean);
  const told = sums.join(", ") || (state === "done" ? "Nothing new in it" : "");
  return [STATES[state], told].filter(Boolean).join(": ");
}

function skipped({ skipped: pieces }) {
  const line = ({ title, detail }) => h("li", {}, title ? `${title}: ${detail}` : detail);
  return h("details", {}, h("summary", {}, "What was left out"), h("ul", {}, ...pieces.map(line)));
}
