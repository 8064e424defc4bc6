// The player page: joins the connection, the stream's events, the face and the dock. Decisions live in the parts.

import { calm, config, get, make } from "./dom.js";
import { Dock } from "./dock.js";
import { StreamEvents } from "./events.js";
import { Stage } from "./stage.js";
import { Face, WORDS } from "./states.js";
import { Meter, rows } from "./stats.js";
import { WhepClient } from "./whep.js";

const STATS_MS = 1_000;
const LEVEL_MS = 250;
/** Of full scale. Opus silence decodes to zero; a quiet voice is well above this. */
const SPEECH_LEVEL = 0.01;
/** Pauses inside a sentence are shorter. */
const QUIET_MS = 900;

const query = new URLSearchParams(location.search);
const face = new Face();
const stage = new Stage();
const dock = new Dock();
const events = new StreamEvents(config.events);
const client = new WhepClient(config.whep, { iceServers: config.iceServers ?? [] });
const meter = new Meter();

/** Also what the outside sees, as `window.whepAvatar`: for pages that embed this one, and for tests. */
const page = {
  client,
  events,
  dock,
  /** The last reading, a second old at most. */
  stats: {},
  liveSince: null,
  talking: false,
  lost: null,
  /** Resolves when the first live picture is on the screen. */
  firstFrame: stage.firstFrame,
  get state() {
    return face.state;
  },
  /** A reading of its own: totals, without rates. */
  readStats: () => new Meter().read(client.session.pc),
  /** Resolves when the state is the named one. */
  until(state) {
    if (face.state === state) return Promise.resolve(state);
    return new Promise((resolve) => {
      face.addEventListener("change", function look() {
        if (face.state !== state) return;
        face.removeEventListener("change", look);
        resolve(state);
      });
    });
  },
};
window.whepAvatar = page;

function play() {
  if (face.state === "ready" || face.state === "offline") client.play();
  if (!events.up) events.open();
}

// what happens -> the table
client.addEventListener("stream", ({ detail }) => {
  face.step("play"); // the first try of several
  stage.attach(detail.stream);
});
client.addEventListener("live", () => {
  page.liveSince = performance.now();
  face.step("live");
  if (page.talking) face.step("speak");
});
client.addEventListener("lost", ({ detail }) => {
  stage.detach();
  face.step("lost");
  page.lost = detail;
});
client.addEventListener("gaveUp", ({ detail }) => {
  stage.detach();
  get("reason").textContent = reason(detail);
  face.step("gaveUp");
});
client.addEventListener("stopped", () => {
  stage.detach();
  face.step("stop");
});
stage.addEventListener("frame", () => stage.rest());

events.addEventListener("state", ({ detail }) => talk(detail.state === "speaking"));
events.addEventListener("speech", ({ detail }) => dock.take(detail));
events.addEventListener("viewers", ({ detail }) => {
  get("viewers").textContent = `${detail.viewers} watching`;
  get("viewers").hidden = !(detail.viewers > 1);
});
events.addEventListener("up", comeBack);
events.addEventListener("down", () => {
  dock.queue.clear();
  talk(false);
  get("viewers").hidden = true;
});

/** Something changed for the better: the server answers, the network is up, a person looks. */
function comeBack() {
  if (face.state === "offline") play();
}
addEventListener("online", comeBack);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && comeBack());

function talk(on) {
  page.talking = on;
  face.step(on ? "speak" : "hush");
}

function reason({ status, reason: words }) {
  if (status === 404 || status === 410) return `${config.title} is not on air right now.`;
  if (status !== undefined && status < 500) return words;
  return "The connection was lost.";
}

// the state -> what is seen
face.addEventListener("change", ({ detail: { state } }) => {
  document.body.dataset.state = state;
  get("state").textContent = WORDS[state];
  const startHadFocus = document.activeElement === get("start");
  get("start").hidden = state !== "ready";
  if (startHadFocus && state !== "ready") get("mute").focus(); // a keyboard goes on from here
  get("over").hidden = state !== "offline";
  if (!face.live) page.liveSince = null;
});

// what a person does
get("start").addEventListener("click", play);
get("again").addEventListener("click", play);
dock.addEventListener("say", play); // asking it to speak is asking to hear it
get("numbers").addEventListener("click", toggleStats);

const keys = { s: toggleStats, m: () => stage.toggleSound(), f: () => stage.toggleFullScreen(), k: play };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input, textarea, select")) return;
  keys[event.key.toLowerCase()]?.();
});

function toggleStats() {
  get("stats").hidden = !get("stats").hidden;
  get("numbers").setAttribute("aria-pressed", String(!get("stats").hidden));
  showStats();
}

// numbers
async function measure() {
  const pc = client.session?.pc;
  if (face.live && pc) {
    page.stats = await meter.read(pc).catch(() => page.stats);
    page.stats.sessionS = page.liveSince === null ? null : (performance.now() - page.liveSince) / 1000;
    showStats();
  }
  setTimeout(measure, STATS_MS);
}

function showStats() {
  if (get("stats").hidden) return;
  const list = rows(page.stats, page.stats.sessionS);
  get("stats").replaceChildren(...list.map(([label, text]) => make("div", {}, make("dt", {}, label), make("dd", {}, text))));
}

/** While the event channel is down, the sound itself tells whether the avatar speaks. */
async function listen(lastLoud = -Infinity) {
  const receiver = client.session?.pc.getReceivers().find(({ track }) => track.kind === "audio");
  let loudAt = lastLoud;
  if (!events.up && face.live && receiver) {
    const report = [...(await receiver.getStats()).values()].find(({ type }) => type === "inbound-rtp");
    if ((report?.audioLevel ?? 0) > SPEECH_LEVEL) loudAt = performance.now();
    talk(performance.now() - loudAt < QUIET_MS);
  }
  setTimeout(listen, LEVEL_MS, loudAt);
}

measure();
listen();

document.documentElement.classList.toggle("embed", query.has("embed"));
document.documentElement.classList.toggle("calm", calm.matches);
if (query.has("autoplay") || query.has("embed")) play();
