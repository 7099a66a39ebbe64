// The list of groups and masks, with what was not read yet, and the form to join more.

import { element } from "../shared/dom.js";
import { byId, count, oncePerFrame } from "./common.js";

const list = byId("groups");
const field = byId("join-name");
const error = byId("join-error");

export class Sidebar {
  #conversations;
  #membership;
  #connection;
  #draw = oncePerFrame(() => this.#drawAll());

  constructor({ conversations, membership, connection, onChosen }) {
    this.#conversations = conversations;
    this.#membership = membership;
    this.#connection = connection;
    this.onChosen = onChosen;
    for (const event of ["list", "selected"]) conversations.addEventListener(event, this.#draw);
    list.addEventListener("keydown", (event) => this.#move(event));
    field.addEventListener("focus", () => this.#suggest());
    byId("join-form").addEventListener("submit", (event) => this.#join(event));
  }

  #drawAll() {
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
    const { selected } = this.#conversations;
    list.replaceChildren(...this.#conversations.list.map((conversation) => this.#item(conversation, selected)));
    if (focused !== undefined) this.#button(focused)?.focus();
    const unread = this.#conversations.unread;
    document.title = unread > 0 ? `(${short(unread)}) Folkmoot` : "Folkmoot";
    byId("panes-unread").hidden = unread === 0;
    byId("panes-unread").replaceChildren(...badgeText(unread));
  }

  #item(conversation, selected) {
    const { name, isMask, unread } = conversation;
    const isSelected = conversation === selected;
    const badge = unread > 0 ? element("span", { class: "badge" }, ...badgeText(unread)) : null;
    const button = element(
      "button",
      {
        type: "button",
        class: isMask ? "group mask" : "group",
        // One stop for Tab; the arrows go through the list.
        tabindex: isSelected ? "0" : "-1",
        "aria-current": isSelected ? "true" : null,
        "data-name": name,
        click: () => this.#choose(conversation),
      },
      element("span", { class: "group-name", dir: "auto" }, name),
      isMask ? element("span", { class: "visually-hidden" }, ", a mask that you listen to") : null,
      badge,
    );
    return element("li", {}, button);
  }

  #choose(conversation) {
    this.#conversations.select(conversation);
    this.onChosen();
  }

  #button(name) {
    return [...list.querySelectorAll("button")].find((button) => button.dataset.name === name);
  }

  #move(event) {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[to].focus();
  }

  /** The group before (-1) or after (1) the selected one; with `unread`, the next that has something new. */
  step(by, { unread = false } = {}) {
    const all = this.#conversations.list;
    const at = all.indexOf(this.#conversations.selected);
    for (let i = 1; i <= all.length; i += 1) {
      const next = all[(at + by * i + all.length * i) % all.length];
      if (!unread || next.unread > 0) {
        this.#conversations.select(next);
        return;
      }
    }
  }

  /** For whoever logs in next. */
  reset() {
    field.value = "";
    field.removeAttribute("aria-invalid");
    error.textContent = "";
  }

  async #join(event) {
    event.preventDefault();
    const name = field.value;
    error.textContent = "";
    field.removeAttribute("aria-invalid");
    try {
      const conversation = await this.#membership.join(name);
      field.value = "";
      this.#choose(conversation);
    } catch (refused) {
      error.textContent = refused.message;
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  }

  /** The hub's groups, for those who may see them; others get their own. */
  async #suggest() {
    try {
      const { groups } = await this.#connection.request({ type: "listGroups", limit: 200 });
      const others = groups.filter(({ group }) => !this.#conversations.get(group));
      const options = others.map(({ group, members }) => element("option", { value: group, label: count(members, "member") }));
      byId("join-known").replaceChildren(...options);
    } catch {
      // A suggestion only.
    }
  }
}

function short(unread) {
  return unread > 99 ? "99+" : String(unread);
}

function badgeText(unread) {
  const words = ` unread ${unread === 1 ? "message" : "messages"}`;
  return [short(unread), element("span", { class: "visually-hidden" }, words)];
}
