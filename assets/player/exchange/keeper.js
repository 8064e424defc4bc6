// Keeps one session open, and makes a new one when it is lost, within limits. WHEP's and WHIP's clients are made of it.
//
// Events, with what their `detail` holds: `try` {media} before each try; `live` {session}; `mending` and `mended` while
// the session seeks a new way by itself; `lost` {reason, status, attempt, waitMs}; `gaveUp` {reason, status,
// retryAfterMs}; `stopped`.

import { triesFor, waitMs } from "./retry.js";
import { Session } from "./session.js";

/** A connection that held this long was a good one: the count of tries begins anew. */
const HELD_MS = 5_000;

export class Keeper extends EventTarget {
  #wake = null;
  #run = 0;
  #iceServers;
  #trickle = true;
  #kind;
  #access;
  #hidden = false;

  /**
   * `kind` says what is kept: `makeMedia()` gives what session.js asks of media, anew for each try; `exclusive`: the server
   * takes one session of this kind, so the old one must be over before a new one is asked for, and a 409 at the first try
   * is somebody else's; `returns`: a page that comes back from the browser's memory goes on. `access.token` is sent as
   * bearer token, if there is one when a session begins.
   */
  constructor(endpoint, kind, { iceServers = [], access = {}, random = Math.random } = {}) {
    super();
    this.endpoint = new URL(endpoint, location.href).href;
    this.session = null;
    this.busy = false;
    this.random = random;
    this.#kind = kind;
    this.#iceServers = iceServers;
    this.#access = access;
    addEventListener("pagehide", () => this.#hide());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#hidden && kind.returns && this.start());
    addEventListener("online", () => this.#networkChanged());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.nudge());
    this.#followNetwork();
  }

  /** Starts, or starts over. The first `try` event comes before it returns, still inside a gesture. */
  start() {
    this.stop();
    this.#hidden = false;
    this.busy = true;
    this.#keepOpen(++this.#run);
  }

  /** Ends the session and all tries. */
  stop() {
    this.#run += 1;
    this.#wake?.();
    this.session?.close();
    this.session = null;
    const was = this.busy;
    this.busy = false;
    if (was) this.#tell("stopped");
  }

  /** Something changed for the better (network, page in sight): do not sit out the rest of a wait of our own. */
  nudge() {
    this.#wake?.();
  }

  #hide() {
    this.#hidden = this.busy;
    this.stop();
  }

  #networkChanged() {
    this.nudge();
    this.session?.mend({ words: "the network changed", lost: false });
  }

  /** Phones tell of the step from Wi-Fi to mobile; `change` alone would also tell of mere estimates of speed. */
  #followNetwork() {
    const { connection } = navigator;
    let { type } = connection ?? {};
    connection?.addEventListener?.("change", () => {
      if (connection.type === type) return;
      type = connection.type;
      if (type !== "none") this.#networkChanged();
    });
  }

  async #keepOpen(run) {
    let address = this.endpoint;
    let everLive = false;
    for (let attempt = 0; ; attempt += 1) {
      const { error, heldMs } = await this.#oneSession(address);
      if (run !== this.#run) return;
      everLive ||= heldMs > 0;
      if (heldMs > HELD_MS) attempt = 0;
      const somebodyElse = this.#kind.exclusive && !everLive && error.status === 409;
      if (somebodyElse || attempt + 1 >= triesFor(error)) return this.#giveUp(error);
      const atOnce = error.moved !== null && attempt === 0;
      const wait = atOnce ? 0 : waitMs(error, attempt, this.random);
      address = this.#goingOn(error);
      this.#tell("lost", { reason: error.message, status: error.status, attempt, waitMs: wait });
      await this.#sleep(wait, error.retryAfterMs === null);
      if (run !== this.#run) return;
    }
  }

  #giveUp({ message, status, retryAfterMs }) {
    this.session = null;
    this.busy = false;
    this.#tell("gaveUp", { reason: message, status, retryAfterMs });
  }

  /** Where the server said to go on; anything else that went wrong leads back to the address we were given. */
  #goingOn({ moved }) {
    const url = moved?.url ? new URL(moved.url, this.endpoint) : null;
    return url && /^https?:$/.test(url.protocol) ? url.href : this.endpoint;
  }

  async #oneSession(address) {
    const media = this.#kind.makeMedia();
    const session = new Session(address, media, {
      iceServers: this.#iceServers,
      trickle: this.#trickle,
      token: this.#access.token,
    });
    this.session = session;
    for (const type of ["mending", "mended"]) session.addEventListener(type, () => this.#tell(type, { session }));
    this.#tell("try", { media });
    let since = null;
    try {
      await session.open();
      since = performance.now();
      this.#tell("live", { session });
      throw await session.ended;
    } catch (error) {
      const heldMs = since === null ? 0 : performance.now() - since;
      this.#trickle = session.trickle;
      this.#iceServers = session.iceServers;
      const over = session.close();
      if (this.#kind.exclusive) await over;
      return { error, heldMs };
    }
  }

  #sleep(ms, wakeable) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      // A wait that the server asked for is sat out; stop() still ends it, by the run's number.
      this.#wake = wakeable ? done : null;
    });
  }

  #tell(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
