// The page of one request's chunk files: one by one, or all of them as one film without a gap.

import { access } from "./access.js";
import { askForToken, askIfRefused } from "./ask.js";
import { config, get, make, toast } from "./dom.js";
import { lacksToken, withToken } from "./exchange/wire.js";
import { download } from "./mse/download.js";
import { Playback } from "./mse/playback.js";

const { chunks } = config;
const video = get("video");
const playback = new Playback(video, { access });
const choices = chunks.map((_, index) => make("button", { type: "button", class: "chip", "aria-label": `Chunk ${index + 1}` }, String(index + 1)));
let shown = 0;
let all = false;

window.whepAvatar = { playback };

/** Puts one chunk into the video. */
function show(index, { play = true } = {}) {
  all = false;
  playback.stop();
  shown = Math.min(chunks.length - 1, Math.max(0, index));
  video.src = withToken(chunks[shown], access.token);
  if (play) video.play().catch(() => {}); // replaced, or refused: the video has a button of its own
  mark();
}

/** All of them, through one buffer. */
function playAll() {
  playback.stop();
  all = true;
  chunks.forEach((url, index) => playback.take({ event: "chunk", index, url, total_chunks: chunks.length }));
  playback.take({ event: "complete", total_chunks: chunks.length });
  mark();
}

function mark() {
  choices.forEach((choice, index) => choice.setAttribute("aria-current", String(!all && index === shown)));
  get("previous").disabled = !all && shown === 0;
  get("next").disabled = !all && shown === chunks.length - 1;
  get("line").textContent = all ? `Chunks 1 to ${chunks.length}` : `Chunk ${shown + 1} of ${chunks.length}`;
}

async function saveAll() {
  get("save").disabled = true;
  try {
    for (const url of chunks) save(url.split("/").pop(), await download(url, { token: access.token }));
  } catch ({ status }) {
    if (lacksToken(status)) await askForToken();
    else toast("The chunks can’t be had.", status === 404 ? "They are kept for a while only." : "");
  } finally {
    get("save").disabled = false;
  }
}

function save(name, bytes) {
  const href = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  make("a", { download: name, href }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser reads it after the click
}

playback.addEventListener("problem", ({ detail }) => toast(detail));
playback.addEventListener("problem", () => askIfRefused(chunks[0]));
video.addEventListener("error", () => all || askIfRefused(chunks[shown]));
playback.addEventListener("idle", () => all && show(chunks.length - 1, { play: false }));
video.addEventListener("playing", () => (document.body.dataset.state = "speaking"));
for (const type of ["pause", "emptied"]) video.addEventListener(type, () => (document.body.dataset.state = "idle"));
access.addEventListener("change", () => show(shown, { play: false }));

choices.forEach((choice, index) => choice.addEventListener("click", () => show(index)));
get("chunks").append(...choices.map((choice) => make("li", {}, choice)));
get("previous").addEventListener("click", () => show(shown - 1));
get("next").addEventListener("click", () => show(shown + 1));
get("all").addEventListener("click", playAll);
get("save").addEventListener("click", saveAll);

const keys = { ArrowLeft: () => show(shown - 1), ArrowRight: () => show(shown + 1), a: playAll };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === video) return; // the video's own keys seek
  keys[event.key]?.();
});

const { width, height } = config;
document.body.style.setProperty("--ratio", `${width} / ${height}`);
document.body.style.setProperty("--width-per-height", String(width / height));
show(0, { play: false });
