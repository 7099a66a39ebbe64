// What is true of the connection, in words: a dot in the head, and a banner while there is none.

import { byId } from "./common.js";

const LABELS = { connecting: "Connecting…", open: "Connected", waiting: "Not connected", closed: "Not connected" };

export class Status {
  #connection;
  #timer = 0;
  #state = { state: "closed", reason: "" };
  // Before the first connection there was nothing to lose.
  #wasOpen = false;

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("state", ({ detail }) => this.#show(detail));
    byId("retry").addEventListener("click", () => (connection.state === "closed" ? connection.open() : connection.retry()));
    for (const event of ["online", "offline"]) addEventListener(event, () => this.#show(this.#state));
  }

  #show(state) {
    // Between two attempts the reason of the loss stays.
    const reason = state.reason || this.#state.reason;
    this.#state = { ...state, reason: state.state === "open" ? "" : reason };
    if (state.state === "open") this.#wasOpen = true;
    const status = byId("status");
    status.dataset.state = state.state;
    status.textContent = LABELS[state.state];
    clearInterval(this.#timer);
    const banner = byId("banner");
    const first = state.state === "connecting" && !this.#wasOpen;
    banner.hidden = state.state === "open" || first;
    document.body.classList.toggle("disconnected", !banner.hidden);
    if (banner.hidden) return;
    this.#say();
    byId("retry").hidden = state.state === "connecting";
    byId("retry").textContent = state.state === "closed" ? "Connect again" : "Try now";
    this.#count();
    if (state.state === "waiting") this.#timer = setInterval(() => this.#count(), 1000);
  }

  #say() {
    const { state, reason } = this.#state;
    const offline = navigator.onLine ? "" : " This machine says that it is offline.";
    const lost = state === "closed" ? "The connection has ended" : "The connection is lost";
    const text = `${lost}: ${reason}.${offline}`;
    const place = byId("banner-text");
    if (place.textContent !== text) place.textContent = text;
  }

  /** Beside the sentence, and not read aloud every second. */
  #count() {
    const { state, retryAt } = this.#state;
    const seconds = Math.max(0, Math.ceil(((retryAt ?? 0) - Date.now()) / 1000));
    const waiting = seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…";
    byId("banner-count").textContent = state === "closed" ? "" : waiting;
  }

  reset() {
    this.#wasOpen = false;
    this.#state = { state: "closed", reason: "" };
    clearInterval(this.#timer);
  }
}
