// The HTTP API with the token of whoever is logged in, renewed before it ends. Knows nothing of a page.

const API = "/api/";
// A token that ends sooner than this is renewed first.
const MARGIN_MS = 30_000;
// A network that swallows what is sent would keep a request for as long as the browser likes.
const TIMEOUT_MS = 30_000;

/** A request that was refused. `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/**
 * The path of names, each a segment of its own: `pathOf("hubs", "chat", "groups", "sales/eu")`.
 *
 * Browsers take the names "." and "..", in any encoding, for steps in the path: what is done to a user or a group that is
 * called ".." would be done to the whole hub. So nothing is asked about them.
 */
export function pathOf(...segments) {
  const step = segments.find((segment) => segment === "." || segment === "..");
  if (step) throw new ApiError(0, `A browser cannot ask for the name "${step}"; the program folkmoot can.`);
  return segments.map(encodeURIComponent).join("/");
}

export class Api {
  #session;
  #ended;
  #token = null;
  #renewal = null;

  /** `ended(message)` is called once the session cannot be renewed. */
  constructor(session, ended) {
    this.#session = session;
    this.#ended = ended;
  }

  /** Reads JSON. */
  async get(path, query = {}, signal = undefined) {
    const response = await this.#request("GET", path, query, { signal });
    return response.json();
  }

  /** A page of a list: its entries, and what to ask with for the next, if there is one. */
  async page(path, query, signal) {
    const answer = await this.get(path, query, signal);
    const next = answer.nextLink ? new URL(answer.nextLink, location.href).searchParams : null;
    return { ...answer, next: answer.continuationToken ?? next?.get("continuationToken") ?? null };
  }

  /** Has something done; resolves with the answer. */
  send(method, path, query = {}, body = undefined, type = undefined) {
    const headers = type ? { "Content-Type": type } : {};
    return this.#request(method, path, query, { body, headers });
  }

  async #request(method, path, query, options) {
    let response = await this.#try(method, path, query, options);
    if (response.status === 401) {
      // It ended on the way, or the server has another key now.
      this.#token = null;
      response = await this.#try(method, path, query, options);
    }
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    const message = answer.message ?? answer.detail ?? `The server answered ${response.status}.`;
    if (response.status === 401) this.#ended(message);
    throw new ApiError(response.status, message);
  }

  async #try(method, path, query, { headers = {}, signal, ...options }) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const search = given.length ? `?${new URLSearchParams(given)}` : "";
    const Authorization = `Bearer ${await this.#bearer()}`;
    // Without credentials of the browser's own: they open nothing here.
    const ends = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]);
    const request = { method, headers: { ...headers, Authorization }, credentials: "omit", signal: ends, ...options };
    try {
      return await fetch(API + path + search, request);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      const why = error.name === "TimeoutError" ? "does not answer" : "cannot be reached";
      throw new ApiError(0, `The server ${why}.`);
    }
  }

  async #bearer() {
    if (this.#token && this.#token.until > Date.now()) return this.#token.text;
    // Requests at the same time wait for one renewal.
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #renew() {
    try {
      const { token, expiresAt } = await this.#session.token({ audience: "api" });
      this.#token = { text: token, until: expiresAt * 1000 - MARGIN_MS };
      return token;
    } catch (error) {
      if (error.final) this.#ended(error.message);
      throw error;
    }
  }
}
