// The service as functions: JSON in and out; a Problem for everything that is not an answer.
import { callThem } from "./format.js";

const BASE = "/api/v1";

/** What the service (or the network) said instead of an answer. `detail` is a sentence for people. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The service answered with ${status}.`);
    this.status = status;
    this.body = body;
  }
}

export const get = (path, options) => ask("GET", path, null, options);
export const post = (path, body, options) => ask("POST", path, body, options);
export const remove = (path, options) => ask("DELETE", path, null, options);
export const address = (path) => BASE + path;

const AGAIN = 3; // times that a request which was refused for now (429) is sent again

async function ask(method, path, body, { signal } = {}, again = AGAIN) {
  const form = body instanceof FormData;
  const headers = { Accept: "application/json, application/problem+json" };
  if (body && !form) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(BASE + path, { method, headers, signal, body: body && !form ? JSON.stringify(body) : body });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The service does not answer. Is `featurelens serve` still running?" });
  }
  if (response.status === 429 && again > 0) {
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    if (seconds <= 5) {
      await new Promise((next) => setTimeout(next, 1000 * seconds * (0.75 + Math.random() / 2)));
      if (signal?.aborted) throw new DOMException("given up", "AbortError");
      return ask(method, path, body, { signal }, again - 1);
    }
  }
  if (response.status === 204) return null;
  const kind = response.headers.get("Content-Type") || "";
  const said = kind.includes("json") ? await response.json().catch(() => ({})) : {};
  if (!response.ok) throw new Problem(response.status, said);
  return said;
}

let known = null;

/** What the gallery is, asked once for each page (`again`: anew). */
export function gallery(again = false) {
  if (!known || again) known = get("/gallery").then((said) => { callThem(said.things); return said; }, (error) => { known = null; throw error; });
  return known;
}

/** Put a picture on the server's shelf of recent queries; resolves to {upload, width, height, thumbnail}. */
export function upload(file, options) {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  return post("/uploads", form, options);
}
