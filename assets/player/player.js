// The player page: joins the connection, the stream's events, the face, the dock, the microphone and the stopwatch.
// Decisions live in the parts.

import { access } from "./access.js";
import { askForToken } from "./ask.js";
import { calm, config, get, make } from "./dom.js";
import { Dock } from "./dock.js";
import { Host } from "./embed.js";
import { StreamEvents } from "./events.js";
import { isFinal } from "./exchange/retry.js";
import { WhepClient } from "./exchange/whep.js";
import { lacksToken } from "./exchange/wire.js";
import { Reaction } from "./reaction.js";
import { Senses } from "./senses.js";
import { Stage } from "./stage.js";
import { FACE, FACE_WORDS, States } from "./states.js";
import { Meter, rows } from "./stats.js";
import { Talk } from "./talk.js";
import { Voice } from "./voice/voice.js";

const STATS_MS = 1_000;
const LEVEL_MS = 250;
/** Of full scale. Opus silence decodes to zero; a quiet voice is well above this. */
const SPEECH_LEVEL = 0.01;
/** Pauses inside a sentence are shorter. */
const QUIET_MS = 900;
/** The person's last words come back as the avatar's within this time. */
const ECHO_MS = 2_500;

const query = new URLSearchParams(location.search);
const face = new States(FACE, "ready");
const stage = new Stage();
const dock = new Dock();
const events = new StreamEvents(config.events, access);
const client = new WhepClient(config.whep, { iceServers: config.iceServers ?? [], access });
const voice = new Voice(config, access);
const talk = new Talk(voice, {
  title: config.title,
  waiting: () => dock.queue.first,
});
const meter = new Meter();
const reaction = new Reaction();
const senses = new Senses(reaction);
const host = new Host(config.stream, { play, stop: () => client.stop(), sound: (on) => stage.toggleSound(on) }, () => page.stats);

const isLive = () => face.state === "idle" || face.state === "speaking";

/** Also what the outside sees, as `window.whepAvatar`: for pages that embed this one, and for tests. */
const page = {
  client,
  events,
  dock,
  voice,
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
  until: (state) => face.until(state),
};
window.whepAvatar = page;

function play() {
  if (face.state === "ready" || face.state === "offline") client.play();
  else stage.resume();
  if (!events.up) events.open();
}

// what happens -> the table
client.addEventListener("try", ({ detail }) => {
  face.step("play"); // the first try of several
  stage.attach(detail.media.stream);
});
for (const type of ["live", "mended"]) {
  client.addEventListener(type, () => {
    page.liveSince ??= performance.now();
    attend();
    face.step("live");
    if (page.talking) face.step("speak");
  });
}
client.addEventListener("mending", () => face.step("lost")); // the picture stands still meanwhile, by itself
client.addEventListener("lost", ({ detail }) => {
  if (detail.attempt === 0) stage.hold();
  else stage.detach();
  page.liveSince = null;
  face.step("lost");
  page.lost = detail;
});
client.addEventListener("gaveUp", ({ detail }) => {
  page.lost = detail;
  host.tell("error", { status: detail.status ?? null, reason: reason(detail) });
  stage.detach();
  get("reason").textContent = reason(detail);
  face.step("gaveUp");
  if (lacksToken(detail.status)) again();
});
client.addEventListener("stopped", () => {
  stage.detach();
  face.step("stop");
});
stage.addEventListener("frame", () => stage.rest());
stage.addEventListener("sound", ({ detail }) => host.tell("sound", detail));

events.addEventListener("state", ({ detail }) => speaks(detail.state === "speaking"));
events.addEventListener("speech", ({ detail }) => dock.take(detail));
events.addEventListener("speech", ({ detail }) => host.tell("speech", detail));
events.addEventListener("speech", ({ detail }) => reaction.told(detail));
events.addEventListener("publisher", ({ detail }) => dock.queue.takePublisher(detail));
events.addEventListener("viewers", ({ detail }) => {
  get("viewers").textContent = `${detail.viewers} watching`;
  get("viewers").hidden = !(detail.viewers > 1);
});
events.addEventListener("up", comeBack);
events.addEventListener("down", () => {
  dock.queue.clear();
  speaks(false);
  get("viewers").hidden = true;
});

