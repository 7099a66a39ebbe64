// What stays while views come and go: the way between them, the choice of a hub, the state of the connection.

import { element, replace } from "../shared/dom.js";
import { count } from "./format.js";
import { link, refuse } from "./ui.js";
import { configuration } from "./configuration.js";
import { connection } from "./connection.js";
import { connections } from "./connections.js";
import { groups } from "./groups.js";
import { members } from "./members.js";
import { overview } from "./overview.js";
import { send } from "./send.js";
import { tail } from "./tail.js";

// A view is a function of its context; it answers `{ title, element, close? }`, and loads by itself.
const VIEWS = { overview, groups, members, connections, connection, tail, send, configuration };
// Those that the menu names; `write` stands before one that takes the role folkmoot.admin, `hub` behind one of a hub.
const MENU = [
  { view: "overview", title: "Overview" },
  { view: "groups", title: "Groups", hub: true },
  { view: "connections", title: "Connections", hub: true },
  { view: "tail", title: "Live tail" },
  { view: "send", title: "Send", hub: true, write: true },
  { view: "configuration", title: "Configuration" },
];
const MOST_HUBS = 200;

export class Shell {
  #context;
  #hub = "";
  #view = null;
  // Counts the views that were asked for: one that is waited for still, and not wanted any more, is not shown.
  #asked = 0;
  #retryTimer = 0;
  #hubs = element("select", { id: "hub", onchange: () => this.#chooseHub(this.#hubs.value) });
  #menu = element("ul");
  #state = element("div", { class: "state", id: "state", role: "status" });
  #main = element("main", { id: "main", tabindex: "-1" });

  constructor({ api, live, login, mayWrite, logOut }) {
    this.#context = { api, live, mayWrite };
    this.element = element(
      "div",
      { class: "shell" },
      element("a", { class: "skip", href: "#main", onclick: (event) => this.#skip(event) }, "Skip to the content"),
      element(
        "header",
        {},
        element("img", { src: "assets/shared/icon.svg", alt: "", width: 26, height: 26 }),
        element("strong", { class: "brand" }, "Folkmoot"),
        element("label", { class: "hub" }, "Hub", this.#hubs),
        this.#state,
        element("span", { class: "who" }, login, mayWrite ? null : " (read only)"),
        element("button", { type: "button", onclick: logOut }, "Log out"),
      ),
      element("nav", { "aria-label": "Views" }, this.#menu),
      this.#main,
    );
    this.onhash = () => this.show().catch(refuse);
    this.onstate = () => this.#showState();
    addEventListener("hashchange", this.onhash);
    live.addEventListener("state", this.onstate);
  }

  close() {
    this.#asked += 1;
    removeEventListener("hashchange", this.onhash);
    this.#context.live.removeEventListener("state", this.onstate);
    clearInterval(this.#retryTimer);
    this.#view?.close?.();
  }

  /** Shows the view that the address names. */
  async show() {
    const [name, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const query = Object.fromEntries(new URLSearchParams(search));
    const asked = ++this.#asked;
    // Without an answer the hubs stay as they were, and the view says for itself what it cannot show.
    const hubs = await this.#context.api.get("hubs").catch((error) => {
      if (!this.#view || error.status === 401) throw error;
      return null;
    });
    if (asked !== this.#asked) return;
    if (hubs) this.#showHubs(hubs.value, query.hub);
    else this.#hub = query.hub || this.#hub;
    const known = Object.hasOwn(VIEWS, name) ? name : "overview";
    const moved = this.#view !== null;
    this.#view?.close?.();
    this.#view = VIEWS[known]({ ...this.#context, hub: this.#hub, query });
    document.title = `${this.#view.title} – Folkmoot dashboard`;
    const heading = element("h1", { tabindex: "-1" }, this.#view.title);
    replace(this.#main, heading, this.#view.element);
    this.#showMenu(known);
    // Whoever uses the keyboard or a screen reader goes on where something changed.
    if (moved) heading.focus();
  }

  #showHubs(value, wanted) {
    this.#hub = wanted || this.#hub || (value.find(({ hub }) => !hub.startsWith("folkmoot.")) ?? value[0])?.hub || "";
    const hubs = value.slice(0, MOST_HUBS);
    if (!hubs.some(({ hub }) => hub === this.#hub)) hubs.unshift({ hub: this.#hub, connections: 0 });
    const option = ({ hub, connections }) =>
      element("option", { value: hub, selected: hub === this.#hub }, `${hub} (${count(connections)})`);
    replace(this.#hubs, hubs.map(option));
  }

  #chooseHub(hub) {
    const [name] = location.hash.replace(/^#\/?/, "").split("?");
    // What names a group or a connection means another one, or none, in another hub.
    const view = { members: "groups", connection: "connections" }[name] ?? (name || "overview");
    location.hash = link(view, { hub });
  }

  #showMenu(current) {
    const shown = MENU.filter(({ write }) => !write || this.#context.mayWrite);
    const parent = { members: "groups", connection: "connections" }[current] ?? current;
    const entry = ({ view, title, hub }) => {
      const href = link(view, hub ? { hub: this.#hub } : {});
      return element("li", {}, element("a", { href, "aria-current": view === parent ? "page" : null }, title));
    };
    replace(this.#menu, shown.map(entry));
    // On a phone the menu is longer than the screen.
    this.#menu.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #showState() {
    clearInterval(this.#retryTimer);
    const { state, reason, retryAt } = this.#context.live.state;
    this.#state.dataset.state = state;
    if (state === "open") return replace(this.#state, "Live");
    if (state === "connecting") return replace(this.#state, "Connecting…");
    const rest = element("span", { "aria-hidden": "true" });
    const left = () => {
      const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
      rest.textContent = retryAt ? ` Next attempt in ${seconds} s.` : "";
    };
    left();
    this.#retryTimer = setInterval(left, 1000);
    const now = element("button", { type: "button", onclick: () => this.#context.live.retry() }, "Try now");
    return replace(this.#state, `Connection lost: ${reason}.`, rest, " ", now);
  }

  #skip(event) {
    event.preventDefault();
    this.#main.focus();
  }
}
