// One connection: what is known of it and of its user, and the groups that it is in.

import { element, replace } from "../shared/dom.js";
import { pathOf } from "./api.js";
import { queueOf } from "./connections.js";
import { disconnectButton, disconnectUserButton } from "./disconnect.js";
import { count, text } from "./format.js";
import { link, moment, refuse } from "./ui.js";

export function connection({ api, hub, query, mayWrite }) {
  const id = query.id ?? "";
  const body = element("div", {}, "Loading…");
  const gone = () => (location.hash = link("connections", { hub }));
  load().catch((error) => {
    replace(body, error.status === 404 ? "There is no such connection any more." : error.message);
    if (error.status !== 404) refuse(error);
  });

  async function load() {
    const found = await api.get(pathOf("hubs", hub, "connections", id));
    const groups = found.groupNames ?? [];
    const more = (found.groups ?? groups.length) - groups.length;
    const entry = (group) => element("li", {}, element("a", { href: link("members", { hub, group }) }, group));
    const facts = {
      User: found.userId ?? "–",
      Address: found.address ?? "–",
      Subprotocol: found.subprotocol ?? "none",
      Connected: moment(found.connectedAt),
      "Last activity": moment(found.lastActivity),
      Queue: queueOf(found.queue),
    };
    const same = { api, hub, connectionId: id, userId: found.userId, done: gone };
    replace(
      body,
      list(facts),
      mayWrite &&
        element("div", { class: "buttons" }, disconnectButton(same), found.userId && disconnectUserButton(same)),
      found.user && [element("h2", {}, "User data"), list(found.user)],
      element("h2", {}, `Groups (${count(groups.length + Math.max(0, more))})`),
      element("ul", { class: "names" }, groups.map(entry)),
      more > 0 && element("p", {}, `and ${count(more)} more`),
    );
  }

  return {
    title: `Connection ${id}`,
    element: element(
      "div",
      {},
      element("p", {}, element("a", { href: link("connections", { hub }) }, "All connections")),
      body,
    ),
  };
}

const list = (facts) => {
  const shown = (value) => (value instanceof Node ? value : text(value));
  return element(
    "dl",
    { class: "facts" },
    Object.entries(facts).map(([name, value]) => [element("dt", {}, name), element("dd", {}, shown(value))]),
  );
};
