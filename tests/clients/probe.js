// Runs in a page before its own scripts: notes what the page does with WebRTC and what its video element shows.
(() => {
  const probe = { connections: [], calls: {}, requests: [], frames: [], polls: [], errors: [] };
  window.__probe = probe;

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      probe.connections.push(this);
    }
  };
  for (const name of ["createOffer", "setLocalDescription", "setRemoteDescription", "addTrack", "restartIce", "close"]) {
    const inner = Native.prototype[name];
    Native.prototype[name] = function (...args) {
      probe.calls[name] = (probe.calls[name] || 0) + 1;
      return inner.apply(this, args);
    };
  }
  const fetchInner = window.fetch;
  window.fetch = (target, options = {}) => {
    probe.requests.push(`${options.method || "GET"} ${new URL(target.url || target, location.href).pathname}`);
    return fetchInner.call(window, target, options);
  };
  window.addEventListener("error", (event) => probe.errors.push(event.message));
  window.addEventListener("unhandledrejection", (event) => probe.errors.push(String(event.reason)));

  const newestRtpTime = (receiver) => {
    const [source] = receiver.getSynchronizationSources ? receiver.getSynchronizationSources() : [];
    return source ? source.rtpTimestamp : null;
  };

  // One reading of everything a test asks about: counters of both tracks, with the RTP time each has come to.
  probe.read = async () => {
    const connection = probe.connections.at(-1);
    const report = { state: connection.connectionState };
    for (const receiver of connection.getReceivers()) {
      const kind = receiver.track.kind;
      const stats = await receiver.getStats();
      for (const entry of stats.values()) {
        if (entry.type !== "inbound-rtp") continue;
        const codec = stats.get(entry.codecId);
        report[kind] = { ...entry, mimeType: codec ? codec.mimeType : null, rtpTime: newestRtpTime(receiver) };
      }
    }
    return report;
  };

  // From now on: every picture shown, and a reading each quarter second.
  probe.record = () => {
    const video = [...document.querySelectorAll("video")].find((element) => element.srcObject);
    const onFrame = (now, picture) => {
      probe.frames.push({ rtpTime: picture.rtpTimestamp, shownMs: picture.expectedDisplayTime, count: picture.presentedFrames });
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    const poll = async () => {
      probe.polls.push(await probe.read());
      setTimeout(poll, 250);
    };
    return poll();
  };
})();
