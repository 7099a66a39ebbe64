// A WebSocket that speaks json.webpubsub.azure.v1 and comes back by itself. Knows nothing of a page.
//
//   const connection = new Connection({ token: () => session.token({ hub: "chat" }) });
//   connection.addEventListener("connected", ({ detail }) => …);   // the `connected` frame: userId, groups, …
//   connection.addEventListener("message", ({ detail }) => …);     // a `message` frame
//   connection.addEventListener("state", ({ detail }) => …);       // { state, reason, code?, retryAt? }
//   connection.addEventListener("frame", ({ detail }) => …);       // { direction: "in" | "out" | "note", text, at }
//   connection.open();
//   const ack = await connection.request({ type: "joinGroup", group: "chess" });
//
// A `reason` is a sentence for people: a capital at its beginning, no full stop at its end.
//
// `token` answers `{ url }` for each attempt. It may throw an error with `final: true` (logged out: do not try again) or
// with `retryAfterMs`. States: "connecting", "open", "waiting" (until `retryAt`), "closed" (for good, until `open()`).

import { Backoff, retryAfter } from "./backoff.js";
import { RequestError, Requests } from "./requests.js";

export { RequestError } from "./requests.js";

const SUBPROTOCOL = "json.webpubsub.azure.v1";
const CONNECT_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 15_000;
// A script does not see the server's pings, and a peer that vanished says nothing: after this silence we ask.
const SILENCE_MS = 30_000;
const PONG_TIMEOUT_MS = 8_000;
// A connection that lives this long was a good one.
const STABLE_MS = 5_000;
// What may wait in the socket before we refuse to add to it.
const MOST_BUFFERED_BYTES = 4 * 1024 * 1024;
// After these reasons of a close 1008 one comes back (docs/protocol.md, "Ends"); any other is somebody's decision.
const PASSING = /^(slow consumer|write timeout|ping timeout|rate limit|too many connections|the (token|session) )/;

export class Connection extends EventTarget {
  #token;
  #socket = null;
  #state = "closed";
  #backoff = new Backoff();
  #requests = new Requests();
  // One of each: to connect in time, to try again, to ask whether the peer is there, to call the connection stable.
  #timers = { connect: 0, retry: 0, silence: 0, stable: 0 };
  // Counts the attempts, so that what belongs to an earlier one is recognized and ignored.
  #attempt = 0;

  constructor({ token }) {
    super();
    this.#token = token;
    addEventListener("online", () => this.#state === "waiting" && this.retry());
    addEventListener("offline", () => this.#probe());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#probe());
  }

  get state() {
    return this.#state;
  }

  /** Connects, and stays connected until `close()` or until the server says that it is over. */
  open() {
    if (this.#state === "closed") this.#connect();
  }

  /** Tries now instead of later. */
  retry() {
    if (this.#state === "waiting") this.#connect();
  }

  /** Ends it for good. */
  close(reason = "closed by the user") {
    const socket = this.#forget();
    socket?.close(1000, "");
    this.#enter("closed", { reason, code: 1000 });
  }

  /** Sends a frame without an answer; false where there is no connection or it is choked. */
  send(frame) {
    if (this.#state !== "open" || this.#socket.bufferedAmount > MOST_BUFFERED_BYTES) return false;
    const text = JSON.stringify(frame);
    this.#socket.send(text);
    this.#tell("frame", { direction: "out", text, at: Date.now() });
    return true;
  }

  /** Sends a frame and resolves with its ack; rejects with a `RequestError`. */
  request(frame, { timeoutMs = REQUEST_TIMEOUT_MS } = {}) {
    if (this.#state !== "open") {
      return Promise.reject(new RequestError("Lost", "There is no connection to the server."));
    }
    if (this.#socket.bufferedAmount > MOST_BUFFERED_BYTES) {
      return Promise.reject(new RequestError("Busy", "The connection is too slow for what waits to be sent."));
    }
    return this.#requests.begin(frame, (numbered) => this.send(numbered), timeoutMs);
  }

  async #connect() {
    this.#forget();
    const attempt = this.#attempt;
    this.#enter("connecting", {});
    let url;
    try {
      ({ url } = await this.#token());
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error.final) this.#enter("closed", { reason: error.message, final: true });
      else this.#wait(error.message, error.retryAfterMs);
      return;
    }
    if (attempt !== this.#attempt) return;
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket = socket;
    const late = () => this.#lose("the server does not answer");
    this.#timers.connect = setTimeout(late, CONNECT_TIMEOUT_MS);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(data);
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#closed(code, reason);
  }

  #hear(text) {
    this.#tell("frame", { direction: "in", text, at: Date.now() });
    this.#awaitSilence();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.type === "ack") this.#requests.settle(frame);
    else if (frame.type === "message") this.#tell("message", frame);
    else if (frame.type === "system" && frame.event === "connected") this.#connected(frame);
  }

  #connected(frame) {
    clearTimeout(this.#timers.connect);
    this.#timers.stable = setTimeout(() => this.#backoff.reset(), STABLE_MS);
    this.#enter("open", {});
    this.#tell("connected", frame);
  }

  #closed(code, reason) {
    this.#tell("frame", { direction: "note", text: `closed ${code} ${reason}`.trim(), at: Date.now() });
    const passing = code === 1008 ? PASSING.test(reason) : [1001, 1005, 1006, 1012].includes(code);
    if (passing) {
      this.#lose(reason || "the connection was lost", retryAfter(reason), code);
    } else {
      this.#forget();
      this.#enter("closed", { reason: reason || "the server closed the connection", code });
    }
  }

  /** Gives up a socket that is dead or does not answer, without waiting for its farewell. */
  #lose(reason, afterMs, code) {
    this.#forget()?.close();
    this.#wait(reason, afterMs, code);
  }

  #wait(reason, afterMs = this.#backoff.next(), code = undefined) {
    const retryAt = Date.now() + afterMs;
    this.#timers.retry = setTimeout(() => this.#connect(), afterMs);
    this.#enter("waiting", { reason, code, retryAt });
  }

  /** Whatever was under way is not ours any more. Returns the socket that was. */
  #forget() {
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt += 1;
    Object.values(this.#timers).forEach(clearTimeout);
    this.#requests.loseAll();
    return socket;
  }

  #awaitSilence() {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#probe(), SILENCE_MS);
  }

  /** Asks for a sign of life: after a silence, when the machine wakes up, when it says that its network is gone. */
  #probe() {
    if (!this.send({ type: "ping" })) return;
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#lose("the server fell silent"), PONG_TIMEOUT_MS);
  }

  #enter(state, detail) {
    this.#state = state;
    this.#tell("state", { state, ...detail, reason: readable(detail.reason ?? "") });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A reason as the server or the network gives it, without what is meant for programs. */
function readable(reason) {
  const plain = reason.replace(/; retry_after_ms=\d+/, "").replace(/\.$/, "");
  return plain.replace(/^./u, (first) => first.toUpperCase());
}
