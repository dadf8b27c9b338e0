// The box in which settings are: which one is shown stands behind the `#` of the address, so that it can be reloaded, linked
// and left by going back. A panel is one step of the history, however many of its pages were looked at.

import { isPlain } from "./addresses.js";
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { accountView } from "./view-account.js";
import { auditView } from "./view-audit.js";
import { dataView } from "./view-data.js";
import { devicesView } from "./view-devices.js";
import { filesView } from "./view-files.js";
import { keysView } from "./view-keys.js";
import { serverView } from "./view-server.js";
import { settingsView } from "./view-settings.js";
import { usageView } from "./view-usage.js";
import { usersView } from "./view-users.js";

/** By name in the address: the heading, what makes the content, and whose it is. */
const PLACES = {
  settings: { title: "Settings of this conversation", view: settingsView, of: "conversation" },
  account: { title: "Account", view: accountView },
  devices: { title: "Devices", view: devicesView },
  keys: { title: "API keys", view: keysView },
  usage: { title: "Usage", view: usageView },
  files: { title: "Files", view: filesView },
  data: { title: "Import and export", view: dataView },
  users: { title: "People", view: usersView, of: "admin" },
  audit: { title: "Audit log", view: auditView, of: "admin" },
  server: { title: "Server", view: serverView, of: "admin" },
};

export class Panel {
  /**
   * What views need: `user`; `open()`, the conversation that is open or null; `models()`; `folders()`; `titles()`; `go(id)`;
   * `changed()`, the account says something else; `failed(error)`; `left(notice)`, nobody is signed in any more.
   */
  constructor(needs) {
    this.needs = needs;
    this.dialog = null;
    /** What is shown, as `keyOf` says it. */
    this.shown = null;
    /** The step in the history before is this page's own: leaving the panel goes back there. */
    this.entered = false;
  }

  /** Show a place: the address first, and what it says follows. */
  enter(name) {
    this.entered = true;
    location.hash = name;
  }

  /** Show what the address says, if it is not shown already. */
  follow() {
    const name = location.hash.slice(1);
    const place = Object.hasOwn(PLACES, name) && this.allows(PLACES[name]) ? PLACES[name] : null;
    const open = this.needs.open();
    // The settings of a conversation wait until it is here; the page draws again then.
    if (place?.of === "conversation" && !open?.state) return this.close();
    const key = place && (place.of === "conversation" ? `${name} ${open.id}` : name);
    if (key === this.shown) return;
    if (!place) return this.close();
    this.shown = key;
    this.show(name, place);
  }

  allows(place) {
    return place.of !== "admin" || this.needs.user.role === "admin";
  }

  show(name, place) {
    this.leaveView();
    this.leaving = new AbortController();
    const view = place.view({ ...this.needs, close: () => this.leave(), signal: this.leaving.signal });
    const content = [place.of !== "conversation" && this.tabs(name), h("section", { className: "panel-view", "aria-label": place.title }, view)];
    const again = this.dialog?.querySelector("nav:focus-within");
    if (!this.dialog) this.open();
    this.dialog.querySelector("h2").textContent = place.of === "conversation" ? place.title : "Settings";
    this.body.replaceChildren(...content.filter(Boolean));
    this.body.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (again) this.body.querySelector("[aria-current]")?.focus();
  }

  open() {
    this.dialog = openDialog("Settings", (body) => (this.body = body));
    this.dialog.classList.add("panel");
    this.dialog.addEventListener("close", () => this.leave());
  }

  /** Links to the other places: they take this one's step in the history. */
  tabs(current) {
    const links = Object.entries(PLACES)
      .filter(([, place]) => place.of !== "conversation" && this.allows(place))
      .map(([name, { title }]) =>
        h(
          "a",
          { href: `#${name}`, "aria-current": name === current ? "page" : null, onclick: (event) => this.turn(event, name) },
          title,
        ),
      );
    return h("nav", { className: "tabs", "aria-label": "Settings" }, ...links);
  }

  turn(event, name) {
    if (!isPlain(event)) return;
    event.preventDefault();
    location.replace(`#${name}`);
  }

  /** The user closes it: the address follows. */
  leave() {
    if (!this.dialog) return;
    this.close();
    if (!location.hash) return;
    if (this.entered) history.back();
    else history.replaceState(null, "", location.pathname);
    this.entered = false;
  }

  /** It goes because the address says so already, or because nobody is signed in any more. */
  close() {
    this.leaveView();
    const { dialog } = this;
    this.dialog = this.shown = null;
    dialog?.close();
  }

  leaveView() {
    this.leaving?.abort();
  }
}
