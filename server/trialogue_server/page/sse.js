// Server-sent events from the body of a fetch: bytes in, { id, type, data, retry } out. Knows no network and no meaning.
//
// EventSource is not used because it cannot tell a 401 from a broken line, nor start from a cursor of our choice.

/** Takes decoded text in any pieces and calls `emit` for each whole event. A `\r\n` cut in two is one line end. */
export class EventParser {
  constructor(emit) {
    this.emit = emit;
    this.rest = "";
    this.reset();
  }

  reset() {
    this.event = { id: null, type: "message", retry: null };
    this.data = [];
  }

  push(text) {
    let buffer = this.rest + text;
    // A trailing \r may be the first half of \r\n: it waits for the next piece.
    const held = buffer.endsWith("\r") ? "\r" : "";
    if (held) buffer = buffer.slice(0, -1);
    const lines = buffer.split(/\r\n|\r|\n/);
    this.rest = lines.pop() + held;
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return; // A comment: the heartbeat.
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data.push(value);
    else if (field === "event") this.event.type = value;
    else if (field === "id" && !value.includes("\0")) this.event.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.event.retry = Number(value);
  }

  dispatch() {
    const event = { ...this.event, data: this.data.join("\n") };
    const empty = this.data.length === 0;
    this.reset();
    if (!empty) this.emit(event);
  }
}

/** Read `body` to its end; `emit` gets the events, `alive` is called for every piece, a heartbeat included. */
export async function readEvents(body, emit, alive) {
  const parser = new EventParser(emit);
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Whatever `emit` threw, the connection goes: browsers allow only six of them to one host.
    reader.cancel().catch(() => {});
  }
}
