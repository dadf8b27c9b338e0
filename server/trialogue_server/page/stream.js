// Follows the events at one address and never gives up: reconnects from the last cursor, and hands over each event once.
//
// What arrives twice is dropped by its number; what arrives too early means that something was lost, so the line is taken
// up again from the last good cursor. Only a missing conversation or a lost session ends it.

import { ApiError, problemOf } from "./api.js";
import { readEvents } from "./sse.js";

/** The server sends a comment every 15 s; two and a half of them missing mean that the line is dead. */
const SILENCE_MS = 40_000;
/** A tab nobody looks at gives its connection back after this: one server gets at most six from a browser. */
const HIDDEN_MS = 60_000;
const BACKOFF_MS = { first: 250, most: 10_000 };

/** The event's number, the last field of its cursor, which otherwise is not ours to read. */
export const numberOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf(".") + 1));

class Gap extends Error {}

export class Stream {
  /**
   * `on.event(type, data, cursor)`; `on.state("connecting" | "live" | "waiting" | "paused", seconds)`; `on.end(error)`.
   * `hidden`: after so many milliseconds in which nobody looks at the tab, its connection is given back.
   */
  constructor(url, on, hidden = HIDDEN_MS) {
    this.url = url;
    this.on = on;
    this.hidden = hidden;
    /** Of the last event that was handed over; null asks for a snapshot. */
    this.cursor = null;
    this.attempt = 0;
    this.least = BACKOFF_MS.first;
    this.closed = false;
    this.paused = false;
    /** The next connection is wanted without a pause. */
    this.now = false;
    /** Ends what is being waited for: the connection, or the pause before the next one. */
    this.wake = () => {};
    this.listen();
    this.follow();
  }

  close() {
    this.closed = true;
    this.wake();
    this.deafen.abort();
    clearTimeout(this.hiding);
  }

  /** Forget the cursor: the next thing that arrives is a snapshot. */
  restart() {
    this.cursor = null;
    this.now = true;
    this.wake();
  }

  listen() {
    this.deafen = new AbortController();
    const { signal } = this.deafen;
    addEventListener("online", () => this.hurry(), { signal });
    document.addEventListener("visibilitychange", () => this.looked(), { signal });
  }

  looked() {
    clearTimeout(this.hiding);
    if (!document.hidden) this.hurry();
    else this.hiding = setTimeout(() => this.pause(), this.hidden);
  }

  pause() {
    this.paused = true;
    this.wake();
  }

  hurry() {
    this.paused = false;
    if (this.waiting) {
      this.attempt = 0;
      this.wake();
    }
  }

  async follow() {
    while (!this.closed) {
      try {
        await this.connect();
      } catch (error) {
        if (this.closed) return;
        if (error instanceof ApiError && !error.passing) return this.on.end(error);
      }
      if (!this.closed && !this.now) await this.rest();
    }
  }

  /** One connection, from its request to its end. */
  async connect() {
    const abort = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    this.wake = () => abort.abort();
    // A restart of our own is over before anyone could read the word.
    if (!this.now) this.on.state("connecting");
    this.now = false;
    alive();
    try {
      const response = await this.request(abort.signal);
      this.on.state("live");
      await readEvents(response.body, (event) => this.take(event), alive);
    } catch (error) {
      if (error instanceof Gap) this.attempt = Math.max(this.attempt, 1);
      throw error;
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  async request(signal) {
    const headers = { Accept: "text/event-stream" };
    if (this.cursor) headers["Last-Event-ID"] = this.cursor;
    const response = await fetch(this.url, { headers, signal, cache: "no-store" });
    if (response.ok) return response;
    const error = await problemOf(response);
    // A cursor that the server does not take is dropped, and the snapshot tells everything.
    if (this.cursor && [400, 409, 410, 422].includes(error.status)) {
      this.cursor = null;
      error.passing = true;
    }
    throw error;
  }

  take({ id, type, data, retry }) {
    if (retry !== null) this.least = Math.min(retry, BACKOFF_MS.most);
    const value = JSON.parse(data);
    if (type === "reset") {
      this.cursor = null;
      return this.on.event(type, value, null);
    }
    if (type === "snapshot") return this.accept(type, value, value.token);
    if (this.cursor === null) throw new Gap("an event before any snapshot");
    const ahead = numberOf(id) - numberOf(this.cursor);
    if (ahead <= 0) return;
    if (ahead > 1) throw new Gap(`event ${id} after ${this.cursor}`);
    this.accept(type, value, id);
  }

  accept(type, value, cursor) {
    this.attempt = 0;
    this.cursor = cursor;
    this.on.event(type, value, cursor);
  }

  /** Wait before the next connection, twice as long each time, with jitter so that clients do not come all at once. */
  async rest() {
    const longest = Math.min(this.least * 2 ** this.attempt++, BACKOFF_MS.most);
    const pause = longest * (0.5 + Math.random() / 2);
    this.waiting = true;
    this.on.state(this.paused ? "paused" : "waiting", Math.ceil(pause / 1000));
    await new Promise((resolve) => {
      this.wake = resolve;
      if (!this.paused && !this.closed) setTimeout(resolve, pause);
    });
    this.waiting = false;
  }
}
