// Everything that makes the avatar speak: sample sentences, picked and dropped files, and what is said about them.

import { access } from "./access.js";
import { askForToken } from "./ask.js";
import { config, get, make, toast } from "./dom.js";
import { SpeechQueue, SpeechRefused, loadSamples, postSpeech } from "./speech.js";

export class Dock extends EventTarget {
  queue = new SpeechQueue();
  #sending = 0;
  #chain = Promise.resolve();

  constructor() {
    super();
    this.queue.addEventListener("change", () => this.#show());
    get("pick").addEventListener("click", () => get("file").click());
    get("file").addEventListener("change", ({ target }) => {
      this.#sendAll(target.files);
      target.value = "";
    });
    this.#acceptDrops();
    this.samples = this.#showSamples();
  }

  /** Sends one blob; uploads leave in the order they were given. Resolves to the utterance's id, or null if refused. */
  say(blob, note) {
    this.dispatchEvent(new Event("say")); // still inside the gesture, if it is one
    const sent = this.#chain.then(() => this.#send(blob, note));
    this.#chain = sent.catch(() => {});
    return sent;
  }

  /** A `speech` event of the stream. */
  take(event) {
    const note = this.queue.take(event);
    if (event.state !== "failed") return;
    toast(note ? `“${note.title}” broke off.` : "The sentence broke off.", event.detail ?? "");
  }

  async #send(blob, note) {
    this.#sending += 1;
    this.#progress(0);
    try {
      const body = typeof blob === "function" ? await blob() : blob;
      const progress = (part) => this.#progress(part);
      const { utterance } = await postSpeech(config.speech, body, { progress, token: access.token });
      this.queue.note(utterance, note);
      return utterance;
    } catch (error) {
      if (error.status === 401) return this.#sendWithToken(blob, note, error);
      toast(error.message, error instanceof SpeechRefused ? error.detail : "");
      return null;
    } finally {
      this.#sending -= 1;
      this.#progress(null);
      this.#show();
    }
  }

  async #sendWithToken(blob, note, { message, detail }) {
    return (await askForToken(detail || message)) ? this.#send(blob, note) : null;
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

  #show() {
    const { current, waiting } = this.queue;
    const words = [];
    if (current?.live) words.push("Somebody speaks live");
    else if (current) words.push(current.title ? `Saying “${current.title}”` : "Speaking");
    else if (this.#sending > 0) words.push("Sending…");
    if (waiting > 0) words.push(`${waiting} waiting`);
    const line = words.join(" · ");
    get("queue").replaceChildren(line ? line : make("span", { class: "hint" }, "or drop one anywhere"));
    get("caption").firstElementChild.textContent = current?.text ?? "";
    get("caption").hidden = !current?.text;
  }
}

async function fetchSample(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new SpeechRefused(0);
  return response.blob();
}
