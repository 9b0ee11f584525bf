// Asking the server. The token stays in this tab's session, and goes nowhere but into a header.

const TOKEN = "aegis-token";

/** A refusal, in the server's words. */
export class Refused extends Error {
  constructor(status, error, retryAfter) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.fields = error.details?.fields ?? [];
    this.suggestion = error.details?.suggestion ?? null;
    this.requestId = error.request_id;
    this.retryAfter = retryAfter;
  }
}

let onUnauthorized = () => {};

/** What to do when the server wants to know who asks. */
export function whenUnauthorized(act) {
  onUnauthorized = act;
}

export function keepToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

export const hasToken = () => sessionStorage.getItem(TOKEN) != null;

async function ask(method, path, body, key) {
  const headers = { Accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const answer = await fetch(`/api/v1${path}`, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
  });
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : null;
  if (answer.status === 401) onUnauthorized();
  throw new Refused(answer.status, envelope(text, answer.status), Number(answer.headers.get("Retry-After")) || null);
}

/** A proxy in between may answer something else than the envelope. */
function envelope(text, status) {
  try {
    return JSON.parse(text).error ?? { message: `the server answered ${status}` };
  } catch {
    return { message: `the server answered ${status}` };
  }
}

export const get = (path) => ask("GET", path);

/** Asks for a change. If no answer comes, it is asked for once more under the same key: it is done once. */
export async function post(path, body) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    return await ask("POST", path, body, key);
  } catch (error) {
    if (error instanceof Refused) throw error;
    return ask("POST", path, body, key);
  }
}

/** Why it did not work, in a sentence for people. */
export function explain(error) {
  if (!(error instanceof Refused)) return "The server did not answer. Check that it runs and can be reached.";
  const fields = error.fields.map((field) => `${field.field}: ${field.message}`).join("; ");
  const hint = error.status === 403 ? " Your token's role does not allow it." : "";
  const told = fields && !error.message.includes(fields) ? `${error.message} (${fields})` : error.message;
  const suggestion = error.suggestion ? ` ${error.suggestion}` : "";
  const id = error.status >= 500 && error.requestId ? ` Request ${error.requestId}.` : "";
  return `${sentence(told)}${suggestion}${hint}${id}`;
}

/** Begins with a capital and ends with a stop. */
export const sentence = (text) => {
  const trimmed = text.trim();
  const first = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
};
