// Third-party WHEP and WHIP libraries in a page, behind two functions that a test calls. esbuild bundles this file with
// them for tests/clients/browser_peer.py; peers.html shows it.

import { WebRTCPlayer } from "@eyevinn/webrtc-player";
import { WHIPClient as EyevinnWhip } from "@eyevinn/whip-web-client";
import { WHEPClient } from "whip-whep/whep.js";
import { WHIPClient } from "whip-whep/whip.js";

/* global VERSIONS */ // set by esbuild, from package.json

const requests = [];
const nativeFetch = window.fetch;
window.fetch = async (target, options = {}) => {
  const response = await nativeFetch.call(window, target, options);
  const method = options.method || "GET";
  const location = response.headers.get("Location");
  requests.push({ method, status: response.status, location: location && new URL(location, response.url).href });
  return response;
};

const video = () => document.querySelector("video");

function caption(name) {
  document.querySelector("h1").textContent = name;
  document.querySelector("p").textContent = VERSIONS[name];
}

const players = {
  "whip-whep": async (endpoint) => {
    caption("whip-whep");
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    connection.addTransceiver("audio", { direction: "recvonly" });
    connection.addTransceiver("video", { direction: "recvonly" });
    video().srcObject = new MediaStream(connection.getReceivers().map((receiver) => receiver.track));
    const client = new WHEPClient();
    await client.view(connection, endpoint);
    return () => client.stop();
  },
  "@eyevinn/webrtc-player": async (endpoint) => {
    caption("@eyevinn/webrtc-player");
    const player = new WebRTCPlayer({ video: video(), type: "whep", iceServers: [] });
    await player.load(new URL(endpoint));
    return () => player.destroy();
  },
};

const publishers = {
  "whip-whep": async (endpoint, media) => {
    caption("whip-whep");
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    for (const track of media.getTracks()) connection.addTransceiver(track, { direction: "sendonly", streams: [media] });
    const client = new WHIPClient();
    await client.publish(connection, endpoint);
    return () => client.stop();
  },
  "@eyevinn/whip-web-client": async (endpoint, media) => {
    caption("@eyevinn/whip-web-client");
    const client = new EyevinnWhip({ endpoint, opts: { iceServers: [] } });
    await client.setIceServersFromEndpoint(); // it learns from this whether the server takes trickle
    await client.ingest(media);
    return () => client.destroy();
  },
};

/** A picture that changes, and the sound of a file, which starts when it is told to. */
async function source(file) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
  const draw = canvas.getContext("2d");
  setInterval(() => {
    draw.fillStyle = `hsl(${(performance.now() / 20) % 360} 60% 50%)`;
    draw.fillRect(0, 0, canvas.width, canvas.height);
  }, 100);
  const speech = new Audio(file); // not an AudioContext: Firefox starts none on a machine without a sound card
  await new Promise((resolve, reject) => {
    speech.oncanplaythrough = resolve;
    speech.onerror = () => reject(new Error(speech.error.message));
  });
  const media = speech.captureStream ? speech.captureStream() : speech.mozCaptureStream();
  media.addTrack(canvas.captureStream(10).getVideoTracks()[0]);
  const ended = new Promise((resolve) => (speech.onended = resolve));
  return { media, speak: () => speech.play().then(() => ended) };
}

let stop = null;

window.peers = {
  requests,

  /** Play with a library; what it shows is in the page's one video. */
  async play(library, endpoint) {
    stop = await players[library](endpoint);
    await video().play();
  },

  /** Publish a file's sound once with a library. Returns when it is connected; `spoken` holds the promise of the end. */
  async publish(library, endpoint, file) {
    const { media, speak } = await source(file);
    video().srcObject = media;
    stop = await publishers[library](endpoint, media);
    const connection = window.__probe.connections.at(-1);
    await new Promise((resolve, reject) => {
      const check = () => {
        if (connection.connectionState === "connected") resolve();
        if (connection.connectionState === "failed") reject(new Error("not connected"));
      };
      connection.addEventListener("connectionstatechange", check);
      check();
    });
    window.peers.spoken = speak();
  },

  /** Have the library end its session, as far as it does so. */
  async leave() {
    await stop();
  },
};
