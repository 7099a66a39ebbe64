// The members of one group, with what is known of their users.

import { element } from "../shared/dom.js";
import { pathOf } from "./api.js";
import { disconnectButton } from "./disconnect.js";
import { plural, text } from "./format.js";
import { link, Pager, Table } from "./ui.js";

const PAGE = 100;
// These have columns of their own; the rest of a user stands together.
const COLUMNS = ["login", "username", "department"];

export function members({ api, hub, query, mayWrite }) {
  const group = query.group ?? "";
  const listeners = element("span", { class: "count" });
  const table = new Table(`Members of ${group}`, [
    { title: "User", cell: ({ userId, user }) => userId ?? user?.login ?? "–" },
    { title: "Name", cell: ({ user }) => user?.username ?? "" },
    { title: "Department", cell: ({ user }) => user?.department ?? "" },
    { title: "More", cell: ({ user }) => element("span", { class: "more" }, further(user)) },
    {
      title: "Connection",
      cell: ({ connectionId }) =>
        element("a", { class: "id", href: link("connection", { hub, id: connectionId }) }, connectionId),
    },
    ...(mayWrite
      ? [{ title: "Actions", cell: (row) => disconnectButton({ api, hub, ...row, done: () => pager.refresh() }) }]
      : []),
  ], "Nobody is in this group.");
  const pager = new Pager(async (continuationToken, signal) => {
    const path = pathOf("hubs", hub, "groups", group, "connections");
    const page = await api.page(path, { maxpagesize: PAGE, continuationToken }, signal);
    table.show(page.value);
    listeners.textContent = page.listeners ? `and ${plural(page.listeners, "listener")} by masks` : "";
    return { next: page.next, shown: page.value.length };
  });
  pager.refresh();
  return {
    title: `Members of ${group}`,
    element: element(
      "div",
      {},
      element(
        "p",
        { class: "links" },
        element("a", { href: link("groups", { hub }) }, "All groups"),
        mayWrite && element("a", { href: link("send", { hub, group }) }, "Send to this group"),
        listeners,
      ),
      table.element,
      pager.element,
    ),
    close: () => pager.close(),
  };
}

/** What else is known of a user, as one text. */
export function further(user) {
  const rest = Object.entries(user ?? {}).filter(([key, value]) => !COLUMNS.includes(key) && value !== null);
  return rest.map(([key, value]) => `${key}: ${text(value)}`).join(", ");
}
