// The page of a session whose speech comes as chunk files: connects by itself, shows the idle film, plays what comes.

import { access } from "./access.js";
import { askForToken } from "./ask.js";
import { config, get } from "./dom.js";
import { Host } from "./embed.js";
import { Layers } from "./mse/layers.js";
import { Listening } from "./mse/listening.js";

/** A note that asks for nothing goes away after this. */
const NOTE_MS = 3_000;
const READY = "Ready - waiting for audio";

const layers = new Layers(access);
const { playback } = layers;
const listening = new Listening(config, access);
const host = new Host(config.session, { play: touch, stop: () => {}, sound }, () => ({}));
let timer = null;

/** Also what the outside sees, as `window.whepAvatar`. */
window.whepAvatar = { playback, listening, layers };

/** Shows a note; one that `stays` waits for a person. */
function note(text, { stays = false } = {}) {
  const pill = get("pill");
  clearTimeout(timer);
  pill.textContent = text;
  pill.toggleAttribute("data-shown", true);
  if (!stays) timer = setTimeout(() => pill.removeAttribute("data-shown"), NOTE_MS);
}

/** Asks for a click anywhere, or for a key. */
function invite(words) {
  get("start").textContent = words;
  get("start").hidden = false;
  get("pill").removeAttribute("data-shown");
  get("start").focus({ preventScroll: true });
}

function turn(state) {
  document.body.dataset.state = state;
  host.tell("state", { state });
}

function touch() {
  get("start").hidden = true;
  layers.run();
  playback.resume();
}

function sound(on) {
  get("stream").muted = !on;
}

// what the server says
listening.addEventListener("up", () => {
  const { state } = document.body.dataset;
  if (state !== "connecting" && state !== "offline") return; // it comes and goes with each utterance
  turn(layers.live ? "speaking" : "idle");
  note(READY);
});
listening.addEventListener("message", ({ detail }) => playback.take(detail));
listening.addEventListener("gone", () => {
  playback.cut();
  turn("offline");
  note("Session ended", { stays: true });
});
listening.addEventListener("refused", async () => {
  turn("offline");
  await askForToken("the token is not the right one");
});
access.addEventListener("change", () => listening.open());

// what is played
playback.addEventListener("picture", () => turn("speaking"));
playback.addEventListener("playing", () => {
  get("start").hidden = true;
  note("Playing...");
});
playback.addEventListener("blocked", () => invite("Click to play"));
playback.addEventListener("problem", ({ detail }) => note(`❌ ${detail}`));
playback.addEventListener("end", () => {
  get("start").hidden = true;
  if (document.body.dataset.state === "speaking") turn("idle");
});
layers.addEventListener("still", () => playback.speaking || invite("Tap to start"));

get("start").addEventListener("click", touch);
turn("connecting");
note("Connecting...", { stays: true });
listening.open();
host.tell("ready", { state: "connecting" });
