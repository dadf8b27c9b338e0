// For administrators: who did what to which account, newest first, as much of it as is wanted.

import { api } from "./api.js";
import { attempt } from "./attempt.js";
import { h } from "./dom.js";
import { choice, field } from "./form.js";
import { Paged } from "./paged.js";
import { momentOf } from "./words.js";

const PAGE = 50;
/** Accounts that are read at a time. */
const PEOPLE = 200;
/** What is done to an account, and how it is told. */
const ACTIONS = {
  "account.registered": "Made an account",
  "account.updated": "Changed an account",
  "account.disabled": "Disabled an account",
  "account.enabled": "Enabled an account",
  "account.deleted": "Deleted an account",
  "role.changed": "Changed a role",
  login: "Signed in",
  "login.failed": "Failed to sign in",
  logout: "Signed out",
  "session.revoked": "Ended a session",
  "password.changed": "Changed a password",
  "password.reset_offered": "Offered a new password",
  "password.reset": "Set a new password by link",
  "key.made": "Made an API key",
  "key.revoked": "Revoked an API key",
  "invitation.made": "Invited somebody",
  "invitation.used": "Used an invitation",
  "invitation.revoked": "Took back an invitation",
  "identity.added": "Linked another way to sign in",
  "budget.changed": "Changed a budget",
};

export function auditView(needs) {
  const people = h("div", { className: "side-by-side usage-choice" });
  const names = new Map();
  const action = choice("action", [["", "Everything"], ...Object.entries(ACTIONS)]);
  const day = (name) => h("input", { type: "date", name });
  const [from, to] = [day("since"), day("until")];
  const [actor, subject] = [choice("actor", [["", "Anybody"]]), choice("subject", [["", "Anybody"]])];
  people.append(field("What", action), field("Who did it", actor), field("To whom", subject), field("From", from), field("Until", to));
  const read = (cursor) => api.audit({ ...asked({ action, actor, subject, from, to }), limit: PAGE, cursor });
  const list = new Paged(needs, read, (page) => page.entries.map((entry) => row(entry, names)), "Nothing of the kind was done.");
  people.addEventListener("change", () => list.load());
  attempt(needs, () =>
    everybody(needs, ({ id, name, email }) => {
      names.set(id, name || email);
      for (const select of [actor, subject]) select.append(h("option", { value: id }, email));
    }),
  ).then(() => list.load());
  return h("div", {}, people, list.element);
}

/** Every account, page by page, for as long as the view is shown. */
async function everybody({ signal }, take) {
  let cursor = null;
  do {
    const page = await api.users({ limit: PEOPLE, cursor });
    page.users.forEach(take);
    ({ cursor } = page);
  } while (cursor && !signal.aborted);
}

/** What to ask for: a day that is named is in it, whole. */
export function asked({ action, actor, subject, from, to }) {
  const start = (value, later) => value && new Date(new Date(`${value}T00:00:00`).getTime() + later).toISOString();
  return {
    action: action.value,
    actor: actor.value,
    subject: subject.value,
    from: start(from.value, 0),
    to: start(to.value, 24 * 3_600_000),
  };
}

function row({ at, action, actor, subject, address, request, detail }, names) {
  const called = (id) => names.get(id) ?? `account …${id.slice(-6)}`;
  const about = [
    actor ? called(actor) : "nobody we know",
    subject && subject !== actor && `to ${called(subject)}`,
    detail,
    address && `from ${address}`,
  ];
  return h(
    "li",
    { title: `Request ${request}` },
    h("div", { className: "row-words" }, h("strong", {}, ACTIONS[action] ?? action), h("span", { className: "hint" }, about.filter(Boolean).join(" · "))),
    h("time", { dateTime: at }, momentOf(at)),
  );
}
