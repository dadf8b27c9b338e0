// For administrators: what an account and each of its API keys may spend, what they have spent, and saying so.

import { api } from "./api.js";
import { attempt } from "./attempt.js";
import { h, wordButton } from "./dom.js";
import { field, formOf } from "./form.js";
import { meters } from "./meters.js";

/** Everything that one account may spend. */
export function budgetsView(user, needs) {
  const keys = h("div", {});
  attempt(needs, async () => {
    const found = (await api.keysOf(user.id)).keys;
    keys.replaceChildren(...found.map((key) => budgetView("keys", key.id, `Key “${key.name}”`, needs)));
  });
  return h(
    "div",
    { className: "unfolded", role: "group", "aria-label": `Budgets of ${user.email}` },
    budgetView("users", user.id, "All of it", needs),
    keys,
  );
}

/** One budget; `kind` is "users" or "keys". */
function budgetView(kind, id, title, needs) {
  const place = h("div", { className: "one-budget", "aria-live": "polite" });
  const draw = (shown) => place.replaceChildren(h("h4", {}, title), meters(shown.budgets), form(shown));
  const read = () => attempt(needs, async () => draw(await api.budget(kind, id)));
  const drop = () => attempt(needs, async () => (await api.dropBudget(kind, id), await read(), place.querySelector("input").focus()));
  const form = (shown) => {
    const made = formOf(
      h("div", { className: "side-by-side" }, ...fields(id, shown)),
      "Set",
      async (controls) => draw(await api.setBudget(kind, id, valuesOf(controls))),
      { "aria-label": title },
    );
    if (shown.set) made.lastChild.prepend(wordButton("close", kind === "keys" ? "As its owner said" : "As for everybody", drop));
    return made;
  };
  read();
  return place;
}

function fields(id, { budgets }) {
  const bound = (unit) => budgets.find((one) => one.unit === unit)?.limit ?? null;
  const money = bound("micro-dollars");
  const number = (name, value, properties) =>
    h("input", { type: "number", name, id: `${name}-${id}`, min: 0, value: value ?? "", placeholder: "No bound", ...properties });
  return [
    field("Dollars a month", number("month_micro_dollars", money === null ? null : money / 1e6, { step: "any" })),
    field("Tokens a day", number("day_tokens", bound("tokens"), { step: 1 })),
  ];
}

/** What the fields say, as the server wants it: empty is no bound. */
export function valuesOf({ month_micro_dollars: money, day_tokens: tokens }) {
  return {
    month_micro_dollars: money.value === "" ? null : Math.round(Number(money.value) * 1e6),
    day_tokens: tokens.value === "" ? null : Number(tokens.value),
  };
}
