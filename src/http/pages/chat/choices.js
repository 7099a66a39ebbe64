// What somebody chose by hand – groups joined and left, the one that is open – across a reload of the page. Written when
// the page goes and removed when it comes, like the session's refresh token; closing the tab forgets it.

const STORED = "folkmoot.choices";

/** Has `look()` be asked for `{ joined, left, open }` when the page goes, or for `null` where there is nothing to keep. */
export function keepChoices(login, look) {
  addEventListener("pagehide", () => {
    const choices = look();
    if (!choices || !login()) return;
    try {
      sessionStorage.setItem(STORED, JSON.stringify({ login: login(), ...choices }));
    } catch {
      // More than the browser has room for: then only what the server says counts.
    }
  });
  addEventListener("pageshow", () => sessionStorage.removeItem(STORED));
}

/** What the page before this one kept for the same person in the same hub. */
export function recallChoices(login, hub) {
  const stored = sessionStorage.getItem(STORED);
  sessionStorage.removeItem(STORED);
  try {
    const choices = JSON.parse(stored);
    return choices?.login === login && choices.hub === (hub ?? null) ? choices : null;
  } catch {
    return null;
  }
}
