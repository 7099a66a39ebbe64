// What is known of people: the public fields that the server shows, by user id. Bounded; the oldest are forgotten.

const MOST = 2000;

const known = new Map();

/** Remembers somebody whom a member list or an announcement told of. */
export function remember(userId, user) {
  if (!userId || !user) return;
  known.delete(userId);
  known.set(userId, user);
  if (known.size > MOST) known.delete(known.keys().next().value);
}

/** How somebody is called: their name, or the login, or that they have none. */
export function nameOf(userId, user = known.get(userId)) {
  const name = user?.username;
  if (typeof name === "string" && name.trim() !== "") return name;
  return userId || "Somebody";
}

/** What else others may see of somebody, in one line. */
export function fieldsOf(user) {
  const fields = Object.entries(user ?? {}).filter(([name, value]) => name !== "username" && value !== null);
  return fields.map(([name, value]) => (name === "department" ? text(value) : `${name}: ${text(value)}`)).join(" · ");
}

/** One or two letters for somebody. */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? "?"];
  return letters.map((word) => [...word][0].toUpperCase()).join("");
}

/** One of eight colours, always the same for one name. */
export function hueOf(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % 8;
}

function text(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
