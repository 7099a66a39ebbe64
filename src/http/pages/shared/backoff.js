// How long to wait before connecting again: exponential with full jitter, so that a thousand pages whose server was
// restarted do not come back in the same moment.

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

export class Backoff {
  #failures = 0;

  /** The time until the next attempt, in milliseconds; each one may be twice as long as the one before. */
  next() {
    const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    return Math.random() * most;
  }

  /** A connection held: the next loss is the first one again. */
  reset() {
    this.#failures = 0;
  }
}

/** What a server that goes away asks for ("…; retry_after_ms=1234"), or `undefined`. It gives each client another one. */
export function retryAfter(reason) {
  const found = /retry_after_ms=(\d{1,7})/.exec(reason);
  return found ? Number(found[1]) : undefined;
}
