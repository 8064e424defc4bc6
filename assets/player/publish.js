// The publisher page: a microphone on its way to a stream, and the avatar that says what is said. Decisions live in the
// parts: voice/ for the microphone and the connection, stage.js for the picture.

import { access } from "./access.js";
import { askForToken } from "./ask.js";
import { Awake } from "./awake.js";
import { calm, config, get, icon, make, toast } from "./dom.js";
import { StreamEvents } from "./events.js";
import { WhepClient } from "./exchange/whep.js";
import { keep, recall } from "./memory.js";
import { SpeechQueue } from "./speech.js";
import { Stage } from "./stage.js";
import { uplink, uplinkWords } from "./stats.js";
import { FLOOR_DB } from "./voice/level.js";
import { SWITCHES, mayUseMicrophone } from "./voice/microphone.js";
import { noMicrophoneHere } from "./voice/problems.js";
import { Voice } from "./voice/voice.js";
import { sentence, waitingWords } from "./words.js";

const LINE_MS = 2_000;
/** How often the level is put in words; faster would chatter in a screen reader. */
const WORDS_MS = 1_000;

const WORDS = {
  off: ["Off air", "Press to speak", `${config.title} says it as you say it.`],
  asking: ["Waiting for you", "Allow the microphone", "Your browser asks whether this page may use it."],
  connecting: ["Connecting", "Connecting…", "A moment: nothing is heard yet."],
  on: ["On air", "You are on air", `${config.title} says what you say. Press to stop.`],
  muted: ["Muted", "You are muted", `${config.title} waits. Your words do not leave this page.`],
  reconnecting: ["Reconnecting", "Connecting again…", "The connection was lost: nothing is heard right now."],
};
const ADVICE = {
  silent: "Nothing is heard. Is this the right microphone?",
  quiet: "A little quiet: come closer, or turn the microphone up.",
  clipping: "Too loud, it clips: move back, or turn the microphone down.",
};

const FINE = "Sounds good.";
const TITLE = document.title;

const voice = new Voice(config, access);
const stage = new Stage();
const preview = new WhepClient(config.whep, { iceServers: config.iceServers ?? [], access });
const events = new StreamEvents(config.events, access);
const queue = new SpeechQueue();
const awake = new Awake();
let problem = null;
let retryAt = 0;
let line = "";
let adviceAt = -Infinity;
let fine = false;
let taken = false; // somebody else is on air

/** What the outside sees: for tests, and for pages that embed this one. */
window.whepAvatar = { voice, preview, events };

// the voice -> what is seen
voice.addEventListener("change", ({ detail: { state } }) => {
  if (state === "asking") explain(null);
  if (state === "off") fine = false;
  line = "";
  show();
  awake.keep(state !== "off");
  if (state === "off") preview.stop();
  else if (state === "on" && get("preview").checked && !preview.playing) preview.play();
});
voice.addEventListener("problem", ({ detail }) => explain(detail));
voice.addEventListener("delay", ({ detail }) => {
  if (voice.state === "connecting") say(get("headline").textContent, `${sentence(detail.reason)} Trying again…`);
});
voice.addEventListener("level", ({ detail }) => showLevel(detail));
voice.microphone.addEventListener("change", () => show());
voice.microphone.addEventListener("devices", listDevices);

function show() {
  const { state } = voice;
  const [pill, headline, more] = WORDS[state];
  document.body.dataset.state = state;
  document.title = state === "on" ? `● ${TITLE}` : TITLE; // a tab among others tells that it listens
  document.body.toggleAttribute("data-problem", problem !== null);
  get("state").textContent = pill;
  if (problem !== null) say(problem.title, problem.detail ?? "");
  else if (state === "off" && taken) say("Somebody else is on air", `${config.title} has one voice at a time.`);
  else say(headline, state === "on" ? onAirWords(more) : more);
  get("retry").hidden = problem === null || !mayUseMicrophone();
  const active = state !== "off";
  get("talk").setAttribute("aria-pressed", String(active));
  get("talk").setAttribute("aria-label", active ? "Stop" : "Speak");
  get("talk").title = `${active ? "Stop" : "Speak"} (space)`;
  get("talk").replaceChildren(icon(active ? "stop" : "mic"));
  get("hush").disabled = !active;
  get("hush").setAttribute("aria-pressed", String(voice.muted));
  get("hush").replaceChildren(icon(voice.muted ? "mic" : "mic-off"), make("span", {}, voice.muted ? "Unmute" : "Mute"));
  if (!active) showLevel({ level: 0, peak: 0, db: FLOOR_DB, clipped: false, advice: "" });
}

function onAirWords(usual) {
  return queue.first ? waitingWords(config.title) : `${usual} ${line}`.trim();
}

/** Only what differs is written: each change is read out to who cannot see it. */
function say(headline, more) {
  if (get("headline").textContent !== headline) get("headline").textContent = headline;
  if (get("more").textContent !== more) get("more").textContent = more;
}

