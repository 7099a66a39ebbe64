// The frames on the wire, for those who want to know: the newest first, bounded, and still while paused.

import { element } from "../shared/dom.js";
import { byId, oncePerFrame } from "./common.js";
import { shorten } from "./messages.js";

const MOST_FRAMES = 200;
const MOST_CHARACTERS = 2000;
const ARROWS = { in: ["←", "received"], out: ["→", "sent"], note: ["×", "connection"] };

const list = byId("frames");
const pause = byId("frames-pause");

export class Frames {
  #frames = [];
  #seen = 0;
  #drawn = 0;
  #draw = oncePerFrame(() => this.#drawNew());
  #paused = false;
  #shown = false;

  constructor(connection) {
    connection.addEventListener("frame", ({ detail }) => this.#take(detail));
    pause.addEventListener("click", () => this.#pause(!this.#paused));
    byId("frames-clear").addEventListener("click", () => this.clear());
  }

  /** Whether the panel can be seen; what cannot be seen is not drawn. */
  set shown(shown) {
    this.#shown = shown;
    if (shown) this.#draw();
  }

  clear() {
    this.#frames = [];
    this.#drawn = this.#seen;
    list.replaceChildren();
    this.#tell();
  }

  #take({ direction, text, at }) {
    this.#seen += 1;
    if (this.#paused) return;
    this.#frames.push({ direction, ...shorten(text, MOST_CHARACTERS), at, number: this.#seen });
    if (this.#frames.length > MOST_FRAMES) this.#frames.shift();
    if (this.#shown) this.#draw();
  }

  #pause(paused) {
    this.#paused = paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    this.#tell();
  }

  #drawNew() {
    const fresh = this.#frames.filter(({ number }) => number > this.#drawn);
    this.#drawn = this.#seen;
    list.prepend(...fresh.reverse().map(line));
    while (list.childElementCount > MOST_FRAMES) list.lastElementChild.remove();
    this.#tell();
  }

  #tell() {
    const kept = `The last ${MOST_FRAMES} are kept.`;
    byId("frames-about").textContent = this.#paused ? "Paused: what comes now is not kept." : kept;
  }
}

function line({ direction, text, cut, at }) {
  const [arrow, words] = ARROWS[direction];
  const time = new Date(at).toISOString().slice(11, 23);
  return element(
    "li",
    { class: `frame ${direction}` },
    element("span", { class: "arrow", "aria-hidden": "true" }, arrow),
    element("span", { class: "visually-hidden" }, words),
    element("time", {}, time),
    element("code", {}, cut ? `${text}… (${cut} characters)` : text),
  );
}
