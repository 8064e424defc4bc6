// A person's voice on its way to a stream: microphone, connection and level as one thing with one state (states.js). The
// publisher page and the player's talk control are two views of it.

import { States, VOICE } from "../states.js";
import { WhipClient } from "../exchange/whip.js";
import { Ear } from "./level.js";
import { Microphone, mayUseMicrophone } from "./microphone.js";
import { deviceProblem, noMicrophoneHere, serverProblem } from "./problems.js";

/**
 * Events: `change` {before, state}; `level` with a reading of level.js; `problem` {kind, title, detail, retryAfterMs} when
 * it ended against the person's will; `delay` {waitMs, reason} when it goes on trying by itself.
 */
export class Voice extends EventTarget {
  #ear = new Ear();
  #states = new States(VOICE, "off");
  #avatar;
  microphone = new Microphone();
  /** The last reading of the level. */
  reading = null;
  /** What it does to speech that it comes upon; as in whip.js. */
  interrupts = null;

  constructor({ whip, iceServers, title }, access) {
    super();
    this.#avatar = title;
    this.client = new WhipClient(whip, { iceServers, access });
    this.#states.addEventListener("change", ({ detail }) => {
      if (detail.state === "off") this.#quiet();
      this.#tell("change", detail);
    });
    this.#follow();
  }

  get state() {
    return this.#states.state;
  }

  /** Whether what is said now is heard. */
  get on() {
    return this.state === "on";
  }

  get muted() {
    return this.microphone.muted;
  }

  set muted(muted) {
    this.microphone.muted = muted;
    this.#states.step(muted ? "mute" : "unmute");
  }

  /** Asks for the microphone and goes on air. Call it in a gesture. */
  async start() {
    if (!this.#states.step("ask")) return;
    if (!mayUseMicrophone()) return this.#fail(noMicrophoneHere());
    this.#ear.open();
    try {
      const track = await this.microphone.open();
      if (!this.#states.step("allowed")) return this.microphone.close();
      this.client.publish(track, { interrupts: this.interrupts });
    } catch (error) {
      if (this.state === "asking") this.#fail(deviceProblem(error)); // else it was stopped meanwhile
    }
  }

  stop() {
    this.client.stop();
    this.#states.step("stop");
  }

  /** Another microphone, or other switches; goes on with it at once where on air. */
  async choose(part) {
    try {
      await this.microphone.choose(part);
    } catch (error) {
      if (error.name === "AbortError") return; // stopped, or chosen again, meanwhile
      if (this.microphone.track === null && this.state !== "off") this.#fail(deviceProblem(error));
      else this.#tell("problem", deviceProblem(error));
    }
  }

  until(state) {
    return this.#states.until(state);
  }

  #follow() {
    let heard = null;
    this.microphone.addEventListener("change", () => {
      const { track, probe } = this.microphone;
      if (track === null || track === heard) return;
      heard = track;
      this.#ear.listen(probe, (reading) => this.#tell("level", (this.reading = reading)));
      this.client.replace(track);
    });
    this.microphone.addEventListener("lost", ({ detail }) => this.#fail(deviceProblem(detail.error)));
    for (const type of ["live", "mended"]) {
      this.client.addEventListener(type, () => {
        this.#states.step("live");
        if (this.muted) this.#states.step("mute");
      });
    }
    this.client.addEventListener("mending", () => this.#states.step("lost"));
    this.client.addEventListener("lost", ({ detail }) => {
      this.#states.step("lost");
      this.#tell("delay", detail);
    });
    this.client.addEventListener("gaveUp", ({ detail }) => this.#fail(serverProblem(detail, this.#avatar)));
    this.client.addEventListener("stopped", () => this.#states.step("stop")); // also when the page is left
  }

  #fail(problem) {
    this.client.stop();
    this.#states.step("gaveUp");
    this.#tell("problem", problem);
  }

  #quiet() {
    this.#ear.stop();
    this.microphone.close();
    this.microphone.muted = false; // who presses to speak means to be heard
    this.reading = null;
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
