// Being in groups: joining, leaving, joining again after a loss, and who else is there.
//
// Members are asked for when a group is entered, kept current by announcements, and asked for again now and then, because
// a hub may announce nothing, a user once, or no one in a large group.

import { isMask } from "./mask.js";
import { remember } from "./people.js";

// More names than anybody reads; the count is told beyond it.
const MOST_MEMBERS = 1000;
const PAGE = 200;
const REFRESH_MS = 30_000;

export class Membership {
  #connection;
  #conversations;
  // Groups that were left by hand although the server puts us there.
  #left = new Set();
  #leaving = new Set();
  // Groups that were joined by hand before the page was reloaded, until the first connection.
  #wanted = [];
  #listings = new Map();
  #timer = 0;

  constructor(connection, conversations) {
    this.#connection = connection;
    this.#conversations = conversations;
  }

  /** What was chosen by hand: `{ joined, left }`. */
  get choices() {
    const joined = this.#conversations.list.filter(({ byHand }) => byHand).map(({ name }) => name);
    return { joined: [...new Set([...joined, ...this.#wanted])], left: [...this.#left] };
  }

  /** The same from before the page was reloaded; counts from the next connection on. */
  set choices({ joined, left }) {
    this.#wanted = joined;
    this.#left = new Set(left);
  }

  /** A connection is there: joins again what was joined by hand, leaves what was left, and lists who is there. */
  async resume(groups) {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.refresh(), REFRESH_MS);
    const again = this.choices.joined.filter((name) => !groups.includes(name));
    this.#wanted = [];
    const stays = groups.filter((group) => !this.#left.has(group));
    const gone = this.#conversations.list.filter(({ name, byHand }) => !byHand && !stays.includes(name));
    gone.forEach(({ name }) => this.#conversations.remove(name));
    stays.forEach((group) => this.#conversations.add(group));
    const leaving = groups.filter((group) => this.#left.has(group));
    await Promise.allSettled([
      ...leaving.map((group) => this.#leaveAgain(group)),
      ...again.map((name) => this.#joinAgain(name)),
      ...stays.map((group) => this.list(group)),
    ]);
  }

  /** What was joined by hand on another connection; what the server has against it now, somebody should know. */
  async #joinAgain(name) {
    try {
      await this.join(name);
    } catch (error) {
      // It was not the server that refused: the next connection tries again.
      if (["Lost", "Busy", "Timeout"].includes(error.name)) return void (this.#conversations.get(name) ?? this.#wanted.push(name));
      const conversation = this.#conversations.add(name);
      const text = `You are not in here any more, and cannot be: ${error.message}`;
      conversation.byHand = false;
      this.#conversations.put(conversation, { kind: "note", text, at: Date.now() });
    }
  }

  async #leaveAgain(group) {
    this.#leaving.add(group);
    await this.#connection.request({ type: "leaveGroup", group }).finally(() => this.#leaving.delete(group));
  }

  stop() {
    clearInterval(this.#timer);
    this.#wanted = [];
    this.#left.clear();
    this.#listings.clear();
  }

  /** Joins a group, or listens to a mask; throws what the server says against it. */
  async join(name) {
    await this.#connection.request({ type: "joinGroup", group: name });
    this.#left.delete(name);
    const conversation = this.#conversations.add(name);
    conversation.byHand = true;
    if (!isMask(name)) this.list(name).catch(() => {});
    return conversation;
  }

  async leave(name) {
    await this.#connection.request({ type: "leaveGroup", group: name });
    if (!this.#conversations.get(name)?.byHand) this.#left.add(name);
    this.#conversations.remove(name);
  }

  /** Whether the server has put us into a group that was left by hand, and that we are about to leave again. */
  isLeaving(name) {
    return this.#leaving.has(name);
  }

  /** Asks anew who is in the group that somebody looks at. */
  refresh() {
    const selected = this.#conversations.selected;
    if (selected && document.visibilityState === "visible") this.list(selected.name).catch(() => {});
  }

  /** Asks who is in a group. What is announced meanwhile counts for the answer too. */
  async list(name) {
    const conversation = this.#conversations.get(name);
    if (!conversation || conversation.isMask || this.#listings.has(conversation)) return;
    const members = new Map();
    this.#listings.set(conversation, members);
    try {
      let token;
      do {
        const question = { type: "listMembers", group: name, limit: PAGE, continuationToken: token };
        const answer = await this.#connection.request(question);
        answer.members.forEach((member) => put(members, member));
        conversation.listeners = answer.listeners;
        token = answer.continuationToken;
      } while (token !== undefined && members.size < MOST_MEMBERS);
      conversation.more = token !== undefined;
      conversation.members = members;
      this.#conversations.membersChanged(conversation);
    } finally {
      this.#listings.delete(conversation);
    }
  }

  /** Somebody came or went. */
  announced(conversation, group, { event, connectionId, userId, user }) {
    remember(userId, user);
    // A mask's listener is told of groups that it has no list of.
    if (conversation.name !== group) return;
    for (const members of [conversation.members, this.#listings.get(conversation)]) {
      if (event === "left") members?.delete(connectionId);
      else if (members && members.size < MOST_MEMBERS) put(members, { connectionId, userId, user });
    }
    this.#conversations.membersChanged(conversation);
  }
}

function put(members, member) {
  remember(member.userId, member.user);
  members.set(member.connectionId, member);
}
