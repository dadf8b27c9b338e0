// What the page says in words: times, model names, and what became of an answer.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const moment = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** "just now", "5 min. ago", "yesterday", "3 Mar". */
export function ago(time, now = Date.now()) {
  const minutes = Math.round((new Date(time) - now) / 60_000);
  if (minutes > -1) return "just now";
  if (minutes > -60) return relative.format(minutes, "minute");
  if (minutes > -60 * 24) return relative.format(Math.round(minutes / 60), "hour");
  if (minutes > -60 * 24 * 7) return relative.format(Math.round(minutes / 1440), "day");
  return day.format(new Date(time));
}

export const count = (number) => number.toLocaleString();

/** "1 stream", "2 streams". */
export const several = (number, thing) => `${count(number)} ${thing}${number === 1 ? "" : "s"}`;

/** "$12.30" of nano-dollars, with more digits where there is less; "$0" for nothing. */
export function dollars(nano) {
  const amount = nano / 1e9;
  if (amount === 0) return "$0";
  if (amount < 0.0001) return "< $0.0001";
  return `$${amount.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: amount < 1 ? 4 : 2 })}`;
}

/** "1.4 MB". */
export function bytes(number) {
  const power = number < 1000 ? 0 : Math.min(Math.floor(Math.log10(number) / 3), 4);
  return `${(number / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: power ? 1 : 0 })} ${["bytes", "kB", "MB", "GB", "TB"][power]}`;
}

/** "3 Mar 2027". */
export const dateOf = (time) => date.format(new Date(time));

/** "3 Mar, 14:05". */
export const momentOf = (time) => moment.format(new Date(time));

export const timeOf = (time) => clock.format(new Date(time));

/** A model's name as the provider gives it, else what stands behind the colon of its id. */
export function modelName(models, id) {
  if (!id) return "the model";
  return models.find((model) => model.id === id)?.name ?? id.slice(id.indexOf(":") + 1);
}

/** What to say below an answer that did not simply complete, and what can be done; null for one that did. */
export function outcomeOf(message, live) {
  if (message.role !== "assistant" || live) return null;
  switch (message.status) {
    case "completed":
      return message.finish_reason === "length" ? cut : null;
    case "cancelled":
      return {
        kind: "stopped",
        text: message.parts.length ? "Stopped." : "Stopped before the first word.",
        continues: true,
      };
    case "failed":
      return {
        kind: "failed",
        text: `Failed: ${message.failure?.detail ?? "the provider gave no reason."}`,
        continues: true,
      };
    case "incomplete":
      return message.failure
        ? interrupted(message.failure)
        : message.finish_reason === "content_filter"
          ? filtered
          : cut;
    default:
      return interrupted(null);
  }
}

const cut = { kind: "incomplete", text: "Cut off: the answer reached its limit.", continues: true };
const filtered = { kind: "incomplete", text: "Ended by the provider's content filter.", continues: false };
const interrupted = (failure) => ({
  kind: "interrupted",
  text: failure ? `Interrupted: ${lowerFirst(failure.detail)}` : "Interrupted: nobody is writing this any more.",
  continues: true,
});
const lowerFirst = (text) => text.charAt(0).toLowerCase() + text.slice(1);

/** "184 tokens", "about 184 tokens", or null when nothing is known. */
export function tokensOf(usage) {
  if (!usage?.output_tokens) return null;
  const count = `${usage.output_tokens.toLocaleString()} ${usage.output_tokens === 1 ? "token" : "tokens"}`;
  return usage.source === "estimated" ? `about ${count}` : count;
}

/** "$0.0021", of nano-dollars; "less than $0.0001"; null when nobody knows it, or it was free. */
export function costOf(usage) {
  if (!usage?.cost) return null;
  const dollars = usage.cost / 1e9;
  if (dollars < 0.0001) return "less than $0.0001";
  return `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`;
}

/** All that is known of an answer's tokens and cost, a line each. */
export function usageDetails(usage) {
  const line = (count, words, part) =>
    count == null ? [] : [`${count.toLocaleString()} ${words}${part.length ? ` (${part.join(", ")})` : ""}`];
  const of = (count, words) => (count ? [`${count.toLocaleString()} ${words}`] : []);
  const cached = [...of(usage.cache_read_tokens, "from a cache"), ...of(usage.cache_write_tokens, "into a cache")];
  const cost = usage.cost == null ? "cost unknown" : usage.cost === 0 ? "free" : `$${(usage.cost / 1e9).toFixed(9)}`;
  return [
    ...line(usage.input_tokens, "tokens in", cached),
    ...line(usage.output_tokens, "tokens out", of(usage.reasoning_tokens, "of thought")),
    usage.source === "estimated" ? `${cost}, by our own estimate` : cost,
  ].join("\n");
}

/** What a live run does, or waits for. */
function doingOf(run, name) {
  if (run.waiting === "turn") return `Waiting for a turn at ${name}…`;
  if (run.waiting === "retry") return `${name} is busy; asking again in a moment…`;
  if (run.calls?.length && run.calls.every(({ state }) => state === "asked")) return "Waiting for your decision.";
  return `${name} is answering…`;
}

/** The line below the log: the state of the connection first, then what is being done. */
export function statusOf(line, run, stopping, models) {
  const doing = run && (stopping ? "Stopping…" : doingOf(run, modelName(models, run.model)));
  switch (line.state) {
    case "live":
      return { tone: run ? "busy" : "live", text: doing ?? "Connected" };
    case "paused":
      return { tone: "waiting", text: "Paused while this tab is hidden" };
    case "waiting":
      return { tone: "waiting", text: `Connection lost. Trying again in ${line.seconds} s; nothing is lost.` };
    default:
      return { tone: "waiting", text: doing ?? "Connecting…" };
  }
}
