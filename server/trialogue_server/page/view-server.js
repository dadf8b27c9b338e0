// For administrators: the processes over this storage, how the models do, and what waits for them. It is looked at again and
// again while it is shown.

import { api } from "./api.js";
import { attempt } from "./attempt.js";
import { h } from "./dom.js";
import { ago, count, momentOf, several } from "./words.js";

const EVERY_MS = 5_000;

export function serverView(needs) {
  const place = h("div", { className: "server", "aria-busy": "true" });
  const look = async () => {
    const found = await attempt(needs, () => Promise.all([api.nodes(), api.actors(), api.models()]));
    if (needs.signal.aborted) return;
    if (found) place.replaceChildren(...drawn(...found));
    place.removeAttribute("aria-busy");
    // Where nobody looks, nothing is asked.
    const timer = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", look, { once: true, signal: needs.signal }) : look()), EVERY_MS);
    needs.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  };
  look();
  return place;
}

function drawn(nodes, actors, { models }) {
  return [
    h("h3", {}, "Processes"),
    nodes.shared ? nodeTable(nodes) : h("p", { className: "hint" }, "One process has the storage to itself."),
    h("p", { className: "hint" }, hereOf(actors)),
    h("h3", {}, "Models"),
    h("p", { className: "hint" }, "As the process sees it that answers here."),
    ...Object.entries(providersOf(models)).map(([name, its]) => provider(name, its, actors.statistics.providers?.[name])),
  ];
}

const hereOf = ({ statistics: { cells, flusher }, streams }) =>
  [
    `Here: ${several(Object.values(cells).reduce((sum, one) => sum + one, 0), "conversation")} awake`,
    `${several(streams, "stream")} open`,
    flusher.failing ? `the storage takes nothing: ${flusher.failing}` : "all that was said is kept",
  ].join(" · ");

// --- nodes -------------------------------------------------------------------------------------------------------------

function nodeTable({ nodes, answering }) {
  const heads = ["Name", "State", "Awake", "Answering", "Version", "Since"];
  return h(
    "div",
    { className: "wide", tabIndex: 0, role: "region", "aria-label": "Processes" },
    h(
      "table",
      { className: "figures" },
      h("thead", {}, h("tr", {}, ...heads.map((words) => h("th", { scope: "col" }, words)))),
      h("tbody", {}, ...nodes.map((node) => nodeRow(node, node.id === answering))),
    ),
  );
}

function nodeRow(node, here) {
  const state = stateOf(node);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, node.name, here && h("span", { className: "badge" }, "answers here"), h("span", { className: "hint" }, node.address)),
    h("td", {}, h("span", { className: `state ${state.tone}` }, state.words), node.unreachable && h("span", { className: "hint" }, node.unreachable)),
    h("td", {}, count(node.active)),
    h("td", {}, count(node.running)),
    h("td", {}, node.version),
    h("td", {}, momentOf(node.started_at)),
  );
}

/** How a node does, in a word. */
export function stateOf({ alive, draining, unreachable }) {
  if (!alive) return { tone: "bad", words: "gone" };
  if (draining) return { tone: "warn", words: "stopping" };
  return unreachable ? { tone: "warn", words: "out of reach" } : { tone: "good", words: "alive" };
}

// --- models ------------------------------------------------------------------------------------------------------------

function providersOf(models) {
  const found = {};
  for (const model of models) (found[model.provider] ??= []).push(model);
  return found;
}

const BREAKERS = { open: "not asked at present", half_open: "being tried again" };

function provider(name, models, seen) {
  const lane = seen?.lane;
  const about = [
    lane && `${several(lane.running, "answer")} being written`,
    lane?.waiting ? `${count(lane.waiting)} waiting` : null,
    BREAKERS[seen?.breaker],
  ];
  return h(
    "section",
    { className: "provider" },
    h("h4", {}, name, " ", h("span", { className: "hint" }, about.filter(Boolean).join(" · "))),
    h("ul", { className: "dialog-list" }, ...models.map((model) => modelRow(model, seen?.models?.[model.id]))),
  );
}

const TONES = { ok: "good", degraded: "warn", down: "bad", unknown: "" };
const WORDS = { ok: "fine", degraded: "some of it fails", down: "fails", unknown: "not asked of late" };

function modelRow({ name, id, health, since, reason }, seen) {
  const failed = Object.entries(seen?.failed ?? {}).map(([kind, times]) => `${count(times)} ${kind}`);
  const about = [
    id,
    seen?.asked ? `asked ${several(seen.asked, "time")}` : null,
    failed.length ? `failed: ${failed.join(", ")}` : null,
    seen?.spared ? `${count(seen.spared)} spared` : null,
    reason,
  ];
  return h(
    "li",
    {},
    h("div", { className: "row-words" }, h("strong", {}, name), h("span", { className: "hint" }, about.filter(Boolean).join(" · "))),
    h("span", { className: `state ${TONES[health]}` }, WORDS[health] ?? health, since && health !== "ok" && ` since ${ago(since)}`),
  );
}
