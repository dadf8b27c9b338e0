// Where one is signed in, and signing a device out.

import { api } from "./api.js";
import { h, wordButton } from "./dom.js";
import { ago } from "./words.js";

export function devicesView({ failed, signal }) {
  const list = h("ul", { className: "dialog-list", "aria-busy": "true" });
  const end = async (id, row) => {
    try {
      await api.endSession(id);
      row.remove();
    } catch (error) {
      failed(error);
    }
  };
  api.sessions().then(
    ({ sessions }) => {
      list.replaceChildren(...sessions.map((session) => deviceRow(session, end)));
      list.removeAttribute("aria-busy");
    },
    (error) => signal.aborted || failed(error),
  );
  return h("div", {}, h("p", { className: "lead" }, "Sign out what you do not know or no longer use; it is out at once."), list);
}

function deviceRow({ id, current, agent, address, seen_at }, end) {
  const name = deviceName(agent);
  const row = h(
    "li",
    {},
    h(
      "div",
      { className: "row-words" },
      h("strong", { title: agent }, name),
      h("span", { className: "hint" }, [address, current ? "this device" : `seen ${ago(seen_at)}`].filter(Boolean).join(" · ")),
    ),
    current ? h("span", { className: "badge" }, "Here") : wordButton("leave", "Sign out", () => end(id, row), { "aria-label": `Sign out ${name}` }),
  );
  return row;
}

const BROWSERS = [
  [/Edg(e|A|iOS)?\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrom(e|ium)\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

/** "Firefox on Windows"; of what is no browser its own name. */
export function deviceName(agent) {
  const named = (table) => table.find(([pattern]) => pattern.test(agent))?.[1];
  const [browser, system] = [named(BROWSERS), named(SYSTEMS)];
  if (browser) return system ? `${browser} on ${system}` : browser;
  return agent.split(/[\s/]/)[0] || "An unknown device";
}
