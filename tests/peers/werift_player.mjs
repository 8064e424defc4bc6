// A WHEP player on werift, a WebRTC stack in TypeScript alone. Counts complete pictures, does not decode.
//
//     node werift_player.mjs WHEP_URL H264|VP8 PICTURES SECONDS

import { exchange, FrameCounter, load, main, remove, until, version } from "./common.mjs";

const { RTCPeerConnection, useH264, useOPUS, useVP8 } = load("werift");

await main(async (endpoint, codec, pictures, seconds) => {
  const connection = new RTCPeerConnection({
    iceServers: [],
    codecs: { video: [codec === "H264" ? useH264() : useVP8()], audio: [useOPUS()] },
  });
  const counters = { video: new FrameCounter(), audio: new FrameCounter() };
  connection.onTrack.subscribe((track) =>
    track.onReceiveRtp.subscribe(({ header }) => counters[track.kind].add(header.sequenceNumber, header.marker)),
  );
  connection.addTransceiver("audio", { direction: "recvonly" });
  connection.addTransceiver("video", { direction: "recvonly" });
  await connection.setLocalDescription(await connection.createOffer());

  const { answer, location } = await exchange(endpoint, connection.localDescription.sdp);
  await connection.setRemoteDescription({ type: "answer", sdp: answer });
  const enough = () => counters.video.frames >= pictures && counters.audio.packets >= pictures;
  await until(enough, Number(seconds), () => `${pictures} pictures: ${JSON.stringify(counters)}`);
  const deleted = await remove(location);
  await connection.close();
  const { video, audio } = counters;
  return { client: `werift ${version("werift")}`, video: video.frames, audio: audio.packets, lost: video.lost, location, deleted };
});
