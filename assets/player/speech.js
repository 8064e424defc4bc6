// Sending speech, and keeping count of what is said and what waits.

import { credentials } from "./exchange/wire.js";
import { sentence } from "./words.js";

/** A refusal in words for the person in front of the page; `detail` is the server's own sentence. */
export class SpeechRefused extends Error {
  constructor(status, detail = "", words = FILE_WORDS) {
    super(words[status] ?? (status >= 500 ? words[500] : words.other));
    this.name = "SpeechRefused";
    this.status = status;
    this.detail = sentence(detail);
  }
}

const WORDS = {
  0: "The server can’t be reached right now.",
  401: "A token is needed to make it speak.",
  403: "This token does not allow that.",
  404: "This avatar is not on air at the moment.",
  429: "Too much is waiting already. Try again in a moment.",
  500: "Something went wrong at the server.",
  503: "The voice isn’t free right now. Try again in a few seconds.",
};

const FILE_WORDS = {
  ...WORDS,
  400: "That upload didn’t arrive in one piece.",
  408: "The upload took too long.",
  409: "Files have to wait right now.",
  413: "That file is too large.",
  415: "That isn’t an audio file we can read.",
  422: "There is no speech in that file we can read.",
  other: "The server didn’t accept that file.",
};

const TEXT_WORDS = {
  ...WORDS,
  409: "Somebody else is speaking. Try again in a moment.",
  413: "That text is too long.",
  422: "That text can’t be spoken.",
  501: "This server can’t read text aloud yet.",
  502: "The voice that reads text failed.",
  other: "The server didn’t accept that text.",
};

const STOP_WORDS = { ...WORDS, other: "The server did not stop it." };

/**
 * Posts one audio file. `progress` is told the part sent, 0 to 1. Resolves to {utterance, seconds, queued}.
 * XMLHttpRequest, because fetch still cannot tell how much of a body has left. Errors: SpeechRefused; AbortError.
 */
export function postSpeech(url, blob, { progress = () => {}, token = null, signal } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    if (blob.size === 0) throw new SpeechRefused(422, "The file is empty.");
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Content-Type", blob.type || "application/octet-stream");
    for (const [name, value] of Object.entries(credentials(token))) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ lengthComputable, loaded, total }) => lengthComputable && progress(loaded / total);
    request.onerror = () => reject(new SpeechRefused(0));
    request.onabort = () => reject(signal.reason);
    signal?.addEventListener("abort", () => request.abort());
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status === 202) resolve(body);
      else reject(new SpeechRefused(request.status, body.detail ?? ""));
    };
    request.send(blob);
  });
}

/** Posts a text to be read aloud. Resolves to {utterance, seconds, queued}. Errors: SpeechRefused; AbortError. */
export function postText(url, text, { token = null, signal } = {}) {
  const headers = { ...credentials(token), "Content-Type": "application/json" };
  return ask(url, { headers, body: JSON.stringify({ text }), signal }, TEXT_WORDS);
}

/** Has it fall silent, and what waits forgotten. Resolves to {utterance, …}. Errors: SpeechRefused. */
export function postInterrupt(url, { token = null } = {}) {
  return ask(url, { headers: credentials(token) }, STOP_WORDS);
}

async function ask(url, request, words) {
  const { ok, status, text } = await exchange(url, request).catch((error) => {
    throw error.name === "AbortError" ? error : new SpeechRefused(0, "", words);
  });
  const body = parsed(text);
  if (!ok) throw new SpeechRefused(status, body.detail ?? "", words);
  return body;
}

async function exchange(url, request) {
  const response = await fetch(url, { method: "POST", ...request });
  return { ok: response.ok, status: response.status, text: await response.text() };
}

/** The built-in sentences: [{id, title, text, url, seconds}]; empty where there are none. */
export async function loadSamples(index) {
  try {
    const response = await fetch(index);
    if (!response.ok) return [];
    const found = await response.json();
    const list = Array.isArray(found) ? found : (found.samples ?? []);
    return list.map((sample) => ({ ...sample, url: new URL(sample.file, response.url).href }));
  } catch {
    return [];
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** States after which nothing of an utterance is to come. */
const OVER = ["finished", "failed", "interrupted", "cancelled"];

/** What is being said and what waits, from `speech` events and our own uploads, in whichever order these arrive. */
export class SpeechQueue extends EventTarget {
  #notes = new Map(); // utterance -> {title, text} of what this page sent
  #waiting = new Map(); // utterance -> seconds
  #live = new Set(); // utterances that are a publisher's voice
  #publisher = false;
  current = null; // {utterance, seconds, live, title, text}

  get waiting() {
    return this.#waiting.size;
  }

  /** Whether speech that was accepted before a publisher came is still to be spoken: till then nobody hears that one. */
  get first() {
    return this.waiting > 0 || (this.current !== null && !this.current.live);
  }

  /** A `publisher` event. While there is one that speaks nothing else is accepted: what is queued then is that voice. */
  takePublisher({ publisher, listens }) {
    this.#publisher = publisher && !listens;
    this.#changed();
  }

  /** This page's upload was accepted under this id. */
  note(utterance, note) {
    this.#notes.set(utterance, note);
    if (this.current?.utterance === utterance) Object.assign(this.current, note);
    this.#changed();
  }

  /** A `speech` event; returns the note of the utterance where it is this page's. */
  take({ utterance, state, seconds }) {
    const note = this.#notes.get(utterance);
    if (state === "queued" && this.#publisher) this.#live.add(utterance);
    else if (state === "queued") this.#waiting.set(utterance, seconds);
    else this.#waiting.delete(utterance);
    if (state === "started") this.current = { utterance, seconds, live: this.#live.has(utterance), ...note };
    if (OVER.includes(state)) {
      this.#notes.delete(utterance);
      this.#live.delete(utterance);
      if (this.current?.utterance === utterance) this.current = null;
    }
    this.#changed();
    return note;
  }

  /** The channel was lost or the stream fell silent: what was counted may be wrong. */
  clear() {
    this.#waiting.clear();
    this.#live.clear();
    this.#publisher = false;
    this.current = null;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
