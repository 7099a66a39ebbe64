// Who is in the selected group: one line a person, whatever number of connections they have.

import { element } from "../shared/dom.js";
import { byId, count, oncePerFrame } from "./common.js";
import { fieldsOf, hueOf, initials, nameOf } from "./people.js";

export class Members {
  #conversations;
  #me = null;
  #draw = oncePerFrame(() => this.#drawAll());

  constructor(conversations) {
    this.#conversations = conversations;
    conversations.addEventListener("selected", this.#draw);
    conversations.addEventListener("members", ({ detail }) => {
      if (detail.conversation === conversations.selected) this.#draw();
    });
  }

  set me(userId) {
    this.#me = userId;
    this.#draw();
  }

  #drawAll() {
    const selected = this.#conversations.selected;
    byId("group-name").textContent = selected?.name ?? "No group";
    byId("group-about").textContent = selected ? about(selected) : "Join a group to talk in it.";
    byId("leave").hidden = !selected;
    const people = selected ? byPerson(selected.members) : [];
    byId("members").replaceChildren(...people.map((person) => this.#item(person)));
    const more = selected?.more ? `These are the first ${selected.members.size.toLocaleString("en")}; there are more.` : "";
    byId("members-more").textContent = selected?.isMask ? "Who listens to a mask is a member of none of its groups." : more;
  }

  #item({ userId, user, connections }) {
    const name = nameOf(userId, user);
    const you = userId !== null && userId === this.#me ? element("span", { class: "chip" }, "you") : null;
    const devices = connections > 1 ? `${connections} connections` : "";
    const fields = [userId && userId !== name ? userId : "", fieldsOf(user), devices].filter(Boolean).join(" · ");
    return element(
      "li",
      {},
      element("span", { class: "avatar", "aria-hidden": "true", "data-hue": hueOf(userId ?? "") }, initials(name)),
      element(
        "span",
        { class: "person" },
        element("span", { class: "name", dir: "auto" }, name, you ? " " : null, you),
        element("span", { class: "hint", dir: "auto" }, fields),
      ),
    );
  }
}

function about({ isMask, members, more, listeners }) {
  if (isMask) return "You hear every group that matches.";
  const people = `${more ? "More than " : ""}${count(members.size, "connection")}`;
  return listeners > 0 ? `${people}, ${count(listeners, "listener")}` : people;
}

/** The connections by user, the names in their order; who has no user id is on their own. */
function byPerson(members) {
  const people = new Map();
  for (const { connectionId, userId, user } of members.values()) {
    const key = userId ?? connectionId;
    const person = people.get(key);
    if (person) person.connections += 1;
    else people.set(key, { userId, user, connections: 1 });
  }
  const named = [...people.values()];
  return named.sort((a, b) => nameOf(a.userId, a.user).localeCompare(nameOf(b.userId, b.user)));
}
