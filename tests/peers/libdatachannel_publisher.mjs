// A WHIP publisher on libdatachannel, made as OBS makes its own: H.264 and Opus, sender reports and retransmission.
// Publishes encoded media once, in real time.
//
//     node libdatachannel_publisher.mjs WHIP_URL MEDIA_JSON SECONDS [bare]
//
// All its candidates are in the one POST, as of OBS 30.0 and 30.1; with `bare` none is, as since OBS 30.2.
// MEDIA_JSON: {"opus": [packet of 20 ms, ...], "h264": [picture with start codes, ...], "fps": 25}, each in base64.

import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { exchange, load, main, remove, until, version } from "./common.mjs";

const library = load("node-datachannel");

/** A track whose packets are made by libdatachannel itself. */
function addTrack(connection, media, ssrc, makePacketizer) {
  media.addSSRC(ssrc, "publisher", "publisher", media.mid());
  const track = connection.addTrack(media);
  const packetizer = makePacketizer();
  packetizer.addToChain(new library.RtcpSrReporter(packetizer.rtpConfig));
  packetizer.addToChain(new library.RtcpNackResponder());
  track.setMediaHandler(packetizer);
  return { track, config: packetizer.rtpConfig, sent: 0 };
}

/** Send each unit when its time has come. A track that the server refused never opens and sends nothing. */
async function sendInTime(out, units, hz, perSecond, start) {
  for (const [index, unit] of units.entries()) {
    const wait = start + (index * 1000) / perSecond - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    if (!out.track.isOpen()) continue;
    out.config.timestamp = Math.round((index * hz) / perSecond);
    if (out.track.sendMessageBinary(Buffer.from(unit, "base64"))) out.sent += 1;
  }
}

await main(async (endpoint, mediaFile, seconds, bare) => {
  const media = JSON.parse(readFileSync(mediaFile, "utf-8"));
  const connection = new library.PeerConnection("publisher", { iceServers: [], disableAutoNegotiation: true });
  const opus = new library.Audio("0", "SendOnly");
  opus.addOpusCodec(111);
  const h264 = new library.Video("1", "SendOnly");
  h264.addH264Codec(96);
  const audio = addTrack(connection, opus, 1001, () =>
    new library.RtpPacketizer(new library.RtpPacketizationConfig(1001, "publisher", 111, 48000)),
  );
  const video = addTrack(connection, h264, 1002, () =>
    new library.H264RtpPacketizer("LongStartSequence", new library.RtpPacketizationConfig(1002, "publisher", 96, 90000)),
  );
  const states = [];
  connection.onStateChange((state) => states.push(state));
  const gathered = new Promise((resolve) =>
    connection.onGatheringStateChange((state) => state === "complete" && resolve()),
  );
  connection.setLocalDescription("offer");
  await gathered;

  const offer = connection.localDescription().sdp;
  const posted = bare ? offer.replace(/^a=(candidate:|end-of-candidates).*\r\n/gm, "") : offer;
  const { answer, location } = await exchange(endpoint, posted);
  connection.setRemoteDescription(answer, "answer");
  await until(() => audio.track.isOpen(), Number(seconds), () => `connected; ${states}`);
  const start = performance.now();
  await Promise.all([
    sendInTime(audio, media.opus, 48000, 50, start),
    sendInTime(video, media.h264, 90000, media.fps, start),
  ]);
  const deleted = await remove(location);
  connection.close();
  const client = `libdatachannel ${library.getLibraryVersion()} (node-datachannel ${version("node-datachannel")})`;
  return { client, audio: audio.sent, video: video.sent, states, location, deleted };
});
