// Which parts of the page are to be seen: all beside one another where there is room, one at a time on a phone.

import { byId } from "./common.js";

const chat = byId("chat");
const wide = matchMedia("(min-width: 900px)");
const regions = { groups: "groups-pane", talk: "talk-pane", members: "side-pane", frames: "side-pane" };

export class Panes {
  #frames;

  constructor(frames) {
    this.#frames = frames;
    byId("panes").addEventListener("click", ({ target }) => {
      const pane = target.closest("button")?.dataset.pane;
      if (pane) this.show(pane);
    });
    byId("side-members").addEventListener("click", () => this.#side("members"));
    byId("side-frames").addEventListener("click", () => this.#side("frames"));
    wide.addEventListener("change", () => this.#update());
    this.#update();
  }

  /** Brings a part before the eyes, on a phone in place of the others. */
  show(pane) {
    chat.dataset.pane = pane;
    if (pane === "members" || pane === "frames") chat.dataset.side = pane;
    this.#update();
  }

  /** Moves the focus to the next part of the page. */
  next(by) {
    const shown = ["groups", "talk", "members"].map((pane) => byId(regions[pane]));
    const visible = shown.filter((region) => region.checkVisibility());
    const at = visible.findIndex((region) => region.contains(document.activeElement));
    visible.at((at + by) % visible.length)?.focus();
  }

  /** The side has one of two panels, or is closed by the button of the one that it has. */
  #side(panel) {
    chat.dataset.side = chat.dataset.side === panel ? "none" : panel;
    this.#update();
  }

  #update() {
    const { pane, side } = chat.dataset;
    const panel = wide.matches ? side : pane;
    byId("members-panel").hidden = panel !== "members";
    byId("frames-panel").hidden = panel !== "frames";
    byId("side-pane").setAttribute("aria-label", panel === "frames" ? "Frames" : "Members");
    byId("side-members").setAttribute("aria-expanded", String(side === "members"));
    byId("side-frames").setAttribute("aria-expanded", String(side === "frames"));
    for (const button of byId("panes").querySelectorAll("button")) {
      if (button.dataset.pane === pane) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    this.#frames.shown = panel === "frames";
  }
}
