// A WHEP player (draft-ietf-wish-whep): receives one picture and one sound.
//
//   const client = new WhepClient("/whep/demo");
//   client.addEventListener("try", ({ detail }) => (video.srcObject = detail.media.stream));
//   client.play();

import { Keeper } from "./keeper.js";

/** The server's sound never stops, so this long without a byte is a dead connection, whatever ICE believes. */
const STALL_MS = 2_000;
/**
 * Both tracks are asked to wait this long. Left alone, sound waits 30 to 50 ms longer than the picture from the start, and
 * browsers close that gap by some 7 ms a second. With one target the lips are right at once (Chromium 156: 34 ms -> 10 ms).
 * It is the standard's own way (W3C WebRTC Extensions), for both tracks alike: a playout delay of 0, by header extension
 * or `playoutDelayHint`, is obeyed for pictures alone and puts them some 150 ms ahead of the sound.
 */
const PLAYOUT_TARGET_MS = 80;

export class WhepClient extends Keeper {
  constructor(endpoint, options) {
    super(endpoint, { makeMedia: () => new Playback(), exclusive: false, returns: true }, options);
  }

  get playing() {
    return this.busy;
  }

  play() {
    this.start();
  }
}

/** What a player receives; session.js says how it is asked. The stream is there at once: its tracks are still silent. */
class Playback {
  counters = true;
  stallMs = STALL_MS;
  stream = new MediaStream();

  prepare(pc) {
    for (const kind of ["audio", "video"]) this.#take(pc.addTransceiver(kind, { direction: "recvonly" }).receiver);
  }

  adopt(pc) {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    pc.ontrack = ({ receiver }) => this.#take(receiver);
  }

  /** Bytes of sound and picture received. */
  progress(stats) {
    return stats.reduce((sum, report) => sum + (report.type === "inbound-rtp" ? report.bytesReceived : 0), 0);
  }

  #take(receiver) {
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = PLAYOUT_TARGET_MS;
    this.stream.addTrack(receiver.track);
  }
}
