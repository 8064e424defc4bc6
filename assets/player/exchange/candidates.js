// The candidates that a connection finds, as fragments to send: each once, and only those of the ICE session of now.

import { attribute, fragment } from "./sdp.js";

export class Candidates {
  #found = [];
  #pc;
  #waits;

  constructor(pc, waits) {
    this.#pc = pc;
    this.#waits = waits;
    pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.#found.push(candidate);
  }

  /** Resolves when all are found, or after that time. */
  gathered(limitMs) {
    const complete = () => this.#pc.iceGatheringState === "complete";
    if (complete()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waits.after(limitMs, resolve);
      this.#pc.addEventListener("icegatheringstatechange", () => complete() && resolve());
    });
  }

  /** What was found since the last call: {fragment, count, complete}; `complete` when nothing more will come. */
  take(sdp) {
    const ufrag = attribute(sdp, "ice-ufrag");
    const lines = this.#found
      .filter(({ usernameFragment }) => (usernameFragment ?? ufrag) === ufrag) // others are of before a restart
      .map(({ candidate }) => candidate);
    this.#found = [];
    const complete = this.#pc.iceGatheringState === "complete";
    return { fragment: fragment(sdp, lines, complete), count: lines.length, complete };
  }
}
