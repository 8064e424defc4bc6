// Utterances that come as chunks, on one video element: each from its first chunk to the end of its sound, one after the
// other. Tells `begin`, `picture` (its first one is on the screen), `playing`, `blocked` (the browser wants a gesture),
// `problem` (detail: words for a person), `end`, and `idle` when nothing more is to be played.

import { download } from "./download.js";
import { Playlist, inOrder, requestOf } from "./playlist.js";
import { Sink } from "./sink.js";

const LOOK_MS = 250;
/** Everything is in, and the picture has not moved for so long: then it has ended, whether the browser says so or not. */
const STALLED_MS = 2_000;
/** Something is missing, and nothing has come or moved for so long. */
const STARVED_MS = 30_000;

const WORDS = {
  append: "Chunk append error",
  playback: "Playback error",
  support: "This browser cannot play chunks",
  download: "Download error",
  starved: "Nothing more arrived",
};

export class Playback extends EventTarget {
  #video;
  #access;
  #leaveMs;
  #heard = new Set(); // requests that were begun
  #queue = [];
  #current = null;
  #newest = null; // {request, playlist}: what `complete` and `error` are about
  #blocked = false;
  #over = new AbortController(); // of the current one

  /** `leaveMs`: how long the last picture of an utterance stays after its `end`, so that it can be faded out. */
  constructor(video, { access = {}, leaveMs = 0 } = {}) {
    super();
    this.#video = video;
    this.#access = access;
    this.#leaveMs = leaveMs;
    video.addEventListener("playing", () => this.#unblocked());
    document.addEventListener("visibilitychange", () => {
      // phones pause what they do not show
      if (document.visibilityState === "visible" && this.#current && video.paused && !video.ended) this.#play();
    });
  }

  get speaking() {
    return this.#current !== null;
  }

  get blocked() {
    return this.#blocked;
  }

  /** One message of the server: `chunk`, `complete` or `error`. Others are ignored. */
  take(message) {
    switch (message.event) {
      case "chunk":
        return this.#announce(message);
      case "complete":
        return this.#unfinished?.finish(message.total_chunks);
      case "error":
        this.cut();
        return this.#tell("problem", message.message);
    }
  }

  /** Nothing more will be announced: what is there is all. */
  cut() {
    this.#unfinished?.cut();
  }

  /** Ends what is played and forgets what waits; the same request may come again. */
  stop() {
    this.#queue = [];
    this.#heard.clear();
    this.#newest = null;
    this.#over.abort();
  }

  /** To be called in a gesture: plays what was refused; elsewhere it earns the right to play later. */
  resume() {
    if (this.#current !== null) this.#play();
    else this.#video.load(); // WebKit lifts its restrictions for an element that is touched in a gesture
  }

  get #unfinished() {
    const playlist = this.#newest?.playlist;
    return playlist?.complete ? undefined : playlist;
  }

  #announce(message) {
    const request = requestOf(message.url);
    if (this.#newest?.request !== request) {
      if (this.#heard.has(request)) return; // told again after a reconnect
      this.#heard.add(request);
      this.#newest = { request, playlist: new Playlist() };
      this.#queue.push(this.#newest);
    }
    this.#newest.playlist.announce(message);
    if (this.#current === null && this.#queue.length > 0) this.#performAll();
  }

  async #performAll() {
    while (this.#queue.length > 0) {
      this.#current = this.#queue.shift();
      await this.#perform(this.#current);
    }
    this.#current = null;
    this.#tell("idle");
  }

  async #perform({ playlist }) {
    this.#tell("begin");
    this.#over = new AbortController();
    const { signal } = this.#over;
    let sink = null;
    try {
      sink = new Sink(this.#video);
      this.#awaitPicture(sink);
      const feeding = this.#feed(playlist, sink, signal);
      feeding.catch(() => {}); // after a standstill nobody asks
      if (await Promise.race([feeding, this.#standstill(playlist, sink, signal)])) this.#complain("starved");
    } catch (error) {
      this.#complain(error.what ?? "playback");
    }
    this.#over.abort();
    sink?.halt();
    this.#blocked = false;
    this.#tell("end");
    await new Promise((resolve) => setTimeout(resolve, this.#leaveMs));
    sink?.close();
  }

  /** All chunks, then until they are played; resolves to false. Errors: SinkFailed. */
  async #feed(playlist, sink, signal) {
    const fetchChunk = (url) => download(url, { token: this.#access.token, signal });
    try {
      for await (const bytes of inOrder(playlist, fetchChunk)) {
        await sink.append(bytes);
        if (sink.appended === 1) this.#play();
      }
    } catch (error) {
      if (error.name !== "DownloadFailed") throw error;
      playlist.cut();
      this.#complain("download"); // what is there is played all the same
      if (sink.appended === 0) return false;
    }
    await sink.end();
    await sink.played();
    return false;
  }

  /** Resolves when nothing moves any more, to whether something is missing; or when `signal` says that it is over. */
  #standstill(playlist, sink, signal) {
    let [last, since] = ["", performance.now()];
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        const { currentTime, paused } = this.#video;
        const mark = `${currentTime} ${playlist.version} ${sink.appended}`;
        const waitsForPerson = paused && sink.appended > 0;
        if (mark !== last || waitsForPerson) [last, since] = [mark, performance.now()];
        const still = performance.now() - since;
        if (still > LOOK_MS) sink.leap();
        if (still > (sink.ended ? STALLED_MS : STARVED_MS)) resolve(!sink.ended);
      }, LOOK_MS);
      signal.addEventListener("abort", () => resolve(clearInterval(timer)), { once: true });
    });
  }

  async #play() {
    try {
      await this.#video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.#current === null) return; // over already, or replaced
      this.#blocked = true;
      this.#tell("blocked");
    }
  }

  #awaitPicture(sink) {
    const video = this.#video;
    const wait = () => {
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(shown);
      else video.addEventListener("playing", shown, { once: true });
    };
    const shown = () => {
      if (sink.appended > 0 && video.paused) wait(); // the first picture is there, but waits for a gesture
      else if (sink.appended > 0) this.#tell("picture");
    };
    wait();
  }

  #unblocked() {
    this.#blocked = false;
    if (!this.#over.signal.aborted && !this.#video.paused) this.#tell("playing");
  }

  #complain(what) {
    this.#tell("problem", WORDS[what] ?? WORDS.playback);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
