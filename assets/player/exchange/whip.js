// A WHIP publisher (RFC 9725): sends one voice.
//
//   const client = new WhipClient("/whip/demo");
//   client.publish(track);

import { Keeper } from "./keeper.js";

export class WhipClient extends Keeper {
  #track = null;
  #address;

  constructor(endpoint, options) {
    // Nobody's microphone goes on air because a page came back to life.
    super(endpoint, { makeMedia: () => new Sending(this.#track), exclusive: true, returns: false }, options);
    this.#address = this.endpoint;
  }

  /**
   * Starts to send a track of sound. A server that already has a publisher is not asked twice: `gaveUp`, status 409.
   * `interrupts` is what this voice does to speech that it comes upon, `speech` or `no`; null leaves that to the server.
   */
  publish(track, { interrupts = null } = {}) {
    const url = new URL(this.#address);
    if (interrupts !== null) url.searchParams.set("interrupt", interrupts);
    this.endpoint = url.href;
    this.#track = track;
    this.start();
  }

  /** Goes on with another track: same session, no new offer. */
  async replace(track) {
    this.#track = track;
    await this.session?.pc.getSenders()[0]?.replaceTrack(track);
  }
}

/** What a publisher sends; session.js says how it is asked. Whether it arrives, ICE's consent tells within seconds. */
class Sending {
  counters = false;
  stallMs = null;
  #track;

  constructor(track) {
    this.#track = track;
  }

  prepare(pc) {
    const streams = [new MediaStream([this.#track])];
    const transceiver = pc.addTransceiver(this.#track, { direction: "sendonly", streams });
    const { codecs } = RTCRtpSender.getCapabilities("audio");
    transceiver.setCodecPreferences?.(codecs.filter(({ mimeType }) => mimeType.toLowerCase() === "audio/opus"));
  }

  progress() {
    return null;
  }
}
