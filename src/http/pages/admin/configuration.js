// The configuration that is in effect, and where each value comes from. Secrets are hidden by the server.

import { element, replace } from "../shared/dom.js";
import { plural, text } from "./format.js";
import { refuse, Table } from "./ui.js";

const MOST_ROWS = 200;

export function configuration({ api }) {
  let keys = [];
  const columns = [
    { title: "Key", cell: ({ key }) => element("code", {}, key) },
    { title: "Value", cell: ({ value }) => element("code", {}, text(value)) },
    { title: "Origin", cell: ({ origin }) => origin ?? "" },
  ];
  const change = { title: "A change needs", cell: ({ reloadable }) => (reloadable ? "reload" : "restart") };
  const place = element("div");
  let table = null;
  const search = element("input", { type: "search", oninput: () => show() });
  const shownOf = element("span", { class: "count", role: "status" });

  function show() {
    const wanted = search.value.trim().toLowerCase();
    const words = ({ key, value, origin }) => `${key} ${text(value)} ${origin ?? ""}`.toLowerCase();
    const found = keys.filter((entry) => words(entry).includes(wanted));
    table?.show(found.slice(0, MOST_ROWS));
    shownOf.textContent =
      plural(found.length, "key") + (found.length > MOST_ROWS ? `, the first ${MOST_ROWS} of them shown` : "");
  }

  api
    .get("server/config")
    .then((answer) => {
      keys = answer.value;
      // Only a server that can reload tells which keys it would.
      const all = keys.some((entry) => "reloadable" in entry) ? [...columns, change] : columns;
      table = new Table("Configuration", all, "No key matches.");
      replace(place, table.element);
      show();
    })
    .catch(refuse);
  return {
    title: "Configuration",
    element: element(
      "div",
      {},
      element(
        "form",
        { class: "filter", role: "search", onsubmit: (event) => event.preventDefault() },
        element("label", {}, "Contains", search),
        shownOf,
      ),
      place,
    ),
  };
}
