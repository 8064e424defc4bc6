// The face itself: poster, idle loop from memory, live picture, the last picture of a lost connection; from back to front.
// Whatever happens, one of them shows.

import { calm, config, get, icon } from "./dom.js";

/** A connection that is lost is back by then, or the idle loop is better than a picture that stands still. */
const HELD_MS = 4_000;

export class Stage extends EventTarget {
  #live = get("live");
  #loop = get("loop");
  #still = get("still");
  #stage = get("stage");
  #frames = 0;
  #wantsSound = true;
  #hushed = false;
  #held = null;

  constructor() {
    super();
    this.firstFrame = new Promise((resolve) => this.addEventListener("frame", resolve, { once: true }));
    const { width = 16, height = 9 } = config;
    document.body.style.setProperty("--ratio", `${width} / ${height}`);
    document.body.style.setProperty("--width-per-height", String(width / height));
    this.#keepLoop();
    calm.addEventListener("change", () => this.#runLoop());
    this.#live.addEventListener("volumechange", () => {
      this.#showSound();
      this.dispatchEvent(new CustomEvent("sound", { detail: { muted: this.#live.muted } }));
    });
    get("mute").addEventListener("click", () => this.toggleSound());
    get("sound").addEventListener("click", () => this.toggleSound(true));
    get("full").addEventListener("click", () => this.toggleFullScreen());
    document.addEventListener("fullscreenchange", () => this.#showFullScreen());
    document.addEventListener("visibilitychange", () => this.#inSight());
    this.#showSound();
  }

  /** Puts a new stream into the live picture and plays it; in a gesture, this also earns the right to sound. */
  attach(stream) {
    this.#frames += 1;
    this.#stage.removeAttribute("data-live");
    this.#live.srcObject = stream;
    this.hush(this.#hushed);
    this.#awaitFrame();
    this.#play();
    this.#runLoop();
  }

  /** Back to the idle loop. */
  detach() {
    this.#frames += 1;
    this.#stage.removeAttribute("data-live");
    this.#release();
    this.#runLoop();
  }

  /** Keeps the picture of now on the screen while the connection is made anew: for a moment, then the loop comes. */
  hold() {
    const { videoWidth: width, videoHeight: height } = this.#live;
    const seen = this.playing && width > 0;
    this.detach();
    if (!seen) return;
    Object.assign(this.#still, { width, height });
    this.#still.getContext("2d").drawImage(this.#live, 0, 0);
    this.#stage.setAttribute("data-held", "");
    this.#held = setTimeout(() => this.#release(), HELD_MS);
  }

  #release() {
    clearTimeout(this.#held);
    this.#stage.removeAttribute("data-held");
  }

  /** Silences the avatar here without touching the person's own choice of sound; phones know no volume to lower. */
  hush(on) {
    this.#hushed = on;
    this.#showSound();
    for (const track of this.#live.srcObject?.getAudioTracks() ?? []) track.enabled = !on;
  }

  get playing() {
    return this.#stage.hasAttribute("data-live");
  }

  toggleSound(on = this.#live.muted) {
    this.#wantsSound = on;
    this.#live.muted = !on;
    if (on) this.#play(); // a tap may start what was refused before
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.#stage.requestFullscreen) this.#stage.requestFullscreen().catch(() => {});
    else this.#live.webkitEnterFullscreen?.(); // iPhones know full screen for videos alone
  }

  async #play() {
    try {
      await this.#live.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // replaced by the next stream
      this.#live.muted = true;
      await this.#live.play().catch(() => {}); // low-power mode on iPhones: the tap for sound starts it
    }
  }

  #awaitFrame() {
    const mine = this.#frames;
    const shown = () => {
      if (mine !== this.#frames) return;
      this.#stage.setAttribute("data-live", "");
      this.#release();
      this.dispatchEvent(new Event("frame"));
    };
    if (this.#live.requestVideoFrameCallback) this.#live.requestVideoFrameCallback(shown);
    else this.#live.addEventListener("playing", shown, { once: true });
  }

  /** Goes on where it was paused: at the present, as a live stream has no past. */
  resume() {
    if (this.#live.srcObject && this.#live.paused) this.#play();
  }

  #inSight() {
    if (document.visibilityState !== "visible") return;
    this.resume(); // phones pause what they do not show
    this.#runLoop();
  }

  /** The loop is held in memory: when it is needed, there may be no network to fetch it from. */
  async #keepLoop() {
    const types = { mp4: "video/mp4", webm: "video/webm" };
    const url = config.loop?.find((path) => this.#loop.canPlayType(types[path.split(".").pop()] ?? ""));
    if (url === undefined) return;
    this.#loop.addEventListener("playing", () => this.#stage.setAttribute("data-loop", ""));
    try {
      const response = await fetch(url);
      if (!response.ok) return;
      this.#loop.src = URL.createObjectURL(await response.blob());
    } catch {
      return; // the poster remains
    }
    this.#runLoop();
  }

  #runLoop() {
    if (!this.#loop.src) return;
    if (this.playing || calm.matches) this.#loop.pause();
    else this.#loop.play().catch(() => {});
  }

  /** Once the live picture covers it, the loop need not cost anything. */
  rest() {
    this.#runLoop();
  }

  #showSound() {
    const { muted } = this.#live;
    const mute = get("mute");
    mute.replaceChildren(icon(muted || this.#hushed ? "sound-off" : "sound"));
    mute.setAttribute("aria-label", muted ? "Sound on" : "Mute");
    mute.title = this.#hushed ? "Silent while you talk" : `${muted ? "Sound on" : "Mute"} (m)`;
    get("sound").hidden = !(muted && this.#wantsSound);
  }

  #showFullScreen() {
    const on = document.fullscreenElement !== null;
    get("full").replaceChildren(icon(on ? "window" : "full"));
    get("full").setAttribute("aria-label", on ? "Leave full screen" : "Full screen");
  }
}
