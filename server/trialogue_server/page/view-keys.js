// API keys: made with what they may do, shown once, looked over and revoked.

import { api } from "./api.js";
import { h, icon, iconButton, wordButton } from "./dom.js";
import { field, formOf, tick } from "./form.js";
import { ago, dateOf } from "./words.js";

export function keysView(needs) {
  const list = h("ul", { className: "dialog-list", "aria-busy": "true" });
  const fresh = h("div", { role: "status" });
  const none = h("p", { className: "hint", hidden: true }, "There are none yet.");
  const counted = () => (none.hidden = list.children.length > 0);
  const row = (key) => keyRow(key, needs, counted);
  api.keys().then(
    ({ keys }) => {
      list.replaceChildren(...keys.map(row));
      list.removeAttribute("aria-busy");
      counted();
    },
    (error) => needs.signal.aborted || needs.failed(error),
  );
  const made = ({ key, token }) => {
    list.prepend(row(key));
    counted();
    fresh.replaceChildren(shownOnce("This is the key. Copy it now: it is not shown again.", token));
  };
  return h(
    "div",
    {},
    h("p", { className: "lead" }, "A key lets a program in as you, as far as it may. Send it as ", h("code", {}, "Authorization: Bearer"), "."),
    fresh,
    list,
    none,
    h("h3", {}, "A new key"),
    making(needs.user, made),
  );
}

function making(user, made) {
  const scopes = [
    ["read", "Read", true],
    ["write", "Write", true],
    ...(user.role === "admin" ? [["admin", "Administer", false]] : []),
  ];
  const form = formOf(
    [
      field("What it is for", h("input", { name: "name", required: true, maxLength: 200, autocomplete: "off" })),
      h(
        "fieldset",
        { className: "ticks" },
        h("legend", {}, "What it may do"),
        scopes.map(([name, label, on]) => tick(name, label, on)),
      ),
      h(
        "div",
        { className: "side-by-side" },
        field("Good until", h("input", { type: "date", name: "expires_at" }), "The end of that day. Empty: until it is revoked."),
        field("Dollars a month", h("input", { type: "number", name: "budget", min: 0, step: "any" }), "Empty: as much as you."),
      ),
    ],
    "Make the key",
    async (controls) => {
      made(await api.makeKey(keyOf(controls, scopes)));
      form.reset();
    },
  );
  return form;
}

function keyOf(controls, scopes) {
  const { name, expires_at: until, budget } = controls;
  return {
    name: name.value,
    scopes: scopes.map(([scope]) => scope).filter((scope) => controls[scope].checked),
    expires_at: until.value ? new Date(`${until.value}T23:59:59`).toISOString() : null,
    budget: budget.value ? Math.round(Number(budget.value) * 1e6) : null,
  };
}

function keyRow(key, { failed }, counted) {
  const over = key.expires_at && new Date(key.expires_at) < Date.now();
  const about = [
    key.scopes.join(", "),
    key.used_at ? `used ${ago(key.used_at)}` : "never used",
    key.expires_at && `${over ? "expired" : "until"} ${dateOf(key.expires_at)}`,
    key.budget !== null && `$${key.budget / 1e6} a month`,
  ];
  const revoke = async () => {
    try {
      await api.dropKey(key.id);
      row.remove();
      counted();
    } catch (error) {
      failed(error);
    }
  };
  const ask = iconButton("trash", `Revoke ${key.name}`, () => {
    const sure = wordButton("trash", "Revoke?", revoke, { className: "word-button danger" });
    ask.replaceWith(sure);
    sure.focus();
  });
  const row = h(
    "li",
    {},
    h("div", { className: "row-words" }, h("strong", {}, key.name), h("span", { className: "hint" }, about.filter(Boolean).join(" · "))),
    ask,
  );
  return row;
}

/** A secret with a button that copies it. */
export function shownOnce(words, value) {
  const box = h("input", { readOnly: true, value, "aria-label": words, className: "secret", onfocus: () => box.select() });
  const copy = iconButton("copy", "Copy", async () => {
    box.select();
    await navigator.clipboard?.writeText(value);
    copy.replaceChildren(icon("check"));
  });
  return h("div", { className: "shown-once" }, h("p", {}, words), h("div", { className: "dialog-row" }, box, copy));
}
