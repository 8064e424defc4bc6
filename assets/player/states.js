// What a person is told, as tables. Everything that happens is an input; the table alone decides what it means.

// The face, on the player page:
//
//   ready         the face moves, nothing is connected: waiting for a click
//   connecting    the first connection is being made
//   idle          live, the avatar listens
//   speaking      live, the avatar speaks
//   reconnecting  the connection was lost and is being made again
//   offline       given up: the idle loop plays from memory, a person or the server coming back may start over
export const FACE = {
  ready: { play: "connecting" },
  connecting: { live: "idle", lost: "reconnecting", gaveUp: "offline", stop: "ready" },
  idle: { speak: "speaking", lost: "reconnecting", gaveUp: "offline", stop: "ready" },
  speaking: { hush: "idle", lost: "reconnecting", gaveUp: "offline", stop: "ready" },
  reconnecting: { live: "idle", gaveUp: "offline", stop: "ready" },
  offline: { play: "connecting", stop: "ready" },
};

export const FACE_WORDS = {
  ready: "Ready",
  connecting: "Connecting",
  idle: "Listening",
  speaking: "Speaking",
  reconnecting: "Reconnecting",
  offline: "Offline",
};

// A person's voice, on the publisher page and in the player's talk control:
//
//   off           nothing is recorded
//   asking        the browser asks the person for the microphone
//   connecting    the way to the server is being made
//   on            what is said is heard
//   muted         connected, but silence is sent
//   reconnecting  the connection was lost and is being made again; nothing is heard meanwhile
export const VOICE = {
  off: { ask: "asking" },
  asking: { allowed: "connecting", gaveUp: "off", stop: "off" },
  connecting: { live: "on", gaveUp: "off", stop: "off" },
  on: { mute: "muted", lost: "reconnecting", gaveUp: "off", stop: "off" },
  muted: { unmute: "on", lost: "reconnecting", gaveUp: "off", stop: "off" },
  reconnecting: { live: "on", gaveUp: "off", stop: "off" },
};

/** Holds a state and tells of each change by a `change` event. Inputs that a state does not know are ignored. */
export class States extends EventTarget {
  #table;

  constructor(table, state) {
    super();
    this.#table = table;
    this.state = state;
  }

  step(input) {
    const next = this.#table[this.state][input];
    if (next === undefined) return false;
    const before = this.state;
    this.state = next;
    this.dispatchEvent(new CustomEvent("change", { detail: { before, state: next } }));
    return true;
  }

  /** Resolves when the state is the named one. */
  until(state) {
    if (this.state === state) return Promise.resolve(state);
    return new Promise((resolve) => {
      const look = () => {
        if (this.state !== state) return;
        this.removeEventListener("change", look);
        resolve(state);
      };
      this.addEventListener("change", look);
    });
  }
}
