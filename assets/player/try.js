// The form that posts to /generate/stream, whose response is the events themselves, and plays the chunks as they come.

import { access } from "./access.js";
import { askForToken, askIfRefused } from "./ask.js";
import { config, get, make, toast } from "./dom.js";
import { credentials, lacksToken } from "./exchange/wire.js";
import { Layers } from "./mse/layers.js";
import { messages } from "./mse/messages.js";
import { loadSamples } from "./speech.js";
import { sentence } from "./words.js";

const WORDS = { ready: "Ready", preparing: "Generating", speaking: "Speaking", idle: "Ready" };

const layers = new Layers(access);
const { playback } = layers;
let running = null; // the controller of the request on its way

window.whepAvatar = { playback, layers };

function turn(state) {
  document.body.dataset.state = state;
  get("state").textContent = WORDS[state];
}

/** Posts the speech under the form's parameters and plays what comes. */
async function generate(speech, name) {
  running?.abort();
  running = new AbortController();
  const mine = running;
  turn("preparing");
  get("go").textContent = "Stop";
  const body = new FormData();
  body.append("audio_file", speech, name);
  const scalars = new URLSearchParams(new FormData(get("form")));
  const request = { method: "POST", body, headers: credentials(access.token), signal: mine.signal };
  try {
    const startedMs = performance.now();
    const response = await fetch(`${config.generate}?${scalars}`, request);
    if (!response.ok) return await refused(response, () => generate(speech, name));
    for await (const message of messages(response.body)) {
      follow(message, performance.now() - startedMs);
      playback.take(message);
    }
  } catch {
    if (!mine.signal.aborted) toast("The connection was lost.");
  } finally {
    playback.cut();
    if (mine === running) rest();
  }
}

function rest() {
  running = null;
  get("go").textContent = "Generate";
  if (!playback.speaking) turn("idle");
}

function follow({ event, index, total_chunks: total }, ms) {
  if (event === "chunk" && index === 0) get("line").dataset.first = `the first after ${(ms / 1000).toFixed(1)} s`;
  if (event === "chunk") get("line").textContent = `Chunk ${index + 1} of ${total}, ${get("line").dataset.first}`;
}

/** Says what the server minds; with a token that it lacked it is asked again. */
async function refused(response, again) {
  const { detail } = await response.json().catch(() => ({}));
  if (lacksToken(response.status)) return (await askForToken(detail)) && again();
  const words = Array.isArray(detail) ? detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join("; ") : detail;
  toast("The server didn’t accept that.", sentence(String(words ?? `status ${response.status}`)));
}

async function showSamples() {
  const samples = await loadSamples(config.samples);
  const chips = samples.map((sample) => {
    const chip = make("button", { type: "button", class: "chip", title: sample.text }, sample.title);
    chip.addEventListener("click", async () => {
      layers.playback.resume(); // still inside the gesture
      const response = await fetch(sample.url).catch(() => null);
      if (response?.ok) generate(await response.blob(), sample.file);
      else toast("The server can’t be reached right now.");
    });
    return chip;
  });
  get("chips").replaceChildren(...chips);
}

const filmOf = (avatar) => `${config.base}/avatars/${encodeURIComponent(avatar)}/video`;

get("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return running.abort();
  const [file] = get("file").files;
  if (file) generate(file, file.name);
  else toast("Choose an audio file, or a sample sentence.");
});
get("avatar").addEventListener("change", ({ target }) => layers.show(filmOf(target.value)));
get("film").addEventListener("error", () => askIfRefused(filmOf(get("avatar").value)));
playback.addEventListener("picture", () => turn("speaking"));
playback.addEventListener("idle", () => turn(running ? "preparing" : "idle"));
playback.addEventListener("problem", ({ detail }) => toast(detail));
playback.addEventListener("blocked", () => toast("Tap here to hear it."));
get("toasts").addEventListener("click", () => playback.blocked && playback.resume());

const { width, height } = config;
document.body.style.setProperty("--ratio", `${width} / ${height}`);
document.body.style.setProperty("--width-per-height", String(width / height));
if (get("avatar").value) layers.show(filmOf(get("avatar").value));
showSamples();
