// Who is logged in: exchanges a password for tokens at `/auth/token`, and renews these without it.
//
//   const session = await Session.login({ login, password, hub });   // or Session.restore() after a reload
//   const { url } = await session.token({ hub });                    // for a WebSocket: Connection's `token`
//   const { token } = await session.token({ audience: "api" });      // for the HTTP API
//
// The refresh token lives in the memory of the page. It survives a reload in sessionStorage, where it is written when the
// page goes and removed when it comes; it is never in localStorage, and never in a URL.

// Beside the pages, wherever these are.
const TOKENS = new URL("../../auth/token", import.meta.url);
const STORED = "folkmoot.session";
// A token that was just issued is used once without asking for another one.
const FRESH_MS = 20_000;
// A network that swallows what is sent would keep a request for as long as the browser likes.
const TIMEOUT_MS = 15_000;

/** A login or a renewal that failed. `final`: trying again does not help, somebody has to log in. */
export class LoginError extends Error {
  constructor(message, { status = 0, retryAfterMs = undefined } = {}) {
    super(message);
    this.name = "LoginError";
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.final = status >= 400 && status < 500 && status !== 408 && status !== 429;
  }
}

export class Session {
  #refreshToken;
  #fresh;
  #ended = false;

  /** The name that was typed. */
  login;

  constructor(login, refreshToken, fresh) {
    this.login = login;
    this.#refreshToken = refreshToken;
    this.#fresh = fresh;
    addEventListener("pagehide", () => this.#store());
    addEventListener("pageshow", () => sessionStorage.removeItem(STORED));
  }

  /** Logs in; `hub` and `audience` say what the first token is for. Throws a `LoginError`. */
  static async login({ login, password, hub, audience }) {
    const purpose = { hub, audience };
    const answer = await ask({ login, password, refresh: "true", ...purpose });
    return new Session(login, answer.refreshToken, { answer, key: keyOf(purpose), at: Date.now() });
  }

  /** The session of this tab before it was reloaded, or `null`. */
  static restore() {
    const stored = sessionStorage.getItem(STORED);
    sessionStorage.removeItem(STORED);
    try {
      const { login, refreshToken } = JSON.parse(stored) ?? {};
      return refreshToken ? new Session(login, refreshToken, null) : null;
    } catch {
      return null;
    }
  }

  /** A token that works now: `{ token, url, expiresAt }`, the end in seconds since 1970. Throws a `LoginError`. */
  async token({ hub, audience } = {}) {
    const fresh = this.#fresh;
    this.#fresh = null;
    if (fresh && fresh.key === keyOf({ hub, audience }) && Date.now() - fresh.at < FRESH_MS) return fresh.answer;
    if (this.#ended || !this.#refreshToken) throw new LoginError("Log in again.", { status: 401 });
    return ask({ hub, audience }, this.#refreshToken);
  }

  /** Forgets everything; a reload does not bring it back. */
  end() {
    this.#ended = true;
    this.#refreshToken = undefined;
    this.#fresh = null;
    sessionStorage.removeItem(STORED);
  }

  #store() {
    if (!this.#refreshToken) return;
    sessionStorage.setItem(STORED, JSON.stringify({ login: this.login, refreshToken: this.#refreshToken }));
  }
}

function keyOf({ hub, audience }) {
  return JSON.stringify([hub ?? null, audience ?? null]);
}

async function ask(fields, bearer) {
  const form = new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined));
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
  let response;
  try {
    // Without credentials of the browser's own: a 401 would have it ask for them in a window that is not ours.
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(TOKENS, { method: "POST", body: form, headers, credentials: "omit", signal });
  } catch (error) {
    throw new LoginError(error.name === "TimeoutError" ? "The server does not answer." : "The server cannot be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const seconds = Number(response.headers.get("Retry-After"));
  const message = answer.detail ?? answer.message ?? `The server answered ${response.status}.`;
  throw new LoginError(message, { status: response.status, retryAfterMs: seconds > 0 ? seconds * 1000 : undefined });
}
