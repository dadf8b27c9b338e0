// The calls of the HTTP API that the page makes. Every failure is an ApiError whose message can be shown to a person.

export class ApiError extends Error {
  /** `status` is 0 when no answer came; `passing` says that the same call may succeed later. */
  constructor(status, code, detail, errors = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.passing = status === 0 || status === 408 || status === 429 || status >= 500;
  }
}

const UNREACHABLE = "The server cannot be reached. Check the connection; nothing you wrote is lost.";

/** The problem document of a refused request, or the best that can be said without one. */
export async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  const sentence =
    problem.detail || problem.title || `The server answered ${response.status} ${response.statusText}`.trim();
  return new ApiError(response.status, problem.code ?? "unknown", sentence, problem.errors);
}

async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  const options = { method, headers, cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] =
      method === "PATCH" && path.startsWith("/api/conversations/")
        ? "application/merge-patch+json"
        : "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, "unreachable", UNREACHABLE);
  }
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** For calls that carry an id of ours, so that the server takes a repeat for what it is. */
async function persistently(attempt) {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!error.passing || error.status === 429 || tries === 3) throw error;
      await pause(400 * 2 ** tries * (0.5 + Math.random()));
    }
  }
}

/** A fresh UUIDv7: ids sort by the time they were made. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(now / 2 ** (8 * (5 - i))) % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const query = (values) => {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
};
const one = (id) => `/api/conversations/${encodeURIComponent(id)}`;
const message = (id) => `/api/messages/${encodeURIComponent(id)}`;
/** `kind`: "users" or "keys". */
const budgetOf = (kind, id) => `/api/admin/budgets/${kind}/${encodeURIComponent(id)}`;

export const api = {
  me: () => call("GET", "/api/auth/me"),
  methods: () => call("GET", "/api/auth/methods"),
  register: (values) => call("POST", "/api/auth/register", values),
  login: (values) => call("POST", "/api/auth/login", values),
  logout: () => call("POST", "/api/auth/logout", {}),

  changeMe: (values) => call("PATCH", "/api/auth/me", values),
  deleteMe: (values) => call("DELETE", "/api/auth/me", values),
  changePassword: (values) => call("POST", "/api/auth/password", values),
  sessions: () => call("GET", "/api/auth/sessions"),
  endSession: (id) => call("DELETE", `/api/auth/sessions/${encodeURIComponent(id)}`),
  keys: () => call("GET", "/api/auth/keys"),
  makeKey: (values) => call("POST", "/api/auth/keys", values),
  dropKey: (id) => call("DELETE", `/api/auth/keys/${encodeURIComponent(id)}`),

  reset: (values) => call("POST", "/api/auth/reset", values),

  users: (values) => call("GET", `/api/admin/users${query(values)}`),
  changeUser: (id, values) => call("PATCH", `/api/admin/users/${encodeURIComponent(id)}`, values),
  offerReset: (id) => call("POST", `/api/admin/users/${encodeURIComponent(id)}/password`, {}),
  invitations: (values) => call("GET", `/api/admin/invitations${query(values)}`),
  invite: (values) => call("POST", "/api/admin/invitations", values),
  uninvite: (id) => call("DELETE", `/api/admin/invitations/${encodeURIComponent(id)}`),

  keysOf: (user) => call("GET", `/api/admin/users/${encodeURIComponent(user)}/keys`),
  budget: (kind, id) => call("GET", budgetOf(kind, id)),
  setBudget: (kind, id, values) => call("PUT", budgetOf(kind, id), values),
  dropBudget: (kind, id) => call("DELETE", budgetOf(kind, id)),
  audit: (values) => call("GET", `/api/admin/audit${query(values)}`),
  nodes: () => call("GET", "/api/admin/nodes"),
  actors: () => call("GET", "/api/admin/actors"),

  usage: (values) => call("GET", `/api/usage${query(values)}`),
  imports: () => call("GET", "/api/import"),
  endImport: (id) => call("DELETE", `/api/import/${encodeURIComponent(id)}`),
  exportOfAll: (format) => `/api/export${query({ format })}`,

  search: (values) => call("GET", `/api/search${query(values)}`),
  models: () => call("GET", "/api/models"),

  conversations: (values) => call("GET", `/api/conversations${query(values)}`),
  create: (values) => persistently(() => call("POST", "/api/conversations", values)),
  change: (id, values) => call("PATCH", one(id), values),
  remove: (id) => call("DELETE", one(id)),
  restore: (id) => call("POST", `${one(id)}/restore`, {}),
  purge: (id) => call("DELETE", `${one(id)}${query({ purge: true })}`),
  fork: (id, values) => persistently(() => call("POST", `${one(id)}/fork`, values)),
  shares: (id) => call("GET", `${one(id)}/share`),
  share: (id, values) => persistently(() => call("POST", `${one(id)}/share`, values)),
  unshare: (id, share) => call("DELETE", `${one(id)}/share/${encodeURIComponent(share)}`),
  exportOf: (id, format) => `${one(id)}/export${query({ format })}`,

  message: (id) => call("GET", message(id)),
  /** What follows a message on the branch that is shown, or the beginning of it. */
  below: (id, after) => call("GET", `${one(id)}/messages${query({ after, limit: 1 })}`),
  /** The last message of the branch that is shown. */
  last: (id) => call("GET", `${one(id)}/messages${query({ limit: 1 })}`),
  older: (id, before, limit) => call("GET", `${one(id)}/messages${query({ before, limit })}`),
  post: (id, values) => persistently(() => call("POST", `${one(id)}/messages`, values)),
  stop: (id, values) => call("POST", `${one(id)}/stop`, values),

  files: (values) => call("GET", `/api/files${query(values)}`),
  removeFile: (id) => call("DELETE", `/api/files/${encodeURIComponent(id)}`),

  edit: (id, values) => persistently(() => call("PATCH", message(id), values)),
  regenerate: (id, values) => call("POST", `${message(id)}/regenerate`, values),
  continue: (id) => call("POST", `${message(id)}/continue`, {}),
  approve: (id, values) => persistently(() => call("POST", `/api/approvals/${encodeURIComponent(id)}`, values)),
  withdraw: (conversation, id) => call("DELETE", `${message(id)}${query({ conversation })}`),
};
