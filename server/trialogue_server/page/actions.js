// What the views may ask for, by name. Everything that changes a conversation goes through its OpenConversation; what moves
// between conversations stands here.

import { api, newId } from "./api.js";
import { toast } from "./dom.js";
import { ShareView } from "./view-share.js";
import { TrashView } from "./view-trash.js";

export function actionsOf(app) {
  const failed = (error) => app.failed(error);
  const box = (asked) => fromBox(app, asked);
  return {
    open: (id) => app.go(id),
    find: (message) => app.find(message, true),
    menu: () => app.drawer(true),
    close: () => app.drawer(false),
    signOut: () => app.signOut(),
    error: failed,
    send: (text, files) => app.send(text, files),
    stop: () => app.open?.stop(),
    choose: (model) => app.choose(model),
    rename: (title) => app.open?.change({ title }),
    settings: (place) => app.panel.enter(place),
    remove: () => remove(app),
    share: () => new ShareView(app.open.id, failed),
    trash: () => new TrashView((id) => app.go(id), failed),
    fork: (message) => fork(app, message),
    older: (limit) => app.open?.older(limit),
    restore: () => restore(app, app.open.id),
    // What these are asked with goes away, and the focus would be lost with it: it returns to the box.
    edit: (message, text) => box(app.open.edit(message, text, app.model())),
    regenerate: (message) => box(app.open.regenerate(message, app.model())),
    goOn: (message) => box(app.open.goOn(message)),
    decide: (call, values) => box(app.open.decide(call, values)),
    withdraw: (message) => box(app.open.withdraw(message)),
    retry: (message) => box(app.open.deliver(message)),
    show: (head) => app.switchTo(head),
    discard: (message) => app.composer.giveBack(app.open.discard(message)),
  };
}

/** Wait for what was asked; the focus goes to the box if it is still where it was asked from. */
async function fromBox(app, asked) {
  const from = document.activeElement;
  const done = await asked;
  if (done !== null && [from, document.body].includes(document.activeElement)) app.composer.focus();
  return done;
}

async function remove(app) {
  const { id } = app.open;
  try {
    await api.remove(id);
  } catch (error) {
    return app.failed(error);
  }
  app.go(null);
  toast("Moved to the trash.", ["Undo", () => restore(app, id)]);
}

async function restore(app, id) {
  try {
    await api.restore(id);
    app.go(id);
  } catch (error) {
    app.failed(error);
  }
}

/** Go on from a message in a conversation of its own. */
async function fork(app, message) {
  try {
    const { id } = await api.fork(app.open.id, { id: newId(), message: message.id });
    app.go(id);
    app.composer.focus();
    toast("This is a copy: what you say here stays here.");
  } catch (error) {
    app.failed(error);
  }
}
