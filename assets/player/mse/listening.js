// A session's server-sent events. The server ends the response after each utterance: we come back at once, as the browser
// would after some seconds. From a lost connection the browser comes back by itself and says what it got last; only where
// it gives up for good, on an HTTP error, we ask why and go on or not. Tells `message` (detail: the
// JSON), `up`, `refused` (a token is needed) and `gone` (there is no such session any more).

import { backoffMs } from "../exchange/retry.js";
import { credentials, lacksToken, withToken } from "../exchange/wire.js";

export class Listening extends EventTarget {
  #source = null;
  #timer = null;
  #attempt = 0;

  /** `events` and `status` are addresses; `status` is asked whether there still is a session. */
  constructor({ events, status }, access) {
    super();
    this.events = events;
    this.status = status;
    this.access = access;
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => event.persisted && this.open());
    addEventListener("online", () => this.#source?.readyState === EventSource.CLOSED && this.open());
  }

  open() {
    this.close();
    const source = new EventSource(withToken(this.events, this.access.token));
    this.#source = source;
    source.onopen = () => {
      this.#attempt = 0;
      this.#tell("up");
    };
    let over = false;
    source.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      over = message.event === "complete" || message.event === "error";
      this.#tell("message", message);
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#ask(source);
      else if (over) this.open();
    };
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  async #ask(source) {
    const headers = credentials(this.access.token);
    const { status } = await fetch(this.status, { headers, cache: "no-store" }).catch(() => ({}));
    if (source !== this.#source) return; // opened anew meanwhile
    if (lacksToken(status)) this.#tell("refused");
    else if (status === 404 || status === 410) this.#tell("gone");
    else this.#timer = setTimeout(() => this.open(), backoffMs((this.#attempt += 1)));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
