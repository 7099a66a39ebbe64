// A small chart of the last 15 minutes, drawn as SVG. A sample more changes its lines, not the document.

import { element, svg } from "../shared/dom.js";

const WIDTH = 300;
const HEIGHT = 64;
const LONGEST_MS = 15 * 60 * 1000;
// A server that just started has its first minute drawn at full width.
const SHORTEST_MS = 60 * 1000;
// As many points as the drawing can show.
const MOST_POINTS = 300;
// A longer silence between two samples is a gap and no line.
const GAP_MS = 15_000;

/** `lines` are `{ key, name }`, at most two; `format` writes a value. */
export class Chart {
  #title;
  #lines;
  #format;
  #now = element("p", { class: "now" });
  #most = element("span", { class: "most" });
  #drawing;
  #paths;

  constructor({ title, lines, format }) {
    this.#title = title;
    this.#lines = lines;
    this.#format = format;
    const line = (_, number) =>
      svg("path", { class: `line line-${number}`, fill: "none", "vector-effect": "non-scaling-stroke" });
    this.#paths = lines.map(line);
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
    this.#drawing = svg("svg", box, this.#paths);
    const key = ({ name }, number) => element("span", { class: `key key-${number}` }, name);
    const legend = lines.length > 1 ? lines.map(key) : null;
    this.element = element(
      "section",
      { class: "chart" },
      element("h2", {}, title),
      this.#now,
      this.#drawing,
      element("p", { class: "legend" }, legend, this.#most),
    );
  }

  show(samples) {
    const last = samples.at(-1);
    if (!last) return;
    const values = this.#lines.map(({ key }) => samples.map((sample) => sample[key] ?? null));
    const most = Math.max(0, ...values.flat());
    const now = this.#lines.map(({ key }) => this.#format(last[key])).join(" / ");
    this.#now.textContent = now;
    const times = samples.map(({ t }) => t);
    const span = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, last.t - times[0]));
    const within = `${Math.ceil(span / 60_000)} min`;
    this.#most.textContent = `most ${this.#format(most)} in ${within}`;
    this.#drawing.setAttribute("aria-label", `${this.#title}: now ${now}, most ${this.#format(most)} in ${within}`);
    this.#paths.forEach((path, line) => path.setAttribute("d", draw(times, values[line], most || 1, span)));
  }
}

function draw(times, values, most, span) {
  const end = times.at(-1);
  const step = Math.max(1, Math.floor(times.length / MOST_POINTS));
  let path = "";
  let before = null;
  // From the newest, so that the points do not change places with each second.
  for (let from = times.length; from > 0; from -= step) {
    const among = values.slice(Math.max(0, from - step), from).filter((value) => value !== null);
    const time = times[from - 1];
    if (!among.length) continue;
    const x = WIDTH * (1 - (end - time) / span);
    // The highest of those that share a point: a peak of a second is what somebody looks for.
    const y = HEIGHT - 2 - (HEIGHT - 4) * (Math.max(...among) / most);
    path += `${before !== null && before - time < GAP_MS + step * 1000 ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    before = time;
  }
  return path;
}
