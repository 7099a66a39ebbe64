// "Would reach 214 connections in 12 groups": asked before a message goes to a mask or to everybody.

import { byId, count } from "./common.js";

const DEBOUNCE_MS = 250;
// While somebody writes, others come and go.
const REFRESH_MS = 5_000;

const place = byId("reach");

export class Reach {
  #connection;
  #timer = 0;
  #target = null;
  #asked = 0;

  constructor(connection) {
    this.#connection = connection;
  }

  /** Tells the reach of a target from now on; of `null`, nothing. */
  show(target) {
    if (target === this.#target) return;
    this.#target = target;
    this.#say("", false);
    clearTimeout(this.#timer);
    if (target) this.#timer = setTimeout(() => this.#ask(), DEBOUNCE_MS);
  }

  async #ask() {
    const target = this.#target;
    const asked = ++this.#asked;
    let said;
    try {
      const answer = await this.#connection.request({ type: "countMembers", mask: target });
      said = [sentence(answer), false];
    } catch (error) {
      said = [error.message, true];
    }
    // Another one may have been asked for meanwhile.
    if (asked !== this.#asked || target !== this.#target) return;
    this.#say(...said);
    this.#timer = setTimeout(() => this.#ask(), REFRESH_MS);
  }

  #say(text, isError) {
    // A screen reader reads what changes; the same again is no news.
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle("error", isError);
    if (isError) byId("mask").setAttribute("aria-invalid", "true");
    else byId("mask").removeAttribute("aria-invalid");
  }
}

export function sentence({ connections, groups }) {
  if (connections === 0) return "Would reach nobody";
  return `Would reach ${count(connections, "connection")} in ${count(groups, "group")}`;
}
