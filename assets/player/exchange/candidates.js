// The candidates that a connection finds, as fragments to send: each once, and only those of the ICE session of now.

import { attribute, fragment } from "./sdp.js";

export class Candidates {
  #found = [];
  #complete = false;
  #whenComplete = [];
  #waits;

  constructor(pc, waits) {
    this.#waits = waits;
    // An event without a candidate ends them. Not `iceGatheringState`: after a restart it still says "complete" for a while.
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#found.push(candidate);
      else if (candidate === null) this.#end();
    };
  }

  /** They are gathered anew, for an ICE restart. */
  renew() {
    this.#complete = false;
  }

  /** Resolves when all are found, or after that time. */
  gathered(limitMs) {
    if (this.#complete) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waits.after(limitMs, resolve);
      this.#whenComplete.push(resolve);
    });
  }

  /** What was found since the last call: {fragment, count, complete}; `complete` when nothing more will come. */
  take(sdp) {
    const ufrag = attribute(sdp, "ice-ufrag");
    const lines = this.#found
      .filter(({ usernameFragment }) => (usernameFragment ?? ufrag) === ufrag) // others are of before a restart
      .map(({ candidate }) => candidate);
    this.#found = [];
    return { fragment: fragment(sdp, lines, this.#complete), count: lines.length, complete: this.#complete };
  }

  #end() {
    this.#complete = true;
    for (const resolve of this.#whenComplete.splice(0)) resolve();
  }
}
