// One's own account: its name and address, its password, and its end.

import { api } from "./api.js";
import { h, toast, wordButton } from "./dom.js";
import { field, formOf } from "./form.js";

export function accountView({ user, changed, left }) {
  return h(
    "div",
    {},
    h("h3", {}, "Who you are"),
    identity(user, changed),
    h("h3", {}, "Password"),
    password(),
    h("h3", {}, "The end of it"),
    ending(left),
  );
}

const secret = (name, autocomplete, properties = {}) =>
  h("input", { type: "password", name, autocomplete, required: true, ...properties });

function identity(user, changed) {
  const address = h("input", { type: "email", name: "email", value: user.email, autocomplete: "email", required: true });
  const proof = field("Password, to change the address", secret("password", "current-password", { required: false, id: "proof" }));
  proof.hidden = true;
  address.addEventListener("input", () => (proof.hidden = address.value === user.email));
  return formOf(
    [field("Name", h("input", { name: "name", value: user.name, maxLength: 200, autocomplete: "name" })), field("E-mail", address), proof],
    "Save",
    async (controls) => {
      const values = { name: controls.name.value };
      if (controls.email.value !== user.email) Object.assign(values, { email: controls.email.value, password: controls.password.value });
      Object.assign(user, await api.changeMe(values));
      changed();
      controls.password.value = "";
      proof.hidden = true;
      toast("Saved.");
    },
  );
}

function password() {
  const form = formOf(
    [
      h(
        "div",
        { className: "side-by-side" },
        field("The one you have", secret("old", "current-password")),
        field("A new one", secret("new", "new-password")),
      ),
      h("p", { className: "hint" }, "Your other devices are signed out by this; API keys stay."),
    ],
    "Change the password",
    async (controls) => {
      await api.changePassword({ old: controls.old.value, new: controls.new.value });
      form.reset();
      toast("The password is changed. Your other devices are signed out.");
    },
  );
  return form;
}

/** Asked for twice: a button first, and then the password. */
function ending(left) {
  const form = formOf(
    [
      h("p", {}, "Your account, your conversations and your files go for good. Nobody can bring them back."),
      field("Password", secret("password", "current-password", { id: "ending" })),
    ],
    "Delete my account",
    async (controls) => {
      await api.deleteMe({ password: controls.password.value });
      left("Your account is deleted.");
    },
  );
  form.querySelector("[type=submit]").className = "word-button danger";
  const ask = wordButton("trash", "Delete my account…", () => {
    ask.replaceWith(form);
    form.elements.password.focus();
  });
  return ask;
}
