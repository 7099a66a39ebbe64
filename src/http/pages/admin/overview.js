// The view of the whole server: numbers now, and how they came about.

import { element } from "../shared/dom.js";
import { Chart } from "./chart.js";
import { bytes, count, milliseconds } from "./format.js";

const perSecond = (format) => (value) => `${format(value)}/s`;

const NUMBERS = [
  { key: "connections", title: "Connections", format: count },
  { key: "users", title: "Users", format: count },
  { key: "groups", title: "Groups", format: count },
  { key: "messages_in", title: "Messages in", format: perSecond(count) },
  { key: "messages_out", title: "Messages out", format: perSecond(count) },
  { key: "delivery_p99_ms", title: "Delivery latency, p99", format: milliseconds },
  { key: "slow_consumers", title: "Slow consumers", format: perSecond(count) },
  { key: "auth_failures", title: "Credentials refused", format: perSecond(count) },
];

const CHARTS = [
  { title: "Connections", lines: [{ key: "connections", name: "connections" }], format: count },
  {
    title: "Messages per second",
    lines: [{ key: "messages_in", name: "in" }, { key: "messages_out", name: "out" }],
    format: count,
  },
  {
    title: "Bytes per second",
    lines: [{ key: "bytes_in", name: "in" }, { key: "bytes_out", name: "out" }],
    format: bytes,
  },
  {
    title: "Delivery latency",
    lines: [{ key: "delivery_p50_ms", name: "p50" }, { key: "delivery_p99_ms", name: "p99" }],
    format: milliseconds,
  },
  {
    title: "Slow consumers and refused credentials per second",
    lines: [{ key: "slow_consumers", name: "slow consumers" }, { key: "auth_failures", name: "refused credentials" }],
    format: count,
  },
  { title: "Longest outbound queue", lines: [{ key: "queue_bytes_high", name: "bytes" }], format: bytes },
];

export function overview({ live }) {
  const numbers = NUMBERS.map(({ key, title, format }) => {
    const value = element("dd", { id: `now-${key}` }, "–");
    return { key, format, value, element: element("div", { class: "number" }, element("dt", {}, title), value) };
  });
  const charts = CHARTS.map((chart) => new Chart(chart));
  const show = () => {
    const last = live.samples.at(-1);
    if (!last || document.hidden) return;
    for (const { key, format, value } of numbers) value.textContent = format(last[key]);
    for (const chart of charts) chart.show(live.samples);
  };
  live.addEventListener("samples", show);
  document.addEventListener("visibilitychange", show);
  show();
  return {
    title: "Overview",
    element: element(
      "div",
      {},
      element("dl", { class: "numbers" }, numbers.map(({ element }) => element)),
      element("div", { class: "charts" }, charts.map(({ element }) => element)),
    ),
    close() {
      live.removeEventListener("samples", show);
      document.removeEventListener("visibilitychange", show);
    },
  };
}
