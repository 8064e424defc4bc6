// A WHEP player (draft-ietf-wish-whep): keeps one session open, and makes a new one when it is lost, within limits.
//
//   const client = new WhepClient("/whep/demo");
//   client.addEventListener("stream", ({ detail }) => (video.srcObject = detail.stream));
//   client.play();
//
// Events, with what their `detail` holds: `stream` {stream} before each try; `live` {session}; `lost` {reason, status,
// attempt, waitMs}; `gaveUp` {reason, status}; `stopped`.

import { SessionError, WhepSession } from "./session.js";
import { backoffMs, triesFor } from "./retry.js";

/** A connection that held this long was a good one: the count of tries begins anew. */
const HELD_MS = 5_000;

export class WhepClient extends EventTarget {
  #wake = null;
  #run = 0;
  #hidden = false;
  #iceServers;
  #trickle = true;

  constructor(endpoint, { iceServers = [], random = Math.random } = {}) {
    super();
    this.endpoint = new URL(endpoint, location.href).href;
    this.session = null;
    this.playing = false;
    this.random = random;
    this.#iceServers = iceServers;
    addEventListener("pagehide", () => this.#hide());
    addEventListener("pageshow", (event) => event.persisted && this.#hidden && this.play());
    addEventListener("online", () => this.nudge());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.nudge());
  }

  /** Starts, or starts over. Call it in a gesture: the first `stream` event comes before it returns. */
  play() {
    this.stop();
    this.#hidden = false;
    this.playing = true;
    this.#keepOpen(++this.#run);
  }

  /** Ends the session and all tries. */
  stop() {
    this.#run += 1;
    this.#wake?.();
    this.session?.close();
    this.session = null;
    if (this.playing) this.#tell("stopped");
    this.playing = false;
  }

  /** Something changed for the better (network, page in sight): do not sit out the rest of a wait of our own. */
  nudge() {
    this.#wake?.();
  }

  #hide() {
    this.#hidden = this.playing;
    this.stop();
  }

  async #keepOpen(run) {
    for (let attempt = 0; ; attempt += 1) {
      const { error, heldMs } = await this.#oneSession();
      if (run !== this.#run) return;
      if (heldMs > HELD_MS) attempt = 0;
      if (attempt + 1 >= triesFor(error)) {
        this.playing = false;
        this.#tell("gaveUp", { reason: error.message, status: error.status });
        return;
      }
      const waitMs = Math.max(backoffMs(attempt, this.random), error.retryAfterMs ?? 0);
      this.#tell("lost", { reason: error.message, status: error.status, attempt, waitMs });
      await this.#sleep(waitMs, error.retryAfterMs === null);
      if (run !== this.#run) return;
    }
  }

  async #oneSession() {
    const session = new WhepSession(this.endpoint, { iceServers: this.#iceServers, trickle: this.#trickle });
    this.session = session;
    this.#tell("stream", { stream: session.stream });
    let since = null;
    try {
      await session.open();
      since = performance.now();
      this.#tell("live", { session });
      throw new SessionError(await session.ended);
    } catch (error) {
      this.#trickle = session.trickle;
      this.#iceServers = session.iceServers;
      session.close();
      return { error, heldMs: since === null ? 0 : performance.now() - since };
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
