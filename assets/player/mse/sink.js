// Bytes into a video element: one MediaSource for one utterance, filled in order, kept small, ended.

import { DECLARED, mediaType } from "./codecs.js";

/** Not more than this is held before the picture of now: browsers keep some 100 MB, and phones less. */
const AHEAD_S = 30;
/** A source that the browser manages asks for data when it wants some; with less than this in hand we do not wait. */
const LOW_S = 2;
/** What was played is thrown away when it is older than this. */
const BEHIND_S = 10;

/** MediaSource, or where a browser has only that (iPhones, from iOS 17.1) ManagedMediaSource; undefined without either. */
export function sourceClass() {
  return globalThis.MediaSource ?? globalThis.ManagedMediaSource;
}

/** Why pictures cannot go on; `what` is append, playback or support. */
export class SinkFailed extends Error {
  constructor(what) {
    super(what);
    this.name = "SinkFailed";
    this.what = what;
  }
}

/** The next of some events, each given as [target, type]. Rejects with what `signal` is aborted with. */
function next(signal, ...awaited) {
  return new Promise((resolve, reject) => {
    const off = new AbortController();
    const settle = (how) => (value) => {
      off.abort();
      how(value);
    };
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", settle(() => reject(signal.reason)), { signal: off.signal });
    for (const [target, type] of awaited) target.addEventListener(type, settle(resolve), { signal: off.signal });
  });
}

export class Sink {
  #video;
  #source;
  #buffer = null;
  #url;
  #opened;
  #over = new AbortController();
  /** Chunks that are in. */
  appended = 0;
  /** Whether no chunk follows. */
  ended = false;

  /** Takes the element over. Errors: SinkFailed where the browser has no MediaSource of either kind. */
  constructor(video) {
    const Source = sourceClass();
    if (Source === undefined) throw new SinkFailed("support");
    this.#video = video;
    this.#source = new Source();
    const { signal } = this.#over;
    this.#opened = next(signal, [this.#source, "sourceopen"]);
    this.#opened.catch(() => {});
    video.addEventListener("error", () => this.#over.abort(new SinkFailed("playback")), { signal });
    // Safari opens a managed source only where no other device may take the playback over
    video.disableRemotePlayback = Source !== globalThis.MediaSource;
    this.#url = URL.createObjectURL(this.#source);
    video.src = this.#url;
  }

  /** Seconds that can be played from now on. */
  get ahead() {
    const { buffered, currentTime } = this.#video;
    return buffered.length > 0 ? buffered.end(buffered.length - 1) - currentTime : 0;
  }

  /** Puts the next chunk behind those before; waits while there is enough. Errors: SinkFailed. */
  async append(bytes) {
    await this.#opened;
    this.#buffer ??= this.#open(bytes);
    await this.#room();
    while (!(await this.#offer(bytes))) await next(this.#over.signal, [this.#video, "timeupdate"]);
    this.appended += 1;
  }

  /** No chunk follows: when all is played, the element has ended. */
  async end() {
    await this.#opened;
    if (this.#source.readyState === "open") this.#source.endOfStream();
    this.ended = true;
  }

  /** Resolves when all has been played. Errors: SinkFailed. */
  async played() {
    if (!this.#video.ended) await next(this.#over.signal, [this.#video, "ended"]);
  }

  /** Plays on after a hole where it stands before one. */
  leap() {
    const { buffered, currentTime } = this.#video;
    for (let range = 0; range < buffered.length; range += 1) {
      if (buffered.start(range) <= currentTime && currentTime + 0.1 < buffered.end(range)) return;
      if (buffered.start(range) > currentTime) {
        this.#video.currentTime = buffered.start(range);
        return;
      }
    }
  }

  /** Whether the element shows this, and nothing else meanwhile. */
  get #held() {
    return this.#video.src === this.#url;
  }

  /** Stays with the picture of now: of what cannot be played to its end nothing more is heard. */
  halt() {
    if (this.#held) this.#video.pause();
  }

  /** Gives the element back, empty. */
  close() {
    this.#over.abort(new SinkFailed("closed"));
    if (this.#held) {
      this.#video.removeAttribute("src");
      this.#video.load();
    }
    URL.revokeObjectURL(this.#url);
  }

  #open(bytes) {
    const own = mediaType(bytes);
    const type = this.#source.constructor.isTypeSupported(own) ? own : DECLARED;
    try {
      const buffer = this.#source.addSourceBuffer(type);
      buffer.mode = "sequence"; // every chunk's own time begins at 0
      return buffer;
    } catch {
      throw new SinkFailed("support");
    }
  }

  async #room() {
    const isEnough = () => this.ahead > AHEAD_S || (this.#source.streaming === false && this.ahead > LOW_S);
    while (isEnough()) await next(this.#over.signal, [this.#video, "timeupdate"], [this.#source, "startstreaming"]);
    await this.#forget(BEHIND_S);
  }

  /** Whether the browser took it; where its memory is full, what was played is thrown away. */
  async #offer(bytes) {
    try {
      this.#buffer.appendBuffer(bytes);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw new SinkFailed("append");
      await this.#forget(1);
      return false;
    }
    await this.#updated();
    return true;
  }

  async #forget(keptS) {
    const { buffered, currentTime } = this.#video;
    if (buffered.length === 0 || currentTime - buffered.start(0) < 2 * keptS) return;
    this.#buffer.remove(0, currentTime - keptS);
    await this.#updated();
  }

  async #updated() {
    const { type } = await next(this.#over.signal, [this.#buffer, "error"], [this.#buffer, "updateend"]);
    if (type === "error") throw new SinkFailed("append");
  }
}
