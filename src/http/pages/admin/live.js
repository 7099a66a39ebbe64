// What the server tells by itself over the hub `folkmoot.admin`: a sample each second, and who comes and goes.

import { Connection } from "../shared/connection.js";

const HUB = "folkmoot.admin";
const HISTORY_MS = 15 * 60 * 1000;
// More than 15 minutes of seconds, whatever clocks do.
const MOST_SAMPLES = 1000;
const MOST_EVENTS = 1000;

/** Tells `samples` and `events` when there are more, and `state` with that of the connection. */
export class Live extends EventTarget {
  #api;
  #connection;
  #number = 0;

  /** The samples of the last 15 minutes, oldest first. */
  samples = [];
  /** The last events, newest first; each has a `number`, and `skipped` where the server left some out before it. */
  events = [];
  /** The state of the connection, as `Connection` tells it. */
  state = { state: "closed", reason: "" };

  constructor(session, api, ended) {
    super();
    this.#api = api;
    this.#connection = new Connection({ token: () => session.token({ hub: HUB }) });
    this.#connection.addEventListener("message", ({ detail }) => this.#hear(detail));
    this.#connection.addEventListener("connected", () => this.#catchUp());
    this.#connection.addEventListener("state", ({ detail }) => {
      this.state = detail;
      this.#tell("state");
      if (detail.state === "closed" && detail.final) ended(`${detail.reason}.`);
    });
  }

  open() {
    this.#connection.open();
  }

  retry() {
    this.#connection.retry();
    this.#connection.open();
  }

  close() {
    this.#connection.close();
  }

  /** What was missed while there was no connection. */
  async #catchUp() {
    try {
      const { samples } = await this.#api.get("server/overview");
      const last = samples.at(-1)?.t ?? 0;
      this.#keep([...samples, ...this.samples.filter((sample) => sample.t > last)]);
    } catch {
      // The next connection tries again; meanwhile the samples that come are shown.
    }
  }

  #hear({ group, data }) {
    if (group === "overview" && data) this.#keep([...this.samples, data]);
    if (group === "tail" && data) this.#keepEvents(data);
  }

  #keep(samples) {
    const oldest = (samples.at(-1)?.t ?? 0) - HISTORY_MS;
    this.samples = samples.filter((sample) => sample.t >= oldest).slice(-MOST_SAMPLES);
    this.#tell("samples");
  }

  #keepEvents({ events = [], skipped = 0 }) {
    const fresh = events.map((event) => ({ ...event, number: ++this.#number }));
    if (skipped) fresh.push({ t: Date.now(), event: "skipped", skipped, number: ++this.#number });
    this.events = [...fresh.reverse(), ...this.events].slice(0, MOST_EVENTS);
    this.#tell("events");
  }

  #tell(type) {
    this.dispatchEvent(new CustomEvent(type));
  }
}
