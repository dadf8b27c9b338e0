// For administrators: who has an account, what they may be and do, and what they may spend.

import { api } from "./api.js";
import { attempt } from "./attempt.js";
import { h, wordButton } from "./dom.js";
import { choice } from "./form.js";
import { Paged } from "./paged.js";
import { budgetsView } from "./view-budgets.js";
import { invitationsView, ROLES } from "./view-invitations.js";
import { shownOnce } from "./view-keys.js";
import { dateOf } from "./words.js";

const PAGE = 50;

export function usersView(needs) {
  return h("div", {}, h("h3", {}, "Accounts"), accounts(needs), h("h3", {}, "Invitations"), invitationsView(needs));
}

function accounts(needs) {
  const search = h("input", { type: "search", placeholder: "Name or address", "aria-label": "Search accounts", autocomplete: "off" });
  const read = (cursor) => api.users({ q: search.value.trim(), limit: PAGE, cursor });
  const list = new Paged(needs, read, (page) => page.users.map((user) => rowOf(user, needs)), "Nobody is called so.");
  search.addEventListener("input", () => list.soon());
  list.load();
  return h("div", {}, search, list.element);
}

function rowOf(user, needs) {
  const self = user.id === needs.user.id;
  const said = h("div", { role: "status" });
  // The row is drawn anew with what the server says, also when it refused.
  const change = async (values, from) => {
    const fresh = rowOf((await attempt(needs, () => api.changeUser(user.id, values))) ?? user, needs);
    row.replaceWith(fresh);
    fresh.querySelector(`[data-does="${from}"]`)?.focus();
  };
  const row = h(
    "li",
    { className: user.disabled ? "disabled" : "" },
    h(
      "div",
      { className: "row-words" },
      h("strong", {}, user.name || user.email),
      h("span", { className: "hint" }, [user.email, `since ${dateOf(user.created_at)}`, user.disabled && "disabled"].filter(Boolean).join(" · ")),
      said,
    ),
    self ? h("span", { className: "badge" }, "You") : roleOf(user, change),
    spending(user, needs),
    !self && wordButton("again", "Reset", () => offerReset(user, needs, said), { "aria-label": `Reset the password of ${user.email}` }),
    !self && ability(user, change),
  );
  return row;
}

function roleOf(user, change) {
  const role = choice("role", ROLES, user.role);
  role.dataset.does = "role";
  role.setAttribute("aria-label", `Role of ${user.email}`);
  role.addEventListener("change", () => change({ role: role.value }, "role"));
  return role;
}

function ability({ email, disabled }, change) {
  const word = disabled ? "Enable" : "Disable";
  return wordButton(disabled ? "check" : "close", word, () => change({ disabled: !disabled }, "ability"), {
    "aria-label": `${word} ${email}`,
    dataset: { does: "ability" },
  });
}

/** What they may spend is unfolded below the row. */
function spending(user, needs) {
  let unfolded = null;
  const turn = () => {
    if (unfolded) unfolded.remove();
    else button.parentElement.append(budgetsView(user, needs));
    unfolded = unfolded ? null : button.parentElement.lastChild;
    button.setAttribute("aria-expanded", String(unfolded !== null));
  };
  const button = wordButton("coin", "Budget", turn, { "aria-label": `Budget of ${user.email}`, "aria-expanded": "false" });
  return button;
}

const offerReset = (user, needs, said) =>
  attempt(needs, async () => {
    const { token } = await api.offerReset(user.id);
    const link = `${location.origin}/#reset=${token}`;
    said.replaceChildren(shownOnce("With this link a new password can be set, once, within a day.", link));
  });
