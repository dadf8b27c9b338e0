// Small helpers for building the page without a framework and without HTML strings.

/** An element. `properties` are DOM properties, except `on…` (listeners), `dataset`, `aria-…`, `role` and `for`. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name in element && !name.startsWith("aria-") && name !== "role") element[name] = value;
  else element.setAttribute(name, value);
}

const PATHS = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  pencil: "M4 20l1-4L16.5 4.5a1.8 1.8 0 0 1 2.6 0l.4.4a1.8 1.8 0 0 1 0 2.6L8 19l-4 1zM14.5 6.5l3 3",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7.5 7.5h9v9h-9z",
  again: "M20 12a8 8 0 1 1-2.5-5.8M20 4v5h-5",
  on: "M7 5l10 7-10 7z",
  copy: "M9 9h10v11H9zM6 15H5V4h10v2",
  check: "M5 12.5l4.5 4.5L19 7.5",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  share: "M12 15V4M8 8l4-4 4 4M6 12H4.5v8h15v-8H18",
  fork: "M7 4v16M7 12h4a5 5 0 0 0 5-5V4M13 7l3-3 3 3",
  clip: "M19.5 11.5l-7.6 7.6a4.6 4.6 0 0 1-6.5-6.5l8-8a3.1 3.1 0 0 1 4.4 4.4l-7.9 7.9a1.5 1.5 0 0 1-2.2-2.2l7.1-7.1",
  leave: "M10 5H5v14h5M14 8l4 4-4 4M9 12h9",
  sliders: "M5 8h8M17 8h2M5 16h2M11 16h8M15 6v4M9 14v4",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  gear: "M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.1 2.1M16.3 16.3l2.1 2.1M5.6 18.4l2.1-2.1M16.3 7.7l2.1-2.1",
  coin: "M12 20a8 8 0 1 1 0-16 8 8 0 0 1 0 16zM14.5 9.5c-.5-1-1.4-1.4-2.5-1.4-1.5 0-2.5.7-2.5 1.9 0 2.7 5.2 1.2 5.2 4 0 1.2-1.1 2-2.7 2-1.2 0-2.2-.5-2.7-1.6M12 6.8v10.4",
  search: "M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13zM15.5 15.5L20 20",
};

/** A line icon; it carries no meaning of its own, so every button that shows one has a label. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", `icon-${name}`);
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon, named by its label for those who do not see it and in a tooltip for those who do. */
export function iconButton(name, label, onclick, properties = {}) {
  return h(
    "button",
    { type: "button", className: "icon-button", title: label, "aria-label": label, onclick, ...properties },
    icon(name),
  );
}

/** A button with an icon and words. */
export function wordButton(name, label, onclick, properties = {}) {
  return h("button", { type: "button", className: "word-button", onclick, ...properties }, icon(name), label);
}

/** Call `work` at most once per animation frame, however often the returned function is called. */
export function oncePerFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

/**
 * Call `act` when `element` comes within `margin` of what `root` shows. The returned function looks anew: an observer tells of
 * changes alone, and what `act` brought may have been too little for one.
 */
export function whenSeen(root, element, margin, act) {
  const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && act(), { root, rootMargin: margin });
  observer.observe(element);
  return () => {
    observer.unobserve(element);
    observer.observe(element);
  };
}

let toasts = null;

/** Say something at the edge of the page for a while; `action` is an optional [label, function] button. */
export function toast(text, action = null) {
  // The live region must exist before text enters it, or screen readers stay silent.
  toasts ??= h("div", { className: "toasts", role: "status" });
  // What lies outside an open dialog is below it, and out of reach.
  const place = document.querySelector("dialog[open]") ?? document.body;
  if (toasts.parentElement !== place) place.append(toasts);
  const close = () => note.remove();
  const button =
    action &&
    h("button", { type: "button", className: "link-button", onclick: () => (close(), action[1]()) }, action[0]);
  const note = h("p", { className: "toast" }, text, button, iconButton("close", "Dismiss", close));
  toasts.append(note);
  setTimeout(close, 10000);
}
