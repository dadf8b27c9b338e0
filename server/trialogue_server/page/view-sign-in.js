// The way in: sign in, or create an account.

import { api } from "./api.js";
import { h } from "./dom.js";

const WORDS = {
  login: {
    title: "Sign in",
    button: "Sign in",
    question: "New here?",
    other: "Create an account",
    password: "current-password",
  },
  register: {
    title: "Create an account",
    button: "Create account",
    question: "Have an account?",
    other: "Sign in",
    password: "new-password",
  },
};

/** The view; `done(user)` is called once the session stands. `notice` says why one is here, if not by choice. */
export function signInView(done, notice = "") {
  let mode = "login";
  const element = h("main", { className: "alone", id: "main" });
  const show = () => {
    element.replaceChildren(
      form(mode, done, notice, () => {
        mode = mode === "login" ? "register" : "login";
        notice = "";
        show();
      }),
    );
    element.querySelector("input").focus();
  };
  queueMicrotask(show); // The first field takes the focus, so the view must be in the page.
  return element;
}

function form(mode, done, notice, change) {
  const words = WORDS[mode];
  const problem = h("p", { className: "problem", role: "alert" }, notice);
  const submit = h("button", { type: "submit", className: "word-button primary" }, words.button);
  const fields = [
    mode === "register" && field("name", "Name", { autocomplete: "name" }),
    field("email", "E-mail", { type: "email", autocomplete: "username" }),
    field("password", "Password", { type: "password", autocomplete: words.password }),
  ];
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = "";
    try {
      done(await api[mode](Object.fromEntries(new FormData(event.target))));
    } catch (error) {
      problem.textContent = [error.message, ...(error.errors ?? []).map(({ detail }) => detail)].join(" ");
      submit.disabled = false;
    }
  };
  return h(
    "form",
    { className: "sign-in", onsubmit },
    h("img", { src: "/page/icon.svg", alt: "", width: 44, height: 44 }),
    h("h1", {}, words.title),
    problem,
    ...fields,
    submit,
    h(
      "p",
      { className: "other" },
      `${words.question} `,
      h("button", { type: "button", className: "link-button", onclick: change }, words.other),
    ),
  );
}

function field(name, label, properties) {
  return h("label", { className: "field" }, label, h("input", { name, required: true, ...properties }));
}
