// For administrators: who has an account, what they may be and do, and who is invited.

import { api } from "./api.js";
import { h, wordButton } from "./dom.js";
import { choice, field, formOf } from "./form.js";
import { shownOnce } from "./view-keys.js";
import { dateOf } from "./words.js";

const PAGE = 50;
const ROLES = [
  ["user", "User"],
  ["admin", "Administrator"],
];

export function usersView(needs) {
  const users = new UsersView(needs);
  return h("div", {}, h("h3", {}, "Accounts"), users.element, h("h3", {}, "Invitations"), invitations(needs));
}

class UsersView {
  constructor(needs) {
    this.needs = needs;
    this.cursor = null;
    /** Answers to an older question than the last are dropped. */
    this.asked = 0;
    this.search = h("input", { type: "search", placeholder: "Name or address", "aria-label": "Search accounts", autocomplete: "off" });
    this.search.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(null), 200);
    });
    this.list = h("ul", { className: "dialog-list" });
    this.more = h("button", { type: "button", className: "word-button", hidden: true, onclick: () => this.load(this.cursor) }, "More");
    this.element = h("div", {}, this.search, this.list, this.more);
    this.load(null);
  }

  async load(cursor) {
    const mine = ++this.asked;
    await attempt(this.needs, async () => {
      const page = await api.users({ q: this.search.value.trim(), limit: PAGE, cursor });
      if (mine !== this.asked) return;
      if (!cursor) this.list.replaceChildren();
      this.list.append(...page.users.map((user) => this.row(user)));
      this.cursor = page.cursor;
      this.more.hidden = !page.has_more;
    });
  }

  row(user) {
    const self = user.id === this.needs.user.id;
    const said = h("div", { role: "status" });
    // The row is drawn anew with what the server says, also when it refused.
    const change = async (values) => {
      const changed = await attempt(this.needs, () => api.changeUser(user.id, values));
      row.replaceWith(this.row(changed ?? user));
    };
    const role = choice("role", ROLES, user.role);
    role.setAttribute("aria-label", `Role of ${user.email}`);
    role.addEventListener("change", () => change({ role: role.value }));
    const reset = () =>
      attempt(this.needs, async () => {
        const { token } = await api.offerReset(user.id);
        said.replaceChildren(shownOnce("With this link a new password can be set, once, within a day.", addressOf(`#reset=${token}`)));
      });
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
      self ? h("span", { className: "badge" }, "You") : role,
      !self && wordButton("again", "Reset", reset, { "aria-label": `Offer ${user.email} a new password` }),
      !self &&
        wordButton(user.disabled ? "check" : "close", user.disabled ? "Enable" : "Disable", () => change({ disabled: !user.disabled }), {
          "aria-label": `${user.disabled ? "Enable" : "Disable"} ${user.email}`,
        }),
    );
    return row;
  }
}

const addressOf = (path) => `${location.origin}/${path}`;

/** What the work came to, or null after its failure was told. */
async function attempt({ failed, signal }, work) {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted) failed(error);
    return null;
  }
}

function invitations(needs) {
  const fresh = h("div", { role: "status" });
  const list = h("ul", { className: "dialog-list" });
  attempt(needs, async () => list.append(...(await api.invitations({ limit: 100 })).invitations.filter(isOpen).map((one) => invited(one, needs))));
  const form = formOf(
    [
      h(
        "div",
        { className: "side-by-side" },
        field("For the address", h("input", { type: "email", name: "email", autocomplete: "off" }), "Empty: for anyone who has the link."),
        field("As", choice("role", ROLES, "user")),
        field("Days", h("input", { type: "number", name: "days", min: 1, max: 366, value: "7", required: true })),
      ),
    ],
    "Invite",
    async ({ email, role, days }) => {
      const made = await api.invite({ email: email.value.trim() || null, role: role.value, days: Number(days.value) });
      fresh.replaceChildren(shownOnce("Pass this link on: it makes one account, and is not shown again.", addressOf(`?invitation=${made.token}`)));
      list.prepend(invited(made.invitation, needs));
      form.reset();
    },
  );
  return h("div", {}, fresh, list, form);
}

const isOpen = ({ used_at, expires_at }) => !used_at && new Date(expires_at) > Date.now();

function invited({ id, email, role, expires_at }, needs) {
  const row = h(
    "li",
    {},
    h(
      "div",
      { className: "row-words" },
      h("strong", {}, email ?? "Anyone"),
      h("span", { className: "hint" }, `${role === "admin" ? "as administrator · " : ""}until ${dateOf(expires_at)}`),
    ),
    wordButton("trash", "Take back", () => attempt(needs, async () => (await api.uninvite(id), row.remove()))),
  );
  return row;
}