function showLevel({ level, peak, db, clipped, advice }) {
  const bar = get("level");
  bar.style.setProperty("--level", level.toFixed(3));
  bar.style.setProperty("--peak", peak.toFixed(3));
  get("talk").style.setProperty("--level", voice.on ? level.toFixed(3) : "0");
  bar.toggleAttribute("data-clipped", clipped);
  bar.toggleAttribute("data-muted", voice.muted);
  const now = performance.now();
  if (now - adviceAt < WORDS_MS && voice.state !== "off") return;
  adviceAt = now;
  bar.setAttribute("aria-valuenow", String(Math.round(Math.max(FLOOR_DB, db))));
  bar.setAttribute("aria-valuetext", clipped ? "clipping" : level < 0.15 ? "silent" : `${Math.round(db)} decibels`);
  const words = adviceWords(advice, level);
  if (get("advice").textContent !== words) get("advice").textContent = words;
  get("advice").toggleAttribute("data-warns", words !== "" && words !== FINE);
}

function adviceWords(advice, level) {
  if (voice.state === "off") return "";
  if (voice.microphone.silenced) return "Your device has muted this microphone.";
  if (voice.muted) return level > 0.4 ? "You are speaking, but muted." : "";
  fine = !advice && (fine || level > 0.4);
  return ADVICE[advice] ?? (fine ? FINE : "");
}

/** A problem stays in sight, with what can be done about it, until the next try. */
async function explain(what) {
  if (what !== null && voice.state !== "off") return toast(what.title, what.detail); // it goes on all the same
  problem = what;
  retryAt = performance.now() + (what?.retryAfterMs ?? 0);
  show();
  countDown();
  if (what?.kind === "token" && (await askForToken(what.detail))) voice.start();
}

function freeRetry() {
  retryAt = 0;
  countDown();
}

function countDown() {
  const left = Math.ceil((retryAt - performance.now()) / 1000);
  get("retry").disabled = left > 0;
  get("retry").textContent = left > 0 ? `Try again in ${left} s` : problem?.kind === "token" ? "Enter a token" : "Try again";
  if (left > 0 && problem !== null) setTimeout(countDown, 250);
}

// the microphone's choices
async function listDevices() {
  const devices = await voice.microphone.devices();
  const options = devices.map(({ deviceId, label }, index) =>
    make("option", { value: deviceId }, label || `Microphone ${index + 1}`),
  );
  if (options.length === 0) options.push(make("option", { value: "" }, "The browser’s choice"));
  get("device").replaceChildren(...options);
  get("device").disabled = options.length < 2;
  const chosen = voice.microphone.deviceId;
  if (devices.some(({ deviceId }) => deviceId === chosen)) get("device").value = chosen;
}
get("device").addEventListener("change", ({ target }) => voice.choose({ deviceId: target.value }));
for (const name of SWITCHES) {
  get(name).checked = voice.microphone.wish[name];
  get(name).addEventListener("change", ({ target }) => voice.choose({ [name]: target.checked }));
}

// the picture: without sound until asked for, else the microphone would hear what the avatar says
stage.toggleSound(false);
get("live").addEventListener("volumechange", ({ target }) => {
  if (!target.muted && voice.state !== "off") toast("Use headphones", "Else the microphone hears what the avatar says.");
});
preview.addEventListener("try", ({ detail }) => stage.attach(detail.media.stream));
preview.addEventListener("lost", ({ detail }) => (detail.attempt === 0 ? stage.hold() : stage.detach()));
for (const type of ["gaveUp", "stopped"]) preview.addEventListener(type, () => stage.detach());
stage.addEventListener("frame", () => stage.rest());
get("preview").checked = recall("preview") !== "off";
get("preview").addEventListener("change", ({ target: { checked } }) => {
  keep("preview", checked ? "on" : "off");
  if (!checked) preview.stop();
  else if (voice.state !== "off") preview.play();
});

// the stream's own events
events.addEventListener("speech", ({ detail }) => queue.take(detail));
events.addEventListener("publisher", ({ detail }) => {
  taken = detail.publisher && voice.state === "off";
  if (!detail.publisher && problem?.kind === "busy") freeRetry(); // the turn has come
  queue.takePublisher(detail);
});
events.addEventListener("down", () => {
  taken = false;
  queue.clear();
});
events.addEventListener("viewers", ({ detail: { viewers } }) => {
  const others = viewers - (preview.playing ? 1 : 0);
  get("viewers").textContent = `${others} watching`;
  get("viewers").hidden = !(others > 0);
});
queue.addEventListener("change", () => show());
access.addEventListener("change", () => events.open());
events.open();

// what a person does
const toggleVoice = () => (voice.state === "off" ? voice.start() : voice.stop());
const toggleMute = () => {
  if (voice.state !== "off") voice.muted = !voice.muted;
};
get("talk").addEventListener("click", toggleVoice);
get("hush").addEventListener("click", toggleMute);
get("retry").addEventListener("click", async () => {
  get("talk").focus(); // a keyboard goes on from there
  if (problem?.kind === "token" && !(await askForToken(problem.detail))) return;
  voice.start();
});
const keys = { " ": toggleVoice, m: toggleMute, f: () => stage.toggleFullScreen() };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.(event.key === " " ? "input, select, a, button, dialog" : "input, select, dialog")) return;
  const act = keys[event.key.toLowerCase()];
  if (act) event.preventDefault();
  act?.();
});

async function measure() {
  if (voice.on && voice.client.session) {
    const words = uplinkWords(await uplink(voice.client.session.pc).catch(() => ({})));
    if (words !== line) {
      line = words;
      show();
    }
  }
  setTimeout(measure, LINE_MS);
}

document.documentElement.classList.toggle("calm", calm.matches);
show();
listDevices();
measure();
if (!mayUseMicrophone()) {
  get("talk").disabled = true;
  explain(noMicrophoneHere());
}
