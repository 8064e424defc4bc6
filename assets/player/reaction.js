// How quickly the avatar answers, at this end of the way: from a person's sentence to its first picture and sound, from
// the stop button to silence. Pure: what was seen and heard goes in as it comes, in whichever order. Units: ms of
// performance.now(), and seconds of the stream's media time, which the events tell and RTP wraps.

/** RTP's 32 bits at 90 kHz. */
const WRAP_S = 2 ** 32 / 90_000;
/** Half a frame at 30 a second: pictures stand at frames, events at packets. */
const SLACK_S = 1 / 60;
/** So much is remembered: a reply to a request may come after what it caused. */
const KEPT_MS = 8_000;
/** Pauses between words are shorter. */
const QUIET_MS = 400;

export class Reaction {
  #asked = null; // {at, utterance, beganS}
  #stopped = null; // {at, cutS}
  #began = new Map(); // where utterances begin, and where the last one was cut
  #cut = new Map();
  #frames = []; // {mediaS, at}
  #loud = []; // times of sound above the threshold
  /** The last readings; null where there is none. `…LipMs` are of pictures on the screen. */
  firstLipMs = null;
  firstSoundMs = null;
  shutLipMs = null;
  silenceMs = null;

  /** A sentence was asked for while nothing else was said or waited. */
  sent({ sentAt, utterance }) {
    this.#asked = { at: sentAt, utterance };
    this.firstLipMs = this.firstSoundMs = null;
    this.#look();
  }

  /** It was made to be silent while it said something. */
  stopped({ stoppedAt, utterance }) {
    this.#stopped = { at: stoppedAt, utterance };
    this.shutLipMs = this.silenceMs = null;
    this.#look();
  }

  /** A `speech` event of the stream. */
  told({ utterance, state, media_time_s: mediaS }) {
    if (mediaS == null) return;
    if (state === "started") remember(this.#began, utterance, mediaS);
    if (state === "interrupted") remember(this.#cut, utterance, mediaS);
    this.#look();
  }

  /** A picture came, or comes, onto the screen at `at`. */
  seen(mediaS, at) {
    this.#frames.push({ mediaS, at });
    while (this.#frames[0].at < at - KEPT_MS) this.#frames.shift();
    this.#look();
  }

  /** Sound as loud as speech was heard at `at`; called for each few ms of it. */
  heard(at) {
    this.#loud.push(at);
    while (this.#loud[0] < at - KEPT_MS) this.#loud.shift();
  }

  /** All sound up to `at` has been judged. */
  listened(at) {
    this.#lookForSound();
    this.#lookForSilence(at);
  }

  #look() {
    const [asked, stopped] = [this.#asked, this.#stopped];
    this.firstLipMs ??= asked && this.#shown(asked.at, this.#began.get(asked.utterance));
    this.shutLipMs ??= stopped && this.#shown(stopped.at, this.#cut.get(stopped.utterance));
  }

  /** How long after `since` the first picture of `mediaS` or later is on the screen. */
  #shown(since, mediaS) {
    if (mediaS === undefined) return null;
    const frame = this.#frames.find((seen) => seen.at >= since && ahead(seen.mediaS, mediaS) > -SLACK_S);
    return frame === undefined ? null : frame.at - since;
  }

  #lookForSound() {
    if (!this.#asked || this.firstSoundMs !== null) return;
    const { at } = this.#asked;
    if (this.#loud.some((heard) => heard < at && heard > at - QUIET_MS)) return; // what is heard may be older
    const first = this.#loud.find((heard) => heard >= at);
    this.firstSoundMs = first === undefined ? null : first - at;
  }

  #lookForSilence(now) {
    if (!this.#stopped || this.silenceMs !== null) return;
    const { at } = this.#stopped;
    if (!this.#loud.some((heard) => heard > at - QUIET_MS)) return; // it was stopped in a pause
    const last = Math.max(at, this.#loud.at(-1));
    if (now - last >= QUIET_MS) this.silenceMs = last - at;
  }
}

/** How far `a` is after `b`. Units: seconds; both may have wrapped. */
function ahead(a, b) {
  const apart = (((a - b) % WRAP_S) + WRAP_S) % WRAP_S;
  return apart > WRAP_S / 2 ? apart - WRAP_S : apart;
}

function remember(map, key, value) {
  map.set(key, value);
  if (map.size > 16) map.delete(map.keys().next().value);
}
