// The way in: sign in, here or at a place that vouches for people, or create an account.

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
  // Until the server has said how one gets in, by a password.
  let methods = { password: true, registration: "open", redirects: [] };
  const invitation = takeInvitation();
  if (invitation) mode = "register";
  const element = h("main", { className: "alone", id: "main" });
  const show = () => {
    element.replaceChildren(
      form(mode, methods, invitation, done, notice || mishap(methods), () => {
        mode = mode === "login" ? "register" : "login";
        notice = "";
        show();
      }),
    );
    element.querySelector("input, a.word-button")?.focus();
  };
  queueMicrotask(show); // The first field takes the focus, so the view must be in the page.
  api.methods().then(
    (found) => {
      const changed = JSON.stringify(found) !== JSON.stringify(methods);
      methods = found;
      if (changed) show();
    },
    () => {}, // What is shown goes for most servers, and says itself what is wrong when it is used.
  );
  return element;
}

/** The token of an invitation that the address holds, which it then no longer does. */
function takeInvitation() {
  const found = new URLSearchParams(location.search).get("invitation");
  if (found) history.replaceState(null, "", location.pathname);
  return found;
}

const MISHAPS = {
  conflict: "Your address has an account here already. Sign in with its password.",
  forbidden: "There is no account for you here, or it is disabled. Ask the administrator.",
  broken: "It cannot be reached now. Try again in a moment.",
};

/** What became of signing in elsewhere, if the browser comes back from there without success. */
function mishap({ redirects }) {
  const query = new URLSearchParams(location.search);
  if (!query.has("problem")) return "";
  const place = redirects.find(({ name }) => name === query.get("login"))?.title ?? "Elsewhere";
  return `${place}: ${MISHAPS[query.get("problem")] ?? "Signing in did not work. Try again."}`;
}

function form(mode, methods, invitation, done, notice, change) {
  const words = WORDS[mode];
  const problem = h("p", { className: "problem", role: "alert" }, notice);
  const submit = h("button", { type: "submit", className: "word-button primary" }, words.button);
  const fields = methods.password && [
    mode === "register" && field("name", "Name", { autocomplete: "name" }),
    field("email", "E-mail", { type: "email", autocomplete: "username" }),
    field("password", "Password", { type: "password", autocomplete: words.password }),
  ];
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = "";
    try {
      const values = Object.fromEntries(new FormData(event.target));
      if (mode === "register" && invitation) values.invitation = invitation;
      const user = await api[mode](values);
      if (location.search) history.replaceState(null, "", location.pathname);
      done(user);
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
    fields,
    methods.password && submit,
    methods.redirects.map(place),
    methods.password &&
      (mode === "register" || methods.registration === "open" || invitation) &&
      h(
        "p",
        { className: "other" },
        `${words.question} `,
        h("button", { type: "button", className: "link-button", onclick: change }, words.other),
      ),
  );
}

/** The way to a place that vouches for people; it comes back to where one is now. */
function place({ title, url }) {
  const to = encodeURIComponent(location.pathname);
  return h("a", { className: "word-button", href: `${url}?to=${to}` }, `Continue with ${title}`);
}

function field(name, label, properties) {
  return h("label", { className: "field" }, label, h("input", { name, required: true, ...properties }));
}
