// A person's microphone: asked for, chosen, muted and lost. It knows nothing of where the sound goes.

import { keep, recall } from "../memory.js";

/** What browsers do to a voice, all on unless a person switches it off. */
export const SWITCHES = ["echoCancellation", "noiseSuppression", "autoGainControl"];

/** Whether a page like this one may ask at all: https or localhost, a browser that can, and no policy against it. */
export function mayUseMicrophone() {
  const policy = document.permissionsPolicy ?? document.featurePolicy;
  const allowed = policy?.allowsFeature("microphone") ?? true;
  return isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia) && allowed;
}

/** Events: `change` (track, muted, wish), `devices` when some came or went, `lost` {error} when the one in use is gone. */
export class Microphone extends EventTarget {
  #run = 0;
  #muted = false;
  track = null;
  /** The same sound, muted or not: for the level, so that a person sees that the microphone works. */
  probe = null;
  /** What the person wants: {deviceId, echoCancellation, noiseSuppression, autoGainControl}; kept for the next visit. */
  wish = recallWish();

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.dispatchEvent(new Event("devices")));
  }

  get muted() {
    return this.#muted;
  }

  set muted(muted) {
    this.#muted = muted;
    if (this.track) this.track.enabled = !muted;
    this.#changed();
  }

  /** Opens it, asking the person where need be; resolves to the track. Errors: DOMException, `closed` AbortError. */
  async open() {
    this.close();
    const run = this.#run;
    const [track] = (await this.#ask()).getAudioTracks();
    if (run !== this.#run) {
      track.stop();
      throw new DOMException("closed", "AbortError");
    }
    this.probe = track.clone();
    track.enabled = !this.#muted;
    track.addEventListener("ended", () => this.#gone(track));
    for (const type of ["mute", "unmute"]) track.addEventListener(type, () => this.#changed());
    this.track = track;
    this.#changed();
    this.dispatchEvent(new Event("devices")); // from now on they have names
    return track;
  }

  /** Lets go of it: the browser's sign that it is in use goes out. */
  close() {
    this.#run += 1;
    // Both: a device that is still open somewhere in the page keeps its former settings when it is opened anew.
    this.track?.stop();
    this.probe?.stop();
    this.track = this.probe = null;
  }

  /** Changes the wish, and the track if one is open. Errors: DOMException; then the former wish holds. */
  async choose(part) {
    const before = this.wish;
    this.wish = { ...before, ...part };
    keep("microphone", JSON.stringify(this.wish));
    if (this.track === null) return;
    try {
      await this.open();
    } catch (error) {
      this.wish = before;
      keep("microphone", JSON.stringify(before));
      if (error.name !== "AbortError") await this.open();
      throw error;
    }
  }

  /** Microphones to choose from: [{deviceId, label}]; without names until the person has allowed one. */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return all.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId !== "");
  }

  /** The device in use, or the one that would be. */
  get deviceId() {
    return this.track?.getSettings().deviceId ?? this.wish.deviceId;
  }

  /** Whether the machine itself sends silence: a switch at the headset, a call on the phone. */
  get silenced() {
    return this.track?.muted ?? false;
  }

  /** A stream of the chosen microphone, or of the browser's choice where that one is not there any more. */
  async #ask() {
    const { deviceId, ...switches } = this.wish;
    const wanted = Object.fromEntries(Object.entries(switches).map(([name, on]) => [name, { ideal: on }]));
    const audio = { ...wanted, channelCount: { ideal: 1 } };
    if (deviceId) {
      try {
        // Exact, as Chromium takes the default one wherever it may.
        return await navigator.mediaDevices.getUserMedia({ audio: { ...audio, deviceId: { exact: deviceId } } });
      } catch (error) {
        if (!["OverconstrainedError", "NotFoundError"].includes(error.name)) throw error;
      }
    }
    return navigator.mediaDevices.getUserMedia({ audio });
  }

  /** Unplugged, or no longer allowed. Another one takes its place if it may. */
  async #gone(track) {
    if (track !== this.track) return;
    try {
      await this.open();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.close();
      this.dispatchEvent(new CustomEvent("lost", { detail: { error } }));
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function recallWish() {
  const wish = { deviceId: null, ...Object.fromEntries(SWITCHES.map((name) => [name, true])) };
  try {
    const kept = JSON.parse(recall("microphone")) ?? {};
    for (const name of Object.keys(wish)) if (name in kept) wish[name] = kept[name];
  } catch {
    // Not what we wrote.
  }
  return wish;
}
