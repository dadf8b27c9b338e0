// For administrators: who is invited to make an account.

import { api } from "./api.js";
import { attempt } from "./attempt.js";
import { h, wordButton } from "./dom.js";
import { choice, field, formOf } from "./form.js";
import { Paged } from "./paged.js";
import { shownOnce } from "./view-keys.js";
import { dateOf } from "./words.js";

export const ROLES = [
  ["user", "User"],
  ["admin", "Administrator"],
];

export function invitationsView(needs) {
  const fresh = h("div", { role: "status" });
  const open = (page) => page.invitations.filter(isOpen).map((one) => invited(one, needs));
  const list = new Paged(needs, (cursor) => api.invitations({ limit: 100, cursor }), open, "Nobody is invited at present.");
  list.load();
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
      fresh.replaceChildren(shownOnce("Pass this link on: it makes one account, and is not shown again.", addressOf(made.token)));
      list.load();
      form.reset();
    },
  );
  return h("div", {}, fresh, list.element, form);
}

const addressOf = (token) => `${location.origin}/?invitation=${token}`;
const isOpen = ({ used_at, expires_at }) => !used_at && new Date(expires_at) > Date.now();

function invited({ id, email, role, expires_at }, needs) {
  const who = email ?? "Anyone";
  const row = h(
    "li",
    {},
    h(
      "div",
      { className: "row-words" },
      h("strong", {}, who),
      h("span", { className: "hint" }, `${role === "admin" ? "as administrator · " : ""}until ${dateOf(expires_at)}`),
    ),
    wordButton("trash", "Take back", () => attempt(needs, async () => (await api.uninvite(id), row.remove())), {
      "aria-label": `Take back the invitation of ${who}`,
    }),
  );
  return row;
}
