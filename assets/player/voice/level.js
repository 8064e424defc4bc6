// How loud a voice is, and whether it should be louder or softer. The rules are pure: samples and the time go in.

/** The meter's left end; its right end is full scale. Units: dB of full scale. */
export const FLOOR_DB = -60;
/** Nothing but a microphone's own noise. */
const SILENT_DB = -52;
/** A voice below this makes small mouths. */
const QUIET_DB = -38;
/** So close to full scale that it was cut off, where it is more than a sample or two. */
const CLIPPED = 0.985;
const CLIPPED_SAMPLES = 3;
/** How fast the meter falls, so that an eye can follow. */
const FALL_DB_PER_S = 40;
const HOLD_MS = 1_200;
const CLIP_SHOWN_MS = 2_000;
/** Advice is about the loudest of so long; shorter, and each pause would be called too quiet. */
const JUDGED_MS = 4_000;
const SLOT_MS = 250;
/** Who was loud enough so lately may pause, or let the room be heard, without being told anything. */
const TRUSTED_MS = 20_000;

export class LevelMeter {
  #shownDb = FLOOR_DB;
  #peakDb = FLOOR_DB;
  #peakAt = -Infinity;
  #clippedAt = -Infinity;
  #beganAt = null;
  #lastAt = null;
  #slots = []; // [{at, db}], the loudest of each SLOT_MS
  #heardAt = -Infinity;

  /**
   * Takes the newest samples, in [-1, 1]. Returns {level, peak, db, clipped, advice}: `level` and `peak` from 0 to 1 along
   * the meter; `advice` is "silent", "quiet", "clipping" or "".
   */
  feed(samples, nowMs) {
    this.#beganAt ??= nowMs;
    const passedS = Math.max(0, nowMs - (this.#lastAt ?? nowMs)) / 1000;
    this.#lastAt = nowMs;
    const { db, top, clipped } = loudness(samples);
    this.#shownDb = Math.max(db, this.#shownDb - FALL_DB_PER_S * passedS);
    this.#holdPeak(20 * Math.log10(Math.max(top, 1e-6)), nowMs, passedS);
    if (clipped >= CLIPPED_SAMPLES) this.#clippedAt = nowMs;
    this.#note(db, nowMs);
    return {
      level: along(this.#shownDb),
      peak: along(this.#peakDb),
      db: this.#shownDb,
      clipped: nowMs - this.#clippedAt < CLIP_SHOWN_MS,
      advice: this.#advice(nowMs),
    };
  }

  #holdPeak(db, nowMs, passedS) {
    if (nowMs - this.#peakAt > HOLD_MS) this.#peakDb -= FALL_DB_PER_S * passedS;
    if (db < this.#peakDb) return;
    this.#peakDb = db;
    this.#peakAt = nowMs;
  }

  #note(db, nowMs) {
    const slot = this.#slots.at(-1);
    if (slot && nowMs - slot.at < SLOT_MS) slot.db = Math.max(slot.db, db);
    else this.#slots.push({ at: nowMs, db });
    while (nowMs - this.#slots[0].at > JUDGED_MS) this.#slots.shift();
    if (db > QUIET_DB) this.#heardAt = nowMs;
  }

  #advice(nowMs) {
    if (nowMs - this.#clippedAt < CLIP_SHOWN_MS) return "clipping";
    if (nowMs - this.#beganAt < JUDGED_MS) return "";
    if (nowMs - this.#heardAt < TRUSTED_MS) return "";
    const loudest = Math.max(...this.#slots.map(({ db }) => db));
    if (loudest >= SILENT_DB) return "quiet";
    return this.#heardAt === -Infinity ? "silent" : ""; // who has been heard may be silent for long
  }
}

function loudness(samples) {
  let [sum, top, clipped] = [0, 0, 0];
  for (const sample of samples) {
    const size = Math.abs(sample);
    sum += size * size;
    top = Math.max(top, size);
    if (size >= CLIPPED) clipped += 1;
  }
  return { db: 10 * Math.log10(Math.max(sum / samples.length, 1e-12)), top, clipped };
}

function along(db) {
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

/** Reads a track until told to stop: `show` gets a reading a picture. */
export class Ear {
  #context = null;
  #source = null;
  #frame = 0;

  /** Call it in a gesture: browsers let a page hear only after one. */
  open() {
    this.#context ??= new AudioContext();
    this.#context.resume().catch(() => {});
  }

  listen(track, show) {
    this.open();
    cancelAnimationFrame(this.#frame);
    this.#source?.disconnect();
    const analyser = new AnalyserNode(this.#context, { fftSize: 2048 });
    this.#source = new MediaStreamAudioSourceNode(this.#context, { mediaStream: new MediaStream([track]) });
    this.#source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const meter = new LevelMeter();
    const read = () => {
      this.#frame = requestAnimationFrame(read);
      if (this.#context.state !== "running") return; // deaf, which is not the same as silence
      analyser.getFloatTimeDomainData(samples);
      show(meter.feed(samples, performance.now()));
    };
    read();
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#context?.close().catch(() => {});
    this.#context = this.#source = null;
  }
}
