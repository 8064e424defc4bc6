// A WHEP player on libdatachannel, the WebRTC stack that OBS publishes with. Counts complete pictures, does not decode.
//
//     node libdatachannel_player.mjs WHEP_URL H264|VP8 PICTURES SECONDS [CONNECTIONS]
//
// With CONNECTIONS it plays that many sessions, a few at a time, and reports on all of them.

import { exchange, FrameCounter, load, main, remove, until, version } from "./common.mjs";

const library = load("node-datachannel");
const AT_ONCE = 4;

async function play(endpoint, codec, pictures, seconds) {
  const connection = new library.PeerConnection("player", { iceServers: [] });
  const video = new library.Video("video", "RecvOnly");
  if (codec === "H264") video.addH264Codec(96);
  else video.addVP8Codec(96);
  const audio = new library.Audio("audio", "RecvOnly");
  audio.addOpusCodec(111);

  const counters = [new FrameCounter(), new FrameCounter()];
  const tracks = [video, audio].map((media, index) => {
    const track = connection.addTrack(media);
    track.setMediaHandler(new library.RtcpReceivingSession());
    track.onMessage((packet) => counters[index].addRaw(packet));
    return track;
  });
  const states = [];
  connection.onStateChange((state) => states.push(state));
  const gathered = new Promise((resolve) =>
    connection.onGatheringStateChange((state) => state === "complete" && resolve()),
  );
  connection.setLocalDescription("offer");
  await gathered;

  const { answer, location } = await exchange(endpoint, connection.localDescription().sdp);
  let failure = null;
  try {
    connection.setRemoteDescription(answer, "answer");
    const enough = () => counters[0].frames >= pictures && counters[1].packets >= pictures;
    await until(enough, seconds, () => `${pictures} pictures: ${JSON.stringify(counters)}, ${states}`);
  } catch (error) {
    failure = `${error.message}; states: ${states}`;
  }
  const deleted = await remove(location);
  tracks.forEach((track) => track.close()); // naming them here also keeps them alive: a collected track falls silent
  connection.close();
  return { video: counters[0].frames, audio: counters[1].packets, lost: counters[0].lost, states, location, deleted, failure };
}

async function playMany(endpoint, codec, pictures, seconds, connections) {
  const sessions = [];
  while (sessions.length < connections) {
    const batch = Array.from({ length: Math.min(AT_ONCE, connections - sessions.length) });
    sessions.push(...(await Promise.all(batch.map(() => play(endpoint, codec, pictures, seconds)))));
  }
  return { sessions };
}

await main(async (endpoint, codec, pictures, seconds, connections) => {
  const name = `libdatachannel ${library.getLibraryVersion()} (node-datachannel ${version("node-datachannel")})`;
  const wanted = [endpoint, codec, Number(pictures), Number(seconds)];
  const report = connections ? await playMany(...wanted, Number(connections)) : await play(...wanted);
  if (report.failure) throw new Error(report.failure);
  return { client: name, ...report };
});
