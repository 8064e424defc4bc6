// The landing page: what is on air, asked for every few seconds, and how to watch it elsewhere.

import { access } from "./access.js";
import { config, get, icon, make } from "./dom.js";
import { credentials } from "./exchange/wire.js";

const POLL_MS = 3_000;
const WORDS = { preparing: "Getting ready", idle: "Listening", speaking: "Speaking" };

const cards = new Map(); // stream name -> its card
let chosen = null;

async function poll() {
  if (document.visibilityState === "visible") {
    try {
      const signal = AbortSignal.timeout(POLL_MS);
      const response = await fetch(`${config.base}/streams`, { signal, headers: credentials(access.token) });
      if (!response.ok) throw new Error(String(response.status));
      show((await response.json()).streams);
      get("lost").hidden = true;
    } catch {
      get("lost").hidden = false;
    }
  }
  setTimeout(poll, POLL_MS);
}

/** Cards are changed in place, not made anew: a person may be about to click one, or hear it read out. */
function show(streams) {
  const names = new Set(streams.map(({ name }) => name));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.remove();
    cards.delete(name);
  }
  for (const stream of streams) {
    if (!cards.has(stream.name)) {
      cards.set(stream.name, makeCard(stream));
      get("streams").append(cards.get(stream.name));
    }
    update(cards.get(stream.name), stream);
  }
  get("nothing").hidden = streams.length > 0;
  get("elsewhere").hidden = streams.length === 0;
  if (streams.length > 0 && !names.has(chosen)) choose(streams[0]);
}

function makeCard(stream) {
  const poster = make("img", { src: posterOf(stream), alt: "", width: 640, height: 360, loading: "lazy" });
  poster.addEventListener("error", () => poster.remove());
  const beat = make("span", { class: "beat", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
  const pill = make("span", { class: "pill" }, beat, make("span", { class: "state" }));
  const picture = make("div", { class: "picture" }, poster, pill, make("span", { class: "go" }, icon("play")));
  const link = make("a", { class: "watch", href: stream.player }, make("h3", {}, stream.title));
  const facts = make("p", { class: "facts" });
  const speak = make("a", { class: "plain", href: `${config.base}/publish/${stream.name}` }, icon("mic"), `Speak as ${stream.title}`);
  const choice = make("button", { type: "button", class: "plain" }, "Other programs");
  choice.addEventListener("click", () => {
    choose(stream);
    get("elsewhere").scrollIntoView({ block: "nearest" });
  });
  const ways = make("p", { class: "ways" }, speak, choice);
  const about = make("div", { class: "about" }, link, facts, make("p", { class: "badges" }), ways);
  return make("li", { class: "card" }, picture, about);
}

function update(card, stream) {
  card.dataset.state = stream.state;
  card.querySelector(".state").textContent = WORDS[stream.state] ?? stream.state;
  card.querySelector(".facts").textContent = stream.viewers > 0 ? `${stream.name} · ${stream.viewers} watching` : stream.name;
  const codecs = stream.codecs.map((name) => name.replace("H264", "H.264"));
  const words = [...codecs, `${stream.width} × ${stream.height}`, `${stream.fps} fps`];
  const badges = card.querySelector(".badges");
  if (badges.dataset.words === words.join()) return;
  badges.dataset.words = words.join();
  badges.replaceChildren(...words.map((word) => make("span", { class: "badge" }, word)));
}

function posterOf({ poster, avatar }) {
  return poster ?? `${config.base}/assets/avatars/${encodeURIComponent(avatar)}/poster-1280x720.jpg`;
}

/** Fills the recipes with the addresses of one stream. */
function choose(stream) {
  chosen = stream.name;
  const whep = new URL(stream.whep, location.href).href;
  const player = new URL(stream.player, location.href).href;
  const whip = new URL(`${config.base}/whip/${stream.name}`, location.href).href;
  for (const name of document.querySelectorAll(".which")) name.textContent = stream.title;
  const addresses = { WHEP_URL: whep, WHIP_URL: whip, PLAYER_URL: player };
  for (const field of document.querySelectorAll("[data-recipe]")) {
    field.textContent = field.dataset.recipe.replace(/WHEP_URL|WHIP_URL|PLAYER_URL/g, (name) => addresses[name]);
  }
}

async function copy(button) {
  const field = get(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(field.textContent);
    button.replaceChildren(icon("done"));
    button.setAttribute("aria-label", "Copied");
  } catch {
    getSelection().selectAllChildren(field); // pages without https may not write: the text is marked for the person
  }
  setTimeout(() => {
    button.replaceChildren(icon("copy"));
    button.setAttribute("aria-label", "Copy");
  }, 1_600);
}

for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
show(config.streams);
setTimeout(poll, POLL_MS);
