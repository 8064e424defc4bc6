// What this end sees and hears: each picture as it comes onto the screen, by its place on the stream's clock, and sound as
// it goes to the loudspeaker. Costs something, so it runs only while somebody looks at the numbers.

/** Of full scale, as peaks. Opus silence decodes to zero. */
const LOUD = 0.01;
const POLL_MS = 20;
/** What is judged at once: as exact as the times are. */
const BLOCK_S = 0.005;
/** Holds 85 ms: a poll may be late by that much. */
const WINDOW = 4096;
const VIDEO_HZ = 90_000;

/** `reaction` is told what is seen and heard. */
export class Senses {
  #reaction;
  #context = null;
  #source = null;
  #run = 0;

  constructor(reaction) {
    this.#reaction = reaction;
  }

  /** Begins, or begins anew with another connection. Call it in a gesture: browsers let a page hear only after one. */
  open(video, session) {
    this.close();
    const run = this.#run;
    if (!video.srcObject || !session) return;
    this.#look(run, video, videoOrigin(session.answer));
    if (video.srcObject.getAudioTracks().length > 0) this.#listen(run, video.srcObject);
  }

  close() {
    this.#run += 1;
    this.#source?.disconnect();
    this.#context?.close().catch(() => {});
    this.#context = this.#source = null;
  }

  #look(run, video, origin) {
    const shown = (_, { rtpTimestamp, expectedDisplayTime }) => {
      if (run !== this.#run || rtpTimestamp === undefined) return;
      this.#reaction.seen(((rtpTimestamp - origin) >>> 0) / VIDEO_HZ, expectedDisplayTime);
      video.requestVideoFrameCallback(shown);
    };
    if (origin !== null) video.requestVideoFrameCallback?.(shown);
  }

  #listen(run, stream) {
    const context = (this.#context = new AudioContext());
    context.resume().catch(() => {});
    const analyser = new AnalyserNode(context, { fftSize: WINDOW });
    this.#source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.#source.connect(analyser);
    const samples = new Float32Array(WINDOW);
    let heardTo = context.currentTime;
    const poll = () => {
      if (run !== this.#run) return;
      const [now, time] = [performance.now(), context.currentTime];
      analyser.getFloatTimeDomainData(samples);
      const fresh = Math.min(WINDOW, Math.round((time - heardTo) * context.sampleRate));
      for (const ageS of loudBlocks(samples.subarray(WINDOW - fresh), context.sampleRate)) {
        this.#reaction.heard(now - ageS * 1000);
      }
      heardTo = time;
      this.#reaction.listened(now);
      setTimeout(poll, POLL_MS);
    };
    poll();
  }
}

/** How long before the last of the samples each loud block ended, oldest first. Units: seconds. */
export function loudBlocks(samples, sampleRate) {
  const size = Math.round(BLOCK_S * sampleRate);
  const found = [];
  for (let end = size; end <= samples.length; end += size) {
    if (samples.subarray(end - size, end).some((sample) => Math.abs(sample) > LOUD)) found.push((samples.length - end) / sampleRate);
  }
  return found;
}

/** The RTP time of pictures at media time 0, as the answer tells it (RFC 7273 section 5.2); null where it does not. */
export function videoOrigin(sdp) {
  const section = sdp.split(/^m=/m).find((text) => text.startsWith("video "));
  const told = section?.match(/^a=mediaclk:direct=(\d+)/m);
  return told ? Number(told[1]) : null;
}
