// One open conversation: its state as folded from the stream, what was sent and not yet heard of, and the commands on it.
//
// Views get the whole of it on each change and draw what they need. A message that was sent is shown at once and leaves
// `sending` when the log has it; its id is ours, so a repeat of the call can never say it twice.

import { api, ApiError, newId } from "./api.js";
import { evolve, fromSnapshot, prepend } from "./fold.js";
import { Stream } from "./stream.js";

const PAGE = 50;

export class OpenConversation {
  /**
   * `on.change()` after anything that is shown changed; `on.lost(error)`; `on.error(error)`.
   * `fresh` are the values of a conversation that is yet to be created.
   */
  constructor(id, on, fresh = null) {
    this.id = id;
    this.on = on;
    /** What to create it with before anything is said in it; null when the server has it. */
    this.fresh = fresh;
    /** A fold's state; null until the first snapshot. */
    this.state = null;
    /** Messages on their way: { id, text, files, model, error }. */
    this.sending = [];
    this.line = { state: "connecting", seconds: 0 };
    this.loadingOlder = false;
    /** The run we asked to stop and that has not ended yet. */
    this.stopping = null;
    this.stream = null;
    this.delivered = Promise.resolve();
  }

  follow() {
    this.stream = new Stream(`/api/conversations/${encodeURIComponent(this.id)}/events`, {
      event: (type, value, cursor) => this.take(type, value, cursor),
      state: (state, seconds) => this.changed({ line: { state, seconds } }),
      end: (error) => this.on.lost(error),
    });
  }

  close() {
    this.stream?.close();
    this.on = { change() {}, lost() {}, error() {} };
  }

  changed(fields = {}) {
    Object.assign(this, fields);
    this.on.change();
  }

  take(type, value) {
    if (type === "reset") return;
    const before = this.state;
    if (type === "snapshot") this.state = fromSnapshot(value);
    else this.state = evolve(before, value);
    if (this.state.stale) this.stream.restart();
    this.forgetHeard();
    if (this.state.run?.run !== this.stopping) this.stopping = null;
    this.changed();
  }

  /** Drop from `sending` what the log or the inbox has. */
  forgetHeard() {
    if (this.sending.length === 0) return;
    const heard = new Set(
      [...this.state.messages, ...this.state.inbox.map((queued) => queued.message)].map(({ id }) => id),
    );
    this.sending = this.sending.filter(({ id }) => !heard.has(id));
  }

  /** Say something. Resolves when the server has it or has refused it; the refusal stands in `sending`. */
  send(text, model, files = []) {
    const message = { id: newId(), text, files, model, error: null };
    this.changed({ sending: [...this.sending, message] });
    return this.deliver(message);
  }

  /** One after the other, so that what was said first stands first. */
  deliver(message) {
    this.mark(message, null);
    this.delivered = this.delivered.then(() => this.post(message));
    return this.delivered;
  }

  async post(message) {
    try {
      await this.created();
      const { id, text, model } = message;
      const files = message.files.map((file) => file.id);
      await api.post(this.id, { id, text, files, model: model ?? undefined });
    } catch (error) {
      this.mark(message, error.message);
    }
  }

  async created() {
    if (!this.fresh) return;
    await api.create({ id: this.id, ...this.fresh });
    this.fresh = null;
    this.follow();
  }

  mark({ id }, error) {
    this.changed({ sending: this.sending.map((one) => (one.id === id ? { ...one, error } : one)) });
  }

  /** Give up a message that could not be sent; returns what it says. */
  discard({ id, text, files }) {
    this.changed({ sending: this.sending.filter((one) => one.id !== id) });
    return { text, files };
  }

  async stop() {
    const run = this.state?.run;
    if (!run) return;
    this.changed({ stopping: run.run });
    const stopped = await this.attempt(() => api.stop(this.id, { run: run.run, seen: this.stream.cursor }));
    if (!stopped) this.changed({ stopping: null });
  }

  /** The files of a message go with its new version. */
  edit = (message, text, model) => {
    const files = message.parts.filter(({ type }) => type === "file").map(({ file }) => file);
    return this.attempt(() => api.edit(message.id, { id: newId(), text, files, model: model ?? undefined }));
  };
  regenerate = (message, model) => this.attempt(() => api.regenerate(message.id, { model: model ?? undefined }));
  goOn = (message) => this.attempt(() => api.continue(message.id));
  decide = (call, values) => this.attempt(() => api.approve(call, values));
  withdraw = (message) => this.attempt(() => api.withdraw(this.id, message.id));
  change = (values) => this.attempt(() => api.change(this.id, values));

  async older(limit = PAGE) {
    if (!this.state?.hasMore || this.loadingOlder) return;
    this.changed({ loadingOlder: true });
    const first = this.state.messages[0];
    const page = await this.attempt(() => api.older(this.id, first.id, limit));
    // The branch may have been replaced meanwhile; then this page belongs to another one.
    if (page && this.state.messages[0]?.id === first.id) this.state = prepend(this.state, page.messages, page.has_more);
    this.changed({ loadingOlder: false });
  }

  /** The call's answer (`true` for an empty one), or null after its failure was reported. */
  async attempt(call) {
    try {
      return (await call()) ?? true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.on.error(error);
      return null;
    }
  }
}
