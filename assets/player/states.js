// What a person is told, as a table. Everything that happens is an input; the table alone decides what it means.
//
//   ready         the face moves, nothing is connected: waiting for a click
//   connecting    the first connection is being made
//   idle          live, the avatar listens
//   speaking      live, the avatar speaks
//   reconnecting  the connection was lost and is being made again
//   offline       given up: the idle loop plays from memory, a person or the server coming back may start over

export const TABLE = {
  ready: { play: "connecting" },
  connecting: { live: "idle", lost: "reconnecting", gaveUp: "offline", stop: "ready" },
  idle: { speak: "speaking", lost: "reconnecting", gaveUp: "offline", stop: "ready" },
  speaking: { hush: "idle", lost: "reconnecting", gaveUp: "offline", stop: "ready" },
  reconnecting: { live: "idle", gaveUp: "offline", stop: "ready" },
  offline: { play: "connecting", stop: "ready" },
};

export const WORDS = {
  ready: "Ready",
  connecting: "Connecting",
  idle: "Listening",
  speaking: "Speaking",
  reconnecting: "Reconnecting",
  offline: "Offline",
};

/** Holds the state and tells of each change by a `change` event. Inputs that a state does not know are ignored. */
export class Face extends EventTarget {
  state = "ready";

  step(input) {
    const next = TABLE[this.state][input];
    if (next === undefined) return false;
    const before = this.state;
    this.state = next;
    this.dispatchEvent(new CustomEvent("change", { detail: { before, state: next } }));
    return true;
  }

  get live() {
    return this.state === "idle" || this.state === "speaking";
  }
}
