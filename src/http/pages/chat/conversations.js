// The groups and masks that one is in, what was said there and what of it was not read yet. Knows no document and no
// connection; tells by events what changed:
//   "list" (which there are, unread counts) · "selected" · "message" { conversation, message } · "members" { conversation }

import { isMask, matches } from "./mask.js";

// Messages kept per group: a screen's scrolling back, whatever is poured in.
const MOST_MESSAGES = 500;

export class Conversation {
  members = new Map();
  listeners = 0;
  /** Whether the member list was cut. */
  more = false;
  messages = [];
  unread = 0;
  draft = "";
  /** Joined by hand: to be joined again on the next connection. */
  byHand = false;

  constructor(name) {
    this.name = name;
    this.isMask = isMask(name);
  }
}

export class Conversations extends EventTarget {
  #all = new Map();
  #selected = null;
  #nextId = 1;

  /** All of them in the order of their names, groups before masks. */
  get list() {
    const all = [...this.#all.values()];
    return all.sort((a, b) => a.isMask - b.isMask || a.name.localeCompare(b.name));
  }

  get selected() {
    return this.#selected;
  }

  get unread() {
    return this.list.reduce((sum, conversation) => sum + conversation.unread, 0);
  }

  get(name) {
    return this.#all.get(name);
  }

  /** Adds a group or a mask, or finds it. */
  add(name) {
    let conversation = this.#all.get(name);
    if (!conversation) {
      conversation = new Conversation(name);
      this.#all.set(name, conversation);
      if (!this.#selected) this.select(conversation);
      this.#tell("list");
    }
    return conversation;
  }

  remove(name) {
    const before = this.list;
    if (!this.#all.delete(name)) return;
    if (this.#selected?.name === name) {
      const at = before.findIndex((conversation) => conversation.name === name);
      this.select(this.list[Math.min(at, this.#all.size - 1)] ?? null);
    }
    this.#tell("list");
  }

  clear() {
    this.#all.clear();
    this.select(null);
    this.#tell("list");
  }

  select(conversation) {
    this.#selected = conversation;
    this.#tell("selected");
    this.read();
  }

  /** What is selected is before somebody's eyes. */
  read() {
    if (!this.#selected || document.visibilityState !== "visible") return;
    if (this.#selected.unread === 0) return;
    this.#selected.unread = 0;
    this.#tell("list");
  }

  /** Where a message of a group belongs: into the group, else into the joined mask that brought it. */
  of(group) {
    return this.#all.get(group) ?? this.list.find((candidate) => candidate.isMask && matches(candidate.name, group));
  }

  /** Adds a message to a conversation. `counts`: it is for reading, and from somebody else. */
  put(conversation, message, { counts = false } = {}) {
    message.id = this.#nextId++;
    conversation.messages.push(message);
    if (conversation.messages.length > MOST_MESSAGES) conversation.messages.shift();
    this.#tell("message", { conversation, message });
    const isSeen = conversation === this.#selected && document.visibilityState === "visible";
    if (counts && !isSeen) {
      if (conversation.unread === 0) conversation.firstUnread = message.id;
      conversation.unread += 1;
      this.#tell("list");
    }
    return message;
  }

  /** Takes a message out: one that was under way, and is said or given up. */
  take(conversation, message) {
    const at = conversation.messages.indexOf(message);
    if (at < 0) return;
    conversation.messages.splice(at, 1);
    this.#tell("taken", { conversation, message });
  }

  /** Something about a message changed. */
  touch(conversation, message) {
    this.#tell("touched", { conversation, message });
  }

  /** The members of a group changed. */
  membersChanged(conversation) {
    this.#tell("members", { conversation });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
