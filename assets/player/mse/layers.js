// The two layers of a page that plays chunks: the avatar's idle film, always running, and the speech over it. An utterance
// begins with the film's first picture and moves on as the film does: beneath the speech, where nobody can see that, the
// film is put to the same place, so that the way back has no jump in it.

import { calm, config, get } from "../dom.js";
import { withToken } from "../exchange/wire.js";
import { Playback } from "./playback.js";

/** As in the style sheet: how long the speech takes to come and to go. */
const FADE_MS = 160;
/** Of film and speech; three pictures. */
const MOST_APART_S = 0.12;

export class Layers extends EventTarget {
  #film = get("film");
  #stream = get("stream");
  #layers = get("layers");
  #access;
  #address = null;

  /** Tells `still` where the browser does not start the film by itself. */
  constructor(access) {
    super();
    this.#access = access;
    this.playback = new Playback(this.#stream, { access, leaveMs: calm.matches ? 0 : FADE_MS });
    this.playback.addEventListener("picture", () => this.#layers.toggleAttribute("data-live", true));
    this.playback.addEventListener("end", () => this.#layers.removeAttribute("data-live"));
    this.#stream.addEventListener("timeupdate", () => this.#follow());
    calm.addEventListener("change", () => this.run());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.run());
    this.show(config.film);
    access.addEventListener("change", () => this.show(this.#address));
  }

  /** Whether the speech is what is seen. */
  get live() {
    return this.#layers.hasAttribute("data-live");
  }

  /** The film of an avatar, or none. */
  show(address) {
    this.#address = address;
    if (!address) return this.#film.removeAttribute("src");
    const fresh = `${address}${address.includes("?") ? "&" : "?"}v=${Date.now()}`; // an avatar may be made anew
    this.#film.src = withToken(fresh, this.#access.token);
    this.run();
  }

  /** Runs the film, where nobody asked for less motion. */
  async run() {
    if (calm.matches) return this.#film.pause();
    try {
      await this.#film.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.dispatchEvent(new Event("still"));
    }
  }

  #follow() {
    const { duration, seekable, seeking, currentTime } = this.#film;
    if (!this.live || seeking || seekable.length === 0 || !(duration < Infinity)) return;
    const place = this.#stream.currentTime % duration;
    const apart = Math.abs(place - currentTime);
    if (Math.min(apart, duration - apart) > MOST_APART_S) this.#film.currentTime = place;
  }
}
