// Where the page begins: asks who is signed in and shows the way in, or the conversations.

import { api } from "./api.js";
import { App } from "./app.js";
import { resetView, takeReset } from "./view-reset.js";
import { signInView } from "./view-sign-in.js";

const root = document.getElementById("app");

function signIn(notice = "") {
  document.title = "Trialogue";
  root.replaceChildren(signInView(enter, notice));
}

function enter(user) {
  const app = new App(user, signIn);
  root.replaceChildren(app.element);
  app.start();
}

async function begin() {
  const token = takeReset();
  if (token) return root.replaceChildren(resetView(token, signIn));
  try {
    enter(await api.me());
  } catch (error) {
    signIn(error.status === 401 ? "" : error.message);
  }
}

begin();
