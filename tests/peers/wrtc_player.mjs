// A WHEP player on @roamhq/wrtc: libwebrtc in Node, without a browser and without H.264. Decodes picture and sound.
//
//     node wrtc_player.mjs WHEP_URL VP8 PICTURES SECONDS

import { exchange, load, main, remove, until, version } from "./common.mjs";

const { RTCPeerConnection, nonstandard } = load("@roamhq/wrtc");

await main(async (endpoint, _codec, pictures, seconds) => {
  const connection = new RTCPeerConnection({ iceServers: [] });
  const decoded = { video: 0, audio: 0, sizes: [] };
  const sinks = [];
  connection.ontrack = ({ track }) => {
    if (track.kind === "video") {
      const sink = new nonstandard.RTCVideoSink(track);
      sink.onframe = ({ frame }) => {
        decoded.video += 1;
        decoded.sizes = [frame.width, frame.height];
      };
      sinks.push(sink);
    } else {
      const sink = new nonstandard.RTCAudioSink(track);
      sink.ondata = () => (decoded.audio += 1); // 10 ms each
      sinks.push(sink);
    }
  };
  connection.addTransceiver("audio", { direction: "recvonly" });
  connection.addTransceiver("video", { direction: "recvonly" });
  await connection.setLocalDescription(await connection.createOffer());
  const gathered = new Promise((resolve) => {
    const check = () => connection.iceGatheringState === "complete" && resolve();
    connection.onicegatheringstatechange = check;
    check();
  });
  await gathered;

  const { answer, location } = await exchange(endpoint, connection.localDescription.sdp);
  await connection.setRemoteDescription({ type: "answer", sdp: answer });
  const enough = () => decoded.video >= pictures && decoded.audio >= pictures;
  await until(enough, Number(seconds), () => `${pictures} pictures: ${JSON.stringify(decoded)}, ${connection.connectionState}`);
  sinks.forEach((sink) => sink.stop());
  const deleted = await remove(location);
  connection.close();
  return { client: `@roamhq/wrtc ${version("@roamhq/wrtc")}`, ...decoded, location, deleted };
});
