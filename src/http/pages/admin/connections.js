// The connections of a hub, filtered by user, address or group.

import { element } from "../shared/dom.js";
import { pathOf } from "./api.js";
import { disconnectButton, disconnectUserButton } from "./disconnect.js";
import { bytes, count } from "./format.js";
import { link, moment, Pager, Table } from "./ui.js";

const PAGE = 100;
const FILTERS = { user: "User", address: "Address", group: "Group" };

export function connections({ api, hub, query, mayWrite }) {
  const done = () => pager.refresh();
  const table = new Table("Connections", [
    {
      title: "Connection",
      cell: ({ connectionId }) =>
        element("a", { class: "id", href: link("connection", { hub, id: connectionId }) }, connectionId),
    },
    { title: "User", cell: ({ userId, user }) => userOf(userId, user) },
    { title: "Address", cell: ({ address }) => element("span", { class: "address" }, address ?? "–") },
    { title: "Connected", cell: ({ connectedAt }) => moment(connectedAt) },
    { title: "Groups", cell: ({ groups }) => count(groups) },
    { title: "Queue", cell: ({ queue }) => queueOf(queue) },
    { title: "Last activity", cell: ({ lastActivity }) => moment(lastActivity) },
    ...(mayWrite ? [{ title: "Actions", cell: (row) => actions({ api, hub, ...row, done }) }] : []),
  ], "No connection matches.");
  const pager = new Pager(async (continuationToken, signal) => {
    const { user, address, group } = query;
    const asked = { user, address, group, maxpagesize: PAGE, continuationToken };
    const { value, next } = await api.page(pathOf("hubs", hub, "connections"), asked, signal);
    table.show(value);
    return { next, shown: value.length };
  });
  pager.refresh();
  return {
    title: `Connections of ${hub}`,
    element: element("div", {}, filter(hub, query), table.element, pager.element),
    close: () => pager.close(),
  };
}

/** The user of a connection, by id and name. */
function userOf(userId, user) {
  return user?.username && user.username !== userId ? `${userId ?? "–"} (${user.username})` : (userId ?? "–");
}

/** What waits for a connection to read it. */
export function queueOf(queue) {
  return queue?.messages ? `${count(queue.messages)} (${bytes(queue.bytes)})` : "empty";
}

function actions({ userId, ...row }) {
  return element(
    "div",
    { class: "buttons" },
    disconnectButton({ userId, ...row }),
    userId && disconnectUserButton({ userId, ...row }),
  );
}

function filter(hub, query) {
  const field = ([name, title]) =>
    element("label", {}, title, element("input", { type: "search", name, value: query[name] ?? "" }));
  const submit = (event) => {
    event.preventDefault();
    location.hash = link("connections", { hub, ...Object.fromEntries(new FormData(event.target)) });
  };
  return element(
    "form",
    { class: "filter", onsubmit: submit, role: "search" },
    Object.entries(FILTERS).map(field),
    element("button", {}, "Show"),
    element("a", { href: link("connections", { hub }) }, "All"),
  );
}