/** Something changed for the better: the server answers, the network is up, a person looks. No reason where it refused. */
function comeBack() {
  if (face.state === "offline" && !isFinal(page.lost?.status)) play();
}
addEventListener("online", comeBack);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && comeBack());

function speaks(on) {
  page.talking = on;
  face.step(on ? "speak" : "hush");
  if (!on && voice.state === "off") stage.hush(false);
}

function reason({ status, reason: words }) {
  if (status === 401) return "A token is needed to watch.";
  if (status === 403) return "This token does not allow you to watch.";
  if (status === 404 || status === 410) return `${config.title} is not on air right now.`;
  if (status !== undefined && status < 500) return words;
  return "The connection was lost.";
}

/** Starts over, with a token where that is what was lacking. */
async function again() {
  if (lacksToken(page.lost?.status) && !(await askForToken(page.lost.reason))) return;
  play();
}
access.addEventListener("change", () => {
  events.open();
  if (face.state === "offline") play();
});

// the state -> what is seen
face.addEventListener("change", ({ detail: { state } }) => {
  document.body.dataset.state = state;
  host.tell("state", { state });
  get("state").textContent = FACE_WORDS[state];
  const startHadFocus = document.activeElement === get("start");
  get("start").hidden = state !== "ready";
  if (startHadFocus && state !== "ready") get("mute").focus(); // a keyboard goes on from here
  get("over").hidden = state !== "offline";
});

// the person's voice; the avatar's sound is off for as long as its words are the person's
voice.addEventListener("change", ({ detail: { state } }) => {
  if (state === "connecting") stage.hush(true);
  if (state === "off") setTimeout(() => voice.state === "off" && stage.hush(false), ECHO_MS);
});
dock.queue.addEventListener("change", () => talk.possible && talk.show());
talk.addEventListener("say", play);

// what a person does
get("start").addEventListener("click", play);
get("again").addEventListener("click", again);
dock.addEventListener("say", play); // asking it to speak is asking to hear it
dock.addEventListener("sent", ({ detail }) => detail.alone && reaction.sent(detail));
dock.addEventListener("stop", ({ detail }) => reaction.stopped(detail));
get("numbers").addEventListener("click", toggleStats);

const keys = { s: toggleStats, m: () => stage.toggleSound(), f: () => stage.toggleFullScreen(), k: play };
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && dock.busy && !get("ask").open && !query.has("embed")) dock.stop();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input, textarea, select")) return;
  keys[event.key.toLowerCase()]?.();
});

function toggleStats() {
  get("stats").hidden = !get("stats").hidden;
  get("numbers").setAttribute("aria-pressed", String(!get("stats").hidden));
  attend();
  showStats();
}

/** Looks and listens while somebody looks at the numbers. */
function attend() {
  if (get("stats").hidden) senses.close();
  else senses.open(get("live"), client.session);
}

// numbers
async function measure() {
  const pc = client.session?.pc;
  if (isLive() && pc) {
    page.stats = await meter.read(pc).catch(() => page.stats);
    const { firstLipMs, firstSoundMs, shutLipMs, silenceMs } = reaction;
    Object.assign(page.stats, { firstLipMs, firstSoundMs, shutLipMs, silenceMs });
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
  if (!events.up && isLive() && receiver) {
    const report = [...(await receiver.getStats()).values()].find(({ type }) => type === "inbound-rtp");
    if ((report?.audioLevel ?? 0) > SPEECH_LEVEL) loudAt = performance.now();
    speaks(performance.now() - loudAt < QUIET_MS);
  }
  setTimeout(listen, LEVEL_MS, loudAt);
}

measure();
listen();

document.documentElement.classList.toggle("embed", query.has("embed"));
document.documentElement.classList.toggle("calm", calm.matches);
if (query.has("autoplay") || query.has("embed")) play();
host.tell("ready", { state: face.state });
