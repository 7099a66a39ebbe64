// The frames that wait for their ack: each is a promise, none waits forever, and there is a most of them.

const MOST = 256;

/** A request that was refused, timed out or was lost. `name` is the error's name on the wire, `Timeout` or `Lost`. */
export class RequestError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

export class Requests {
  #waiting = new Map();
  #last = 0;

  /** Gives a frame its `ackId` and hands it to `send`; resolves with the ack. */
  begin(frame, send, timeoutMs) {
    if (this.#waiting.size >= MOST) {
      return Promise.reject(new RequestError("Busy", "Too many requests wait for an answer."));
    }
    const ackId = ++this.#last;
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#waiting.delete(ackId);
        reject(new RequestError("Timeout", "The server did not answer in time."));
      };
      this.#waiting.set(ackId, { resolve, reject, timer: setTimeout(late, timeoutMs) });
      send({ ...frame, ackId });
    });
  }

  /** The ack of a request. */
  settle(ack) {
    const request = this.#waiting.get(ack.ackId);
    if (!request) return;
    this.#waiting.delete(ack.ackId);
    clearTimeout(request.timer);
    if (ack.success) request.resolve(ack);
    else request.reject(new RequestError(ack.error?.name ?? "Error", ack.error?.message ?? "The server refused."));
  }

  /** The connection is gone, and with it every answer. */
  loseAll() {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new RequestError("Lost", "The connection was lost before the server answered."));
    }
    this.#waiting.clear();
    this.#last = 0;
  }
}
