// Numbers, sizes and times as people read them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1, notation: "compact" });

const round = (value) => (Number.isInteger(value) || value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);

export function count(value) {
  if (typeof value !== "number") return "–";
  return value < 100_000 ? whole.format(round(value)) : short.format(value);
}

export function bytes(value) {
  if (typeof value !== "number") return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${round(value)} ${units[unit]}`;
}

export function milliseconds(value) {
  if (typeof value !== "number") return "–";
  if (value >= 1000) return `${round(value / 1000)} s`;
  return value >= 1 || value === 0 ? `${round(value)} ms` : `${Math.round(value * 1000)} µs`;
}

/** How long ago, in one unit. */
export function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

// Made once: to make one takes longer than to use it a thousand times.
const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const clock = (moment) => time.format(moment);

/** One or several: `plural(2, "group")` is "2 groups". */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Anything as a short text. */
export const text = (value) => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));
