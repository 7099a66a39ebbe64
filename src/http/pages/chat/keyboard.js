// The keys beside Tab and Enter, and the dialog that lists them.

import { element } from "../shared/dom.js";
import { byId } from "./common.js";

const KEYS = [
  ["Enter", "send; Shift+Enter begins a new line"],
  ["Alt+↑ Alt+↓", "the group before, the group after"],
  ["Alt+Shift+↑ Alt+Shift+↓", "the same among those with unread messages"],
  ["Ctrl+K", "join a group or a mask"],
  ["Ctrl+I", "members or frames"],
  ["F6 Shift+F6", "the next or the last part of the page"],
  ["Esc", "back to writing"],
  ["Ctrl+/", "this list"],
];

export function listenToKeys({ sidebar, composer, panes }) {
  const help = byId("help");
  byId("help-keys").append(
    ...KEYS.flatMap(([keys, what]) => [
      element("dt", {}, ...keys.split(" ").flatMap((key) => [element("kbd", {}, key), " "])),
      element("dd", {}, what),
    ]),
  );
  byId("help-button").addEventListener("click", () => help.showModal());
  addEventListener("keydown", (event) => {
    if (byId("chat").hidden || help.open || event.isComposing) return;
    const run = {
      "alt+ArrowUp": () => sidebar.step(-1),
      "alt+ArrowDown": () => sidebar.step(1),
      "alt+shift+ArrowUp": () => sidebar.step(-1, { unread: true }),
      "alt+shift+ArrowDown": () => sidebar.step(1, { unread: true }),
      "ctrl+k": () => {
        panes.show("groups");
        byId("join-name").focus();
      },
      "ctrl+i": () => panes.show(byId("chat").dataset.side === "members" ? "frames" : "members"),
      "ctrl+/": () => help.showModal(),
      F6: () => panes.next(1),
      "shift+F6": () => panes.next(-1),
      Escape: () => {
        panes.show("talk");
        composer.focus();
      },
    }[chord(event)];
    if (!run) return;
    event.preventDefault();
    run();
  });
}

/** "ctrl+k", say; the command key of a Mac is its Ctrl. */
function chord({ key, altKey, ctrlKey, metaKey, shiftKey }) {
  const held = [altKey && "alt", (ctrlKey || metaKey) && "ctrl", shiftKey && "shift"].filter(Boolean);
  return [...held, key.length === 1 ? key.toLowerCase() : key].join("+");
}
