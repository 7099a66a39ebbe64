// What all views are made of: messages, a question before something is ended, tables, pages of lists.

import { element, replace } from "../shared/dom.js";
import { ago, count } from "./format.js";

const TOAST_MS = 6000;
const MOST_TOASTS = 4;

/** Says that something was done. Read out when there is time. */
export function tell(message) {
  post("toasts", "toast", message);
}

/** Says that something was refused. Read out at once. */
export function refuse(error) {
  if (error.name !== "AbortError") post("alerts", "toast refusal", error.message);
}

function post(region, style, message) {
  const place = document.getElementById(region);
  const toast = element("div", { class: style }, message);
  place.append(toast);
  while (place.children.length > MOST_TOASTS) place.firstChild.remove();
  setTimeout(() => toast.remove(), TOAST_MS);
}

/**
 * Asks before something is done. Resolves with the fields of the form, or with `null` where somebody thought better of
 * it; the focus goes back to where it was.
 */
export function ask({ title, detail, action, fields = [] }) {
  return new Promise((resolve) => {
    const cancel = element("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const form = element(
      "form",
      { method: "dialog" },
      element("h2", { id: "question" }, title),
      element("p", {}, detail),
      fields,
      element("div", { class: "actions" }, cancel, element("button", { class: "danger", value: "yes" }, action)),
    );
    const dialog = element("dialog", { "aria-labelledby": "question" }, form);
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * A table whose rows are replaced: `columns` are `{ title, cell(row) }`. On a narrow screen each row is a card.
 *
 * Rows that never change may say so by a `number` of their own: what was drawn of them is drawn no second time.
 */
export class Table {
  #columns;
  #body = element("tbody");
  #empty;
  #drawn = new Map();

  constructor(caption, columns, empty = "Nothing to show.") {
    this.#columns = columns;
    this.#empty = empty;
    const titles = columns.map(({ title }) => element("th", { scope: "col" }, title));
    this.element = element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element("caption", { class: "hidden" }, caption),
        element("thead", {}, element("tr", {}, titles)),
        this.#body,
      ),
    );
  }

  show(rows) {
    const cell = (row, { title, cell }) => element("td", { "data-label": title }, cell(row));
    const draw = (row) => element("tr", {}, this.#columns.map((column) => cell(row, column)));
    const drawn = new Map();
    const line = (row) => {
      const made = this.#drawn.get(row.number) ?? draw(row);
      if (row.number !== undefined) drawn.set(row.number, made);
      return made;
    };
    const none = element("tr", {}, element("td", { colspan: this.#columns.length, class: "empty" }, this.#empty));
    replace(this.#body, rows.length ? rows.map(line) : none);
    this.#drawn = drawn;
  }
}

/** The pages of a list, one at a time: `load(token, signal)` answers `{ next }` and shows what it got. */
export class Pager {
  #load;
  #tokens = [null];
  #next = null;
  #underWay = new AbortController();
  #label = element("span", { role: "status" });
  #back = element("button", { type: "button", onclick: () => this.#turn(-1) }, "Back");
  #on = element("button", { type: "button", onclick: () => this.#turn(1) }, "Next");

  constructor(load) {
    this.#load = load;
    const again = element("button", { type: "button", onclick: () => this.refresh() }, "Refresh");
    this.element = element("div", { class: "pager" }, this.#back, this.#on, this.#label, again);
  }

  /** Loads this page again. */
  async refresh() {
    this.#underWay.abort();
    const { signal } = (this.#underWay = new AbortController());
    try {
      const { next, shown } = await this.#load(this.#tokens.at(-1), signal);
      if (signal.aborted) return;
      this.#next = next;
      const page = this.#tokens.length;
      const whole = page === 1 && !next;
      this.#label.textContent = whole ? `${count(shown)} shown` : `Page ${page}, ${count(shown)} shown`;
      this.#back.hidden = this.#on.hidden = whole;
      this.#back.disabled = page === 1;
      this.#on.disabled = !next;
    } catch (error) {
      if (!signal.aborted) refuse(error);
    }
  }

  close() {
    this.#underWay.abort();
  }

  #turn(direction) {
    if (direction > 0) {
      // Nothing to go on to; or a second click before the page of the first one is there, and says what is next.
      if (!this.#next) return;
      this.#tokens.push(this.#next);
    } else if (this.#tokens.length > 1) {
      this.#tokens.pop();
    }
    this.#next = null;
    this.refresh();
  }
}

/** A moment, as how long ago it is. */
export function moment(rfc3339) {
  if (!rfc3339) return "–";
  return element("time", { datetime: rfc3339, title: rfc3339 }, ago(new Date(rfc3339).getTime()));
}

/** The address of a view. */
export function link(view, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#/${view}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}
