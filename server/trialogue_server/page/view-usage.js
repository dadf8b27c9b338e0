// What one's answers cost, by day, model, conversation or key, and what is left of one's budgets.

import { isPlain } from "./addresses.js";
import { api } from "./api.js";
import { h } from "./dom.js";
import { choice } from "./form.js";
import { meters } from "./meters.js";
import { count, dateOf, dollars } from "./words.js";

const GROUPS = [
  ["day", "By day"],
  ["model", "By model"],
  ["conversation", "By conversation"],
  ["key", "By API key"],
];

export function usageView(needs) {
  const group = choice("group", GROUPS, "day");
  group.setAttribute("aria-label", "Add up");
  const month = h("input", { type: "month", name: "month", value: monthOf(new Date()), "aria-label": "Month" });
  const place = h("div", { className: "usage-report", "aria-live": "polite" });
  /** Answers to an older question than the last are dropped. */
  let asked = 0;
  const ask = async () => {
    const mine = ++asked;
    try {
      const report = await api.usage({ group: group.value, limit: 200, ...daysOf(month.value) });
      const names = await namesOf(group.value, report, needs);
      if (mine === asked && !needs.signal.aborted) place.replaceChildren(meters(report.budgets), table(report, names, needs));
    } catch (error) {
      if (!needs.signal.aborted) needs.failed(error);
    }
  };
  group.addEventListener("change", ask);
  month.addEventListener("change", ask);
  ask();
  return h("div", {}, h("div", { className: "side-by-side usage-choice" }, group, month), place);
}

const two = (number) => String(number).padStart(2, "0");
/** The month in UTC, as the ledger counts. */
const monthOf = (now) => `${now.getUTCFullYear()}-${two(now.getUTCMonth() + 1)}`;

/** First and last day of "2026-02"; nothing for what is no month. */
export function daysOf(month) {
  const found = /^(\d{4})-(\d{2})$/.exec(month);
  if (!found) return {};
  const last = new Date(Date.UTC(Number(found[1]), Number(found[2]), 0)).getUTCDate();
  return { from: `${month}-01`, to: `${month}-${two(last)}` };
}

/** What ids are called; an id that has no name any more stands for itself. */
async function namesOf(group, report, needs) {
  if (group === "model") return new Map(needs.models().map(({ id, name }) => [id, name]));
  if (group === "conversation") return new Map(needs.titles());
  if (group !== "key" || report.usage.length === 0) return new Map();
  return new Map((await api.keys()).keys.map(({ id, name }) => [id, name]));
}

const NAMELESS = { key: "Without a key" };

function table({ group, usage, total }, names, needs) {
  if (usage.length === 0) return h("p", { className: "hint" }, "Nothing was used in this time.");
  const label = (name) => (group === "day" ? dateOf(`${name}T12:00:00Z`) : (names.get(name) ?? name ?? NAMELESS[group] ?? "Others"));
  const named = ({ name }) =>
    group === "conversation" && names.has(name)
      ? h("a", { href: `/c/${name}`, onclick: (event) => follow(event, name, needs) }, label(name))
      : label(name);
  const heads = [GROUPS.find(([value]) => value === group)[1].slice(3), "Answers", "Tokens in", "Tokens out", "Cost"];
  return h(
    "table",
    { className: "figures" },
    h("thead", {}, h("tr", {}, ...heads.map((words) => h("th", { scope: "col" }, words.charAt(0).toUpperCase() + words.slice(1))))),
    h("tbody", {}, ...usage.map((sum) => line(named(sum), sum))),
    h("tfoot", {}, line("All of it", total)),
  );
}

function follow(event, id, { go }) {
  if (!isPlain(event)) return;
  event.preventDefault();
  go(id);
}

function line(name, sum) {
  const unknown = sum.unpriced ? h("span", { title: `${sum.unpriced} without a known price` }, "+ ?") : "";
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", {}, count(sum.runs)),
    h("td", {}, count(sum.input_tokens)),
    h("td", {}, count(sum.output_tokens)),
    h("td", {}, dollars(sum.cost), " ", unknown),
  );
}
