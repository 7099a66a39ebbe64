// From a `message` frame to what is shown of it. All of it is text.

// What a page shows of one message, and keeps: a thousand lines of a screen, and 500 messages of 1 MiB would be too much.
const MOST_CHARACTERS = 8000;

/** What a group message says: `{ kind, text, cut }`, where `kind` is "text", "json", "binary" or "announcement". */
export function contentOf({ dataType, data, announcement }) {
  if (announcement) return { kind: "announcement", ...shorten(String(data)) };
  if (dataType === "text") return { kind: "text", ...shorten(String(data)) };
  if (dataType === "json") return { kind: "json", ...shorten(JSON.stringify(data, null, 2)) };
  const bytes = Math.floor((String(data).replace(/=+$/, "").length * 3) / 4);
  return { kind: "binary", text: `${dataType}, ${bytes.toLocaleString("en")} bytes`, cut: 0 };
}

/** A text as far as it is shown, and how many characters it really has if that is less. */
export function shorten(text, most = MOST_CHARACTERS) {
  return text.length > most ? { text: text.slice(0, most), cut: text.length } : { text, cut: 0 };
}
