// The stream's server-sent events, with a reconnect of our own: EventSource gives up for good on an HTTP error.
// Tells `state`, `viewers`, `publisher`, `pose`, `speech`, `worker` (detail: the JSON), and `up` / `down` of the channel itself.

import { backoffMs } from "./exchange/retry.js";
import { withToken } from "./exchange/wire.js";

const KINDS = ["state", "viewers", "publisher", "pose", "speech", "worker"];

export class StreamEvents extends EventTarget {
  #source = null;
  #timer = null;
  #attempt = 0;
  up = false;

  constructor(url, access = {}) {
    super();
    this.url = url;
    this.access = access;
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => event.persisted && this.open());
    addEventListener("online", () => !this.up && this.open());
  }

  open() {
    this.close();
    const source = new EventSource(withToken(this.url, this.access.token));
    this.#source = source;
    source.onopen = () => {
      this.#attempt = 0;
      this.#turn(true);
    };
    source.onerror = () => {
      this.#turn(false);
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.open(), backoffMs((this.#attempt += 1)));
    };
    source.addEventListener("expired", () => this.close()); // asking again would be refused: until there is a new token
    for (const kind of KINDS) {
      source.addEventListener(kind, ({ data }) => this.#tell(kind, JSON.parse(data)));
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#turn(false);
  }

  #turn(up) {
    if (up === this.up) return;
    this.up = up;
    this.#tell(up ? "up" : "down", {});
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
