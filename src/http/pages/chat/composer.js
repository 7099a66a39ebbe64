// Where one writes: to the selected group, a mask, or everybody.
//
// What is sent stands in the log at once, as under way. It asks for no echo: its ack stands among what others say exactly
// where the echo would, and comes also where one is no member oneself.

import { byId } from "./common.js";
import { Reach } from "./reach.js";

const text = byId("composer-text");
const mask = byId("mask");
const error = byId("composer-error");
const form = byId("composer");

export class Composer {
  #connection;
  #conversations;
  #reach;
  #me = null;

  constructor({ connection, conversations }) {
    this.#connection = connection;
    this.#conversations = conversations;
    this.#reach = new Reach(connection);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("change", () => this.update());
    mask.addEventListener("input", () => this.update());
    mask.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      text.focus();
    });
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("input", () => this.#keep());
    conversations.addEventListener("selected", () => this.#selected());
  }

  set me(userId) {
    this.#me = userId;
  }

  focus() {
    text.focus();
  }

  /** Brings what can be seen of it in line with the connection and the target. */
  update() {
    const kind = form.elements.target.value;
    byId("mask-field").hidden = kind !== "mask";
    const open = this.#connection.state === "open";
    this.#reach.show(open && kind !== "group" ? this.#target() : null);
    byId("send").disabled = !open || !this.#target();
    text.placeholder = open ? "Write a message" : "Not connected: what you write is kept here";
  }

  /** Sends what could not be sent once more. */
  retry(message) {
    const conversation = this.#conversations.list.find(({ messages }) => messages.includes(message));
    if (!conversation || this.#connection.state !== "open") return;
    this.#conversations.take(conversation, message);
    this.#send(conversation, message.target, message.text);
  }

  #target() {
    const kind = form.elements.target.value;
    if (kind === "all") return "*";
    if (kind === "mask") return mask.value;
    return this.#conversations.selected?.name;
  }

  #selected() {
    const selected = this.#conversations.selected;
    text.value = selected?.draft ?? "";
    byId("target-group").textContent = selected?.isMask ? "This mask" : "This group";
    // Who goes elsewhere does not want to talk to everybody there.
    form.elements.target.value = "group";
    error.textContent = "";
    this.#grow();
    this.update();
  }

  #keep() {
    const selected = this.#conversations.selected;
    if (selected) selected.draft = text.value;
    error.textContent = "";
    this.#grow();
  }

  /** As high as what is written, up to the limit that the style sets. */
  #grow() {
    text.rows = Math.min(8, Math.max(1, text.value.split("\n").length));
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const conversation = this.#conversations.selected;
    const target = this.#target();
    const written = text.value;
    if (!conversation || written.trim() === "") return;
    if (!target) {
      error.textContent = "Say to which mask.";
      mask.focus();
      return;
    }
    if (this.#connection.state !== "open") {
      error.textContent = "There is no connection to the server. Your text is kept.";
      return;
    }
    text.value = "";
    this.#keep();
    this.#send(conversation, target, written);
    text.focus();
  }

  async #send(conversation, target, written) {
    const elsewhere = target !== conversation.name;
    const base = { kind: "text", text: written, target, userId: this.#me, own: true, mask: elsewhere ? target : undefined };
    const pending = { ...base, at: Date.now(), state: "pending" };
    this.#conversations.put(conversation, pending);
    try {
      const frame = { type: "sendToGroup", group: target, dataType: "text", data: written, noEcho: true };
      await this.#connection.request(frame);
      this.#conversations.take(conversation, pending);
      this.#conversations.put(conversation, { ...base, at: Date.now() });
    } catch (refused) {
      pending.state = "failed";
      pending.error = refused.message;
      this.#conversations.touch(conversation, pending);
    }
  }
}
