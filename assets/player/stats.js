// What the connection does, measured from two readings of getStats one after another.

/**
 * Reads a peer connection's statistics. Rates and jitter buffers are those of the time since the last reading.
 * Units: as the names say; `avOffsetMs` above zero means that the picture shown is ahead of the sound heard.
 */
export class Meter {
  #before = new Map();

  async read(pc) {
    const reports = await pc.getStats();
    const all = [...reports.values()];
    const video = all.find((report) => report.type === "inbound-rtp" && report.kind === "video");
    const audio = all.find((report) => report.type === "inbound-rtp" && report.kind === "audio");
    const reading = {
      ...this.#picture(video, reports),
      ...this.#sound(audio, reports),
      roundTripMs: roundTripMs(all, reports),
      avOffsetMs: null,
    };
    reading.avOffsetMs = offsetMs(video, audio, reading);
    reading.bitrateKbps = sum(reading.videoKbps, reading.audioKbps);
    this.#before = new Map([video, audio].filter(Boolean).map((report) => [report.id, report]));
    return reading;
  }

  #picture(report, reports) {
    if (!report) return {};
    return {
      videoCodec: codec(report, reports),
      width: report.frameWidth ?? null,
      height: report.frameHeight ?? null,
      fps: this.#rate(report, "framesDecoded") ?? report.framesPerSecond ?? null,
      framesDecoded: report.framesDecoded,
      framesDropped: report.framesDropped ?? 0,
      freezes: report.freezeCount ?? null,
      videoKbps: this.#kbps(report),
      videoBufferMs: this.#bufferMs(report),
      videoLost: report.packetsLost ?? 0,
      keyFrames: report.keyFramesDecoded ?? null,
    };
  }

  #sound(report, reports) {
    if (!report) return {};
    return {
      audioCodec: codec(report, reports),
      audioKbps: this.#kbps(report),
      audioBufferMs: this.#bufferMs(report),
      audioLost: report.packetsLost ?? 0,
      audioLevel: report.audioLevel ?? null,
      concealed: report.concealedSamples ?? null,
      audioPackets: report.packetsReceived,
    };
  }

  #delta(report, name) {
    const before = this.#before.get(report.id);
    return before === undefined ? null : report[name] - before[name];
  }

  #rate(report, name) {
    const ms = this.#delta(report, "timestamp");
    return ms ? (this.#delta(report, name) * 1000) / ms : null;
  }

  #kbps(report) {
    const rate = this.#rate(report, "bytesReceived");
    return rate === null ? null : (rate * 8) / 1000;
  }

  #bufferMs(report) {
    const count = this.#delta(report, "jitterBufferEmittedCount");
    return count ? (this.#delta(report, "jitterBufferDelay") * 1000) / count : null;
  }
}

function codec(report, reports) {
  return reports.get(report.codecId)?.mimeType?.split("/")[1] ?? null;
}

function roundTripMs(all, reports) {
  const transport = all.find((report) => report.type === "transport" && report.selectedCandidatePairId);
  const pair =
    reports.get(transport?.selectedCandidatePairId) ??
    all.find((report) => report.type === "candidate-pair" && report.nominated && report.state === "succeeded");
  return pair?.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000;
}

/** From the sender's clock where the browser tells it; else from how much longer one track waits than the other. */
function offsetMs(video, audio, reading) {
  if (video?.estimatedPlayoutTimestamp && audio?.estimatedPlayoutTimestamp) {
    return video.estimatedPlayoutTimestamp - audio.estimatedPlayoutTimestamp;
  }
  if (reading.videoBufferMs == null || reading.audioBufferMs == null) return null;
  return reading.audioBufferMs - reading.videoBufferMs;
}

function sum(a, b) {
  return a == null && b == null ? null : (a ?? 0) + (b ?? 0);
}

/** What a connection that only sends knows of its way: {roundTripMs, lost}; `lost` is the part of packets, 0 to 1. */
export async function uplink(pc) {
  const reports = await pc.getStats();
  const all = [...reports.values()];
  const remote = all.find(({ type }) => type === "remote-inbound-rtp");
  return { roundTripMs: roundTripMs(all, reports), lost: remote?.fractionLost ?? null };
}

/** The same as a person would say it; empty while nothing is known. */
export function uplinkWords({ roundTripMs: ms = null, lost = null }) {
  if (ms === null) return "";
  if (lost > 0.08 || ms > 400) return "The connection is poor: words may be lost.";
  if (lost > 0.02 || ms > 200) return "The connection is fair.";
  return "The connection is good.";
}

/** The rows of the overlay: [label, text]. */
export function rows(reading, sessionS) {
  const ms = (value) => (value == null ? "–" : `${Math.round(value)} ms`);
  const plain = (value, digits = 0) => (value == null ? "–" : value.toFixed(digits));
  const size = reading.width ? `${reading.width} × ${reading.height}` : "–";
  const pair = (picture, sound) => (picture == null && sound == null ? "–" : `${ms(picture)} picture, ${ms(sound)} sound`);
  return [
    ["Codecs", [reading.videoCodec, reading.audioCodec].filter(Boolean).join(" + ") || "–"],
    ["Picture", `${size}, ${plain(reading.fps, 1)} fps`],
    ["Bitrate", reading.bitrateKbps == null ? "–" : `${plain(reading.bitrateKbps)} kbit/s`],
    ["Round trip", ms(reading.roundTripMs)],
    ["Jitter buffer", `${ms(reading.videoBufferMs)} picture, ${ms(reading.audioBufferMs)} sound`],
    ["A/V offset", reading.avOffsetMs == null ? "–" : `${reading.avOffsetMs > 0 ? "+" : ""}${ms(reading.avOffsetMs)}`],
    ["Packets lost", `${reading.videoLost ?? "–"} picture, ${reading.audioLost ?? "–"} sound`],
    ["Frames dropped", `${reading.framesDropped ?? "–"} of ${reading.framesDecoded ?? "–"}`],
    ["Freezes", `${reading.freezes ?? "–"}`],
    ["First lip", pair(reading.firstLipMs, reading.firstSoundMs)],
    ["Interrupt", pair(reading.shutLipMs, reading.silenceMs)],
    ["Session", clock(sessionS)],
  ];
}

function clock(seconds) {
  if (seconds == null) return "–";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
