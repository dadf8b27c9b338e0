// How much of a budget is used: a line and a bar for each that has a bound.

import { h } from "./dom.js";
import { count, dateOf, dollars } from "./words.js";

export const meters = (budgets) =>
  h("div", { className: "budgets" }, ...budgets.filter(({ limit }) => limit !== null).map(meter));

function meter({ per, unit, limit, spent, reserved, resets_at }) {
  const shown = (value) => (unit === "tokens" ? `${count(value)} tokens` : dollars(value * 1000));
  const label = `${per === "month" ? "This month" : "Today"}: ${shown(spent)} of ${shown(limit)}`;
  const about = [reserved && `${shown(reserved)} set aside for answers being written`, `full again ${dateOf(resets_at)}`];
  return h(
    "div",
    { className: "budget" },
    h("strong", {}, label),
    h("meter", { max: Math.max(limit, 1), high: limit * 0.8, value: Math.min(spent + reserved, limit), "aria-label": label }),
    h("p", { className: "hint" }, about.filter(Boolean).join(" · ")),
  );
}
