// What was said in the selected group: drawn message by message, at most as many as are kept.

import { element } from "../shared/dom.js";
import { byId, clock, count, oncePerFrame } from "./common.js";
import { hueOf, initials, nameOf } from "./people.js";

// Nearer to the end than this, one reads along.
const NEAR_PX = 80;
// Messages of one person within this time stand under one name.
const TOGETHER_MS = 5 * 60_000;

export class Log {
  #conversations;
  #list = byId("log");
  #scroller = byId("log-scroller");
  #items = new Map();
  #waiting = [];
  #draw = oncePerFrame(() => this.#drawWaiting());
  #last = null;
  // Whether one reads along: then the end stays in sight, also when the page gets another size.
  #follows = true;

  constructor(conversations, { onRetry }) {
    this.#conversations = conversations;
    this.onRetry = onRetry;
    conversations.addEventListener("selected", () => this.#drawAll());
    conversations.addEventListener("message", ({ detail }) => {
      if (detail.conversation !== conversations.selected) return;
      this.#waiting.push(detail.message);
      this.#draw();
    });
    conversations.addEventListener("taken", ({ detail }) => this.#remove(detail.message));
    conversations.addEventListener("touched", ({ detail }) => this.#replace(detail.message));
    byId("to-end").addEventListener("click", () => this.#toEnd());
    this.#scroller.addEventListener("scroll", () => this.#showWay(), { passive: true });
    new ResizeObserver(() => this.#follows && this.#toEnd()).observe(this.#scroller);
  }

  #drawAll() {
    this.#list.replaceChildren();
    this.#items.clear();
    this.#last = null;
    const selected = this.#conversations.selected;
    this.#waiting = selected ? [...selected.messages] : [];
    this.#drawWaiting({ firstUnread: selected?.unread > 0 ? selected.firstUnread : undefined });
    this.#toEnd();
  }

  #drawWaiting({ firstUnread } = {}) {
    const stays = this.#follows;
    const kept = this.#conversations.selected?.messages.length ?? 0;
    const fragment = document.createDocumentFragment();
    // More may wait than is kept: the rest would be drawn to be removed.
    for (const message of this.#waiting.slice(-Math.max(kept, 1))) {
      if (!this.#conversations.selected?.messages.includes(message)) continue;
      if (message.id === firstUnread) fragment.append(divider());
      const item = this.#item(message);
      this.#items.set(message, item);
      fragment.append(item);
      this.#last = message;
    }
    this.#waiting = [];
    this.#list.append(fragment);
    for (const message of this.#items.keys()) {
      if (this.#items.size <= kept) break;
      this.#remove(message);
    }
    byId("log-empty").hidden = this.#items.size > 0 || !this.#conversations.selected;
    if (stays) this.#toEnd();
    else this.#showWay();
  }

  #remove(message) {
    this.#items.get(message)?.remove();
    this.#items.delete(message);
    if (this.#last === message) this.#last = [...this.#items.keys()].at(-1) ?? null;
  }

  #replace(message) {
    const old = this.#items.get(message);
    if (!old) return;
    // What is behind others stays there: by now this may be the last one itself.
    const item = said(message, old.classList.contains("continues"), this.onRetry);
    old.replaceWith(item);
    this.#items.set(message, item);
  }

  #item(message) {
    if (message.kind === "announcement" || message.kind === "note") {
      const time = element("time", { datetime: new Date(message.at).toISOString() }, clock(message.at));
      const where = message.within ? element("span", { class: "chip" }, message.within) : null;
      return element("li", { class: `event ${message.kind}` }, element("span", { dir: "auto" }, message.text), where, time);
    }
    return said(message, this.#continues(message), this.onRetry);
  }

  #continues(message) {
    const last = this.#last;
    const same = last && last.userId === message.userId && last.mask === message.mask && last.within === message.within;
    return same && !["announcement", "note"].includes(last.kind) && message.at - last.at < TOGETHER_MS;
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showWay();
  }

  /** The way back to the end, for who has scrolled up. */
  #showWay() {
    this.#follows = this.#isAtEnd();
    byId("to-end").hidden = this.#follows;
  }
}

function divider() {
  return element("li", { class: "divider" }, element("span", {}, "New"));
}

function said(message, continues, onRetry) {
  const name = message.own ? "You" : nameOf(message.userId, message.user);
  const avatar = element("span", { class: "avatar", "aria-hidden": "true", "data-hue": hueOf(message.userId ?? "") });
  avatar.append(initials(message.own ? nameOf(message.userId) : name));
  const head = element(
    "header",
    { class: continues ? "visually-hidden" : "" },
    element("strong", { class: "name", dir: "auto" }, name),
    element("time", { datetime: new Date(message.at).toISOString() }, clock(message.at)),
  );
  const chips = element("span", { class: "chips" });
  if (message.within) chips.append(element("span", { class: "chip" }, message.within));
  if (message.mask) chips.append(element("span", { class: "chip mask" }, `to ${message.mask === "*" ? "everybody" : message.mask}`));
  if (message.reach) chips.append(element("span", { class: "chip reach" }, message.reach));
  const body = element("div", { class: `text ${message.kind}`, dir: "auto" }, message.text);
  const cut = message.cut ? element("p", { class: "cut" }, `Cut here: ${count(message.cut, "character")} in all.`) : null;
  const item = element("li", { class: "message" }, avatar, element("div", { class: "bubble" }, head, chips, body, cut));
  item.classList.toggle("continues", continues);
  item.classList.toggle("own", Boolean(message.own));
  item.classList.toggle("pending", message.state === "pending");
  if (message.state === "failed") item.lastChild.append(failure(message, onRetry));
  return item;
}

function failure(message, onRetry) {
  const again = element("button", { type: "button", class: "quiet" }, "Try again");
  again.addEventListener("click", () => onRetry(message));
  return element("p", { class: "failure" }, element("span", {}, `Not sent: ${message.error}`), again);
}
