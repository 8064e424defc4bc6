// Everything that makes the avatar speak, and stop: typed sentences, samples, picked and dropped files; and what is said
// about them.

import { access } from "./access.js";
import { askForToken } from "./ask.js";
import { config, get, make, toast } from "./dom.js";
import { lacksToken } from "./exchange/wire.js";
import { SpeechQueue, SpeechRefused, loadSamples, postInterrupt, postSpeech, postText } from "./speech.js";
import { brief } from "./words.js";

/**
 * Events: `say` when a person wants it to speak, `sent` {sentAt, utterance, alone} when that was accepted, `stop`
 * {stoppedAt, utterance} when it was made to be silent. Times as of performance.now(); `alone` is whether nothing else was
 * being said or waited.
 */
export class Dock extends EventTarget {
  queue = new SpeechQueue();
  #sending = 0;
  #chain = Promise.resolve();
  #unwanted = new AbortController();

  constructor() {
    super();
    this.queue.addEventListener("change", () => this.#show());
    get("pick").addEventListener("click", () => get("file").click());
    get("file").addEventListener("change", ({ target }) => {
      this.#sendAll(target.files);
      target.value = "";
    });
    get("write").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#type();
    });
    get("text").addEventListener("input", () => this.#showButtons());
    get("stop").addEventListener("click", () => this.stop());
    this.#acceptDrops();
    this.#showButtons();
    this.samples = this.#showSamples();
  }

  /** Whether there is anything that a person may stop; who speaks live stops by themselves. */
  get busy() {
    const { current, waiting } = this.queue;
    return this.#sending > 0 || waiting > 0 || (current !== null && !current.live);
  }

  /** Sends one blob, or what a function resolves to. Resolves to the utterance's id, or null if refused. */
  say(blob, note) {
    return this.#line(async (token, signal) => {
      this.#progress(0);
      const body = typeof blob === "function" ? await blob() : blob;
      return postSpeech(config.speech, body, { progress: (part) => this.#progress(part), token, signal });
    }, note);
  }

  /** Has a text read aloud; else as `say`. */
  sayText(text) {
    const note = { title: brief(text), text };
    return this.#line((token, signal) => postText(config.speech, text, { token, signal }), note);
  }

  /** Has it fall silent: what is spoken, what waits, and what is still on its way there. */
  async stop() {
    const stoppedAt = performance.now();
    this.#unwanted.abort();
    this.#unwanted = new AbortController();
    get("stop").setAttribute("aria-busy", "true");
    try {
      const done = await withToken((token) => postInterrupt(config.interrupt, { token }));
      if (done) this.dispatchEvent(new CustomEvent("stop", { detail: { stoppedAt, utterance: done.utterance } }));
    } catch (error) {
      explain(error);
    } finally {
      get("stop").removeAttribute("aria-busy");
    }
  }

  /** A `speech` event of the stream. */
  take(event) {
    const note = this.queue.take(event);
    if (event.state !== "failed") return;
    toast(note ? `“${note.title}” broke off.` : "The sentence broke off.", event.detail ?? "");
  }

  /** Requests leave one after another, in the order in which they were given. */
  #line(post, note) {
    this.dispatchEvent(new Event("say")); // still inside the gesture, if it is one
    const { signal } = this.#unwanted;
    const sent = this.#chain.then(() => this.#send(post, note, signal));
    this.#chain = sent.catch(() => {});
    return sent;
  }

  async #send(post, note, signal) {
    if (signal.aborted) return null;
    const [sentAt, alone] = [performance.now(), !this.busy];
    this.#sending += 1;
    this.#show();
    try {
      const accepted = await withToken((token) => post(token, signal));
      if (accepted === null) return null;
      this.queue.note(accepted.utterance, note);
      this.dispatchEvent(new CustomEvent("sent", { detail: { sentAt, alone, utterance: accepted.utterance } }));
      return accepted.utterance;
    } catch (error) {
      if (!signal.aborted) explain(error);
      return null;
    } finally {
      this.#sending -= 1;
      this.#progress(null);
      this.#show();
    }
  }

  /** The text leaves the field at once, and comes back where it is refused. */
  async #type() {
    const field = get("text");
    const text = field.value.trim();
    if (text === "") return;
    field.value = "";
    this.#showButtons();
    const { signal } = this.#unwanted;
    const utterance = await this.sayText(text);
    if (utterance === null && !signal.aborted && field.value === "") field.value = text;
    this.#showButtons();
  }

  #sendAll(files) {
    for (const file of files) this.say(file, { title: file.name, text: "" });
  }

  async #showSamples() {
    const samples = await loadSamples(config.samples);
    const chips = samples.map((sample) => {
      const chip = make("button", { type: "button", class: "chip", title: sample.text }, make("span", {}, sample.title));
      if (sample.seconds) chip.append(make("small", {}, `${Math.round(sample.seconds)} s`));
      chip.dataset.sample = sample.id;
      chip.addEventListener("click", () => this.#sample(chip, sample));
      return chip;
    });
    get("chips").replaceChildren(...chips);
    return samples;
  }

  async #sample(chip, sample) {
    if (chip.getAttribute("aria-busy") === "true") return;
    chip.setAttribute("aria-busy", "true");
    await this.say(() => fetchSample(sample.url), { title: sample.title, text: sample.text });
    chip.removeAttribute("aria-busy");
  }

  #acceptDrops() {
    let depth = 0; // each child that is crossed enters and leaves
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    const show = (on) => (get("drop").hidden = !on);
    addEventListener("dragenter", (event) => holdsFiles(event) && show((depth += 1) > 0));
    addEventListener("dragleave", (event) => holdsFiles(event) && show((depth -= 1) > 0));
    addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      depth = 0;
      show(false);
      this.#sendAll(event.dataTransfer.files);
    });
  }

  #progress(part) {
    const bar = get("progress");
    bar.hidden = part === null;
    bar.firstElementChild.style.setProperty("--part", String(part ?? 0));
  }

  #showButtons() {
    get("send").disabled = get("text").value.trim() === "";
    get("stop").hidden = !this.busy;
  }

  #show() {
    const { current, waiting } = this.queue;
    const words = [];
    if (current?.live) words.push("Somebody speaks live");
    else if (current) words.push(current.title ? `Saying “${current.title}”` : "Speaking");
    else if (this.#sending > 0) words.push("Sending…");
    if (waiting > 0) words.push(`${waiting} waiting`);
    const line = words.join(" · ");
    get("queue").replaceChildren(line ? line : make("span", { class: "hint" }, get("queue").dataset.hint));
    this.#showButtons();
    get("caption").firstElementChild.textContent = current?.text ?? "";
    get("caption").hidden = !current?.text;
  }
}

/** Makes a request, again with each token that a person gives; null where none is given. */
async function withToken(request) {
  for (;;) {
    try {
      return await request(access.token);
    } catch (error) {
      if (!lacksToken(error.status)) throw error;
      if (!(await askForToken(error.detail || error.message))) return null;
    }
  }
}

function explain(error) {
  toast(error.message, error instanceof SpeechRefused ? error.detail : "");
}

async function fetchSample(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new SpeechRefused(0);
  return response.blob();
}
