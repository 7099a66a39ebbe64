// Small things that the parts of the page have in common, beside `shared/dom.js`.

export function byId(id) {
  return document.getElementById(id);
}

/** "1 member", "2 members", "1,204 members". */
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** "14:05", in the clock of the person. */
export function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** Calls a function at most once per drawn picture, however often it is asked for. */
export function oncePerFrame(run) {
  let asked = false;
  const now = () => {
    if (!asked) return;
    asked = false;
    run();
  };
  return () => {
    if (asked) return;
    asked = true;
    // A page in the background draws no pictures, and should not fall behind for that.
    if (document.visibilityState === "visible") requestAnimationFrame(now);
    else setTimeout(now, 200);
  };
}
