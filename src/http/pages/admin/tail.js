// Who comes and goes, as it happens. Shows the last of what `Live` keeps; holding it still loses nothing of that.

import { element } from "../shared/dom.js";
import { clock, count, plural } from "./format.js";
import { Table } from "./ui.js";

const MOST_ROWS = 200;
const KINDS = ["joined", "left", "connected", "disconnected", "refused"];

export function tail({ live }) {
  let held = null;
  let drawn = 0;
  const table = new Table("Events, the newest first", [
    { title: "Time", cell: ({ t }) => clock(t) },
    { title: "Event", cell: kindOf },
    { title: "Hub", cell: ({ hub }) => hub ?? "" },
    { title: "Group", cell: ({ group }) => group ?? "" },
    { title: "User", cell: ({ userId }) => userId ?? "" },
    { title: "Connection", cell: ({ connectionId }) => element("span", { class: "id" }, connectionId ?? "") },
    { title: "Address", cell: ({ address }) => address ?? "" },
    { title: "Reason", cell: ({ reason }) => reason ?? "" },
  ], "Nothing happened yet.");
  table.element.classList.add("tail");
  const words = element("input", { type: "search", oninput: () => show() });
  const option = (kind) => element("option", { value: kind }, kind);
  const all = element("option", { value: "" }, "all");
  const kind = element("select", { onchange: () => show() }, all, KINDS.map(option));
  const pause = element("button", { type: "button", "aria-pressed": "false", onclick: () => hold() }, "Pause");
  const waiting = element("span", { class: "count" });

  function hold() {
    held = held ? null : live.events;
    pause.setAttribute("aria-pressed", String(held !== null));
    pause.textContent = held ? "Go on" : "Pause";
    show();
  }

  function show() {
    const newest = (events) => events[0]?.number ?? 0;
    const behind = held ? newest(live.events) - newest(held) : 0;
    waiting.textContent = behind ? `${plural(behind, "event")} since` : "";
    const wanted = words.value.trim().toLowerCase();
    const has = (event) => Object.values(event).join(" ").toLowerCase().includes(wanted);
    const matches = (event) => (!kind.value || event.event === kind.value) && (!wanted || has(event));
    table.show((held ?? live.events).filter(matches).slice(0, MOST_ROWS));
  }

  // However many batches come in, the rows are drawn once per picture.
  const more = () => {
    if (!drawn) drawn = requestAnimationFrame(() => ((drawn = 0), show()));
  };
  live.addEventListener("events", more);
  show();
  return {
    title: "Live tail",
    element: element(
      "div",
      {},
      element(
        "form",
        { class: "filter", role: "search", onsubmit: (event) => event.preventDefault() },
        element("label", {}, "Contains", words),
        element("label", {}, "Event", kind),
        pause,
        waiting,
      ),
      table.element,
    ),
    close() {
      live.removeEventListener("events", more);
      cancelAnimationFrame(drawn);
    },
  };
}

function kindOf({ event, skipped }) {
  return element("span", { class: `event ${event}` }, skipped ? `${count(skipped)} not told` : event);
}
