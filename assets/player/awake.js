// Keeps a phone's screen on while somebody speaks: a phone that sleeps takes the microphone away.

export class Awake {
  #wanted = false;
  #lock = null;

  constructor() {
    // The browser lets go of it whenever the page is out of sight.
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.keep(this.#wanted));
  }

  async keep(on) {
    this.#wanted = on;
    try {
      if (!on) await this.#lock?.release();
      else if (this.#lock?.released ?? true) this.#lock = await navigator.wakeLock?.request("screen");
    } catch {
      // Low battery, or a browser that knows no such thing: then the person has to touch the screen.
    }
  }
}
