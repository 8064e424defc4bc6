// The player's talk control: press to speak through the avatar, press again to stop; or hold it, or the space bar, as long
// as you speak. What the avatar is saying stops at your first word, unless you choose to wait for its end. Its own sound
// is off meanwhile, not merely lower: it says the same words a moment later, which echoes where there are loudspeakers,
// and with headphones makes people stammer; and it must not take its own voice for yours.

import { askForToken } from "./ask.js";
import { get, icon, toast } from "./dom.js";
import { keep, recall } from "./memory.js";
import { mayUseMicrophone } from "./voice/microphone.js";
import { waitingWords } from "./words.js";

/** Pressed longer than this, letting go ends it. */
const HOLD_MS = 400;
/** The end of the last word is still on its way through the microphone when a finger lets go. */
const TAIL_MS = 300;

const BUTTON = { off: "Talk", asking: "Allow…", connecting: "Wait…", on: "Stop", muted: "Stop", reconnecting: "Wait…" };

export class Talk extends EventTarget {
  #pressedAt = null;
  #tail = null;
  #latched = false;
  #tabbing = false;

  /** `waiting()` tells whether other speech comes first. Tells `say` when a person begins. */
  constructor(voice, { title, waiting }) {
    super();
    this.voice = voice;
    this.title = title;
    this.waiting = waiting;
    this.button = get("talk");
    this.bargesIn = get("barge");
    this.button.hidden = get("bargeOption").hidden = !mayUseMicrophone();
    if (this.button.hidden) return;
    this.button.title = "Talk: press, or hold (space)";
    this.bargesIn.checked = recall("barge") !== "no";
    this.#listen();
    this.show();
  }

  get possible() {
    return !this.button.hidden;
  }

  show() {
    const { state } = this.voice;
    const on = state !== "off";
    this.button.dataset.voice = state;
    this.button.setAttribute("aria-pressed", String(on));
    this.button.querySelector(".icon").replaceWith(icon(state === "on" ? "stop" : "mic"));
    get("talkWord").textContent = BUTTON[state];
    get("talkLine").textContent = this.#words(state);
    get("talkLine").hidden = !on;
    get("queue").hidden = on;
  }

  #words(state) {
    if (state === "asking") return "Allow the microphone to talk.";
    if (state === "connecting") return "Connecting your microphone…";
    if (state === "reconnecting") return "The connection was lost. Connecting again…";
    if (state === "off") return "";
    if (this.waiting()) return waitingWords(this.title, this.voice.interrupts === "speech");
    return this.#latched ? `${this.title} says what you say. Press again to stop.` : `${this.title} says what you say. Let go to stop.`;
  }

  #listen() {
    const { button, voice } = this;
    voice.addEventListener("change", ({ detail: { state } }) => {
      if (state === "off") this.#over();
      this.show();
    });
    voice.addEventListener("level", ({ detail }) => button.style.setProperty("--level", detail.level.toFixed(3)));
    voice.addEventListener("problem", ({ detail }) => this.#explain(detail));
    button.addEventListener("pointerdown", (event) => event.button === 0 && this.#press(event));
    for (const type of ["pointerup", "pointercancel"]) button.addEventListener(type, () => this.#letGo());
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch is a press here
    button.addEventListener("click", ({ detail }) => detail === 0 && this.#toggle()); // Enter, or a screen reader's action
    this.bargesIn.addEventListener("change", () => keep("barge", this.bargesIn.checked ? "speech" : "no"));
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("keyup", (event) => this.#key(event));
    addEventListener("pointerdown", () => (this.#tabbing = false));
    addEventListener("blur", () => this.#letGo());
  }

  /** Space talks, except where it has a meaning of its own: in fields, and on buttons for who goes about by keyboard. */
  #key(event) {
    if (event.key === "Tab") this.#tabbing = true;
    if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey) return;
    const others = `a, input, textarea, select, dialog${this.#tabbing ? ", button" : ""}`;
    if (event.target !== this.button && event.target.closest?.(others)) return;
    event.preventDefault(); // neither scrolls the page nor clicks the button that has the focus
    if (event.type === "keyup") this.#letGo();
    else if (!event.repeat) this.#press();
  }

  #press(event) {
    if (event) this.button.setPointerCapture(event.pointerId);
    if (this.#tail !== null || this.voice.state === "off") this.#begin();
    else this.#end();
  }

  #begin() {
    clearTimeout(this.#tail);
    this.#tail = null;
    this.#latched = false;
    this.#pressedAt = performance.now();
    this.dispatchEvent(new Event("say"));
    if (this.voice.state !== "off") return this.show();
    this.voice.interrupts = this.bargesIn.checked ? "speech" : "no";
    this.voice.start();
  }

  #letGo() {
    if (this.#pressedAt === null) return;
    // While the browser asks, the finger has to leave the button: that is not letting go.
    const brief = performance.now() - this.#pressedAt < HOLD_MS || this.voice.state === "asking";
    this.#pressedAt = null;
    this.#latched = brief;
    if (brief) this.show();
    else this.#end();
  }

  #toggle() {
    if (this.voice.state !== "off") return this.#end();
    this.#begin();
    this.#letGo();
  }

  #end() {
    this.#pressedAt = null;
    this.#tail ??= setTimeout(() => this.voice.stop(), TAIL_MS);
  }

  #over() {
    clearTimeout(this.#tail);
    this.#tail = null;
    this.#pressedAt = null;
    this.button.style.removeProperty("--level");
  }

  async #explain({ kind, title, detail, retryAfterMs }) {
    if (kind === "token") {
      if (await askForToken(detail)) this.#toggle();
      return;
    }
    const soon = retryAfterMs ? ` Try again in ${Math.ceil(retryAfterMs / 1000)} s.` : "";
    toast(title, `${detail}${soon}`);
  }
}
