// The groups of a hub as a tree by "/". A level is loaded when it is opened, and one page of it is shown; opening a
// branch closes the one beside it, so that the document stays small however many groups there are.

import { element, replace } from "../shared/dom.js";
import { pathOf } from "./api.js";
import { plural } from "./format.js";
import { link, Pager } from "./ui.js";

const PAGE = 40;

export function groups({ api, hub, query, mayWrite }) {
  const root = new Level({ api, hub, mayWrite }, query.prefix ?? "");
  const prefix = element("input", { type: "search", name: "prefix", value: query.prefix ?? "", placeholder: "sales/" });
  const submit = (event) => {
    event.preventDefault();
    location.hash = link("groups", { hub, prefix: prefix.value });
  };
  return {
    title: `Groups of ${hub}`,
    element: element(
      "div",
      {},
      element(
        "form",
        { class: "filter", onsubmit: submit, role: "search" },
        element("label", {}, "Names that begin with", prefix),
        element("button", {}, "Show"),
      ),
      root.element,
    ),
    close: () => root.close(),
  };
}

/** The groups and branches right below a prefix. */
class Level {
  #place;
  #prefix;
  #list = element("ul", { class: "tree" });
  #pager = new Pager((token, signal) => this.#load(token, signal));
  #open = null;

  constructor(place, prefix) {
    this.#place = place;
    this.#prefix = prefix;
    this.element = element("div", { class: "level" }, this.#list, this.#pager.element);
    this.#pager.refresh();
  }

  close() {
    this.#open?.level.close();
    this.#pager.close();
  }

  async #load(continuationToken, signal) {
    const { api, hub } = this.#place;
    const query = { prefix: this.#prefix, delimiter: "/", maxpagesize: PAGE, continuationToken };
    const { value = [], prefixes = [], next } = await api.page(pathOf("hubs", hub, "groups"), query, signal);
    this.#open?.level.close();
    this.#open = null;
    const entries = [...prefixes.map((branch) => this.#branch(branch)), ...value.map((group) => this.#leaf(group))];
    replace(this.#list, entries.length ? entries : element("li", { class: "empty" }, "No groups."));
    this.#pager.element.hidden = !next && !continuationToken && this.#prefix !== "";
    return { next, shown: entries.length };
  }

  #branch({ prefix, groups }) {
    const place = element("div");
    const button = element(
      "button",
      { type: "button", class: "branch", "aria-expanded": "false", onclick: () => this.#toggle(button, place, prefix) },
      element("span", { class: "name" }, prefix.slice(this.#prefix.length)),
    );
    return element("li", {}, button, " ", element("span", { class: "count" }, plural(groups, "group")), place);
  }

  #toggle(button, place, prefix) {
    const wasOpen = this.#open?.button === button;
    if (this.#open) {
      this.#open.level.close();
      this.#open.button.setAttribute("aria-expanded", "false");
      replace(this.#open.place);
      this.#open = null;
    }
    if (wasOpen) return;
    const level = new Level(this.#place, prefix);
    this.#open = { button, place, level };
    button.setAttribute("aria-expanded", "true");
    replace(place, level.element);
  }

  #leaf({ group, members, listeners }) {
    const { hub, mayWrite } = this.#place;
    const name = group.slice(this.#prefix.length) || group;
    const counts = plural(members, "member") + (listeners ? `, ${plural(listeners, "listener")}` : "");
    return element(
      "li",
      {},
      element("a", { class: "name", href: link("members", { hub, group }), "aria-label": group }, name),
      " ",
      element("span", { class: "count" }, counts),
      mayWrite && " ",
      mayWrite && element("a", { href: link("send", { hub, group }), "aria-label": `Send to ${group}` }, "Send"),
    );
  }
}
