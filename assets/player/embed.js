// The player inside another page or an app: what happens goes out as messages, and a few commands come in.
//
//   out  { type: "whep-avatar", event: "state", stream: "demo", state: "speaking" }
//   in   { type: "whep-avatar", command: "unmute" }
//
// To the page around an <iframe> by postMessage; in a WebView to whichever bridge its app has put there. Events hold
// nothing secret, so that any page may embed the player; commands are taken from the page around it alone, or, where
// there is none, from the app's own script. The original server's player knew three messages, which work, too.

const TYPE = "whep-avatar";
const STATS_MIN_MS = 500;

/** Sends to everybody who is around: the page of the frame, iOS, React Native, Android. */
function sendOut(message) {
  const text = JSON.stringify(message);
  if (parent !== window) parent.postMessage(message, "*");
  window.webkit?.messageHandlers?.whepAvatar?.postMessage(message);
  window.ReactNativeWebView?.postMessage(text);
  window.WhepAvatarHost?.postMessage(text);
}

/** Whether a message comes from the page around us; without one, from this window, or from nobody, as apps inject it. */
function isFromHost({ source }) {
  return parent !== window ? source === parent : source === null || source === window;
}

/** What React Native hands in is text. */
function parse(data) {
  if (typeof data !== "string") return data;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

export class Host {
  #stream;
  #commands;
  #readStats;
  #timer = null;

  /** `commands` are play, stop, and sound(on); `readStats` returns the latest numbers of the connection. */
  constructor(stream, commands, readStats) {
    this.#stream = stream;
    this.#commands = commands;
    this.#readStats = readStats;
    addEventListener("message", (event) => isFromHost(event) && this.#obey(parse(event.data)));
  }

  /** Tells that something happened. */
  tell(event, data = {}) {
    sendOut({ type: TYPE, event, stream: this.#stream, ...data });
  }

  #obey(message) {
    const { play, stop, sound } = this.#commands;
    switch (message?.type === TYPE ? message.command : message?.type) {
      case "play":
        return play();
      case "stop":
        return stop();
      case "mute":
        return sound(false);
      case "unmute":
        return sound(true);
      case "stats":
        return this.#report(message.every_ms);
      case "webrtc-start":
        play();
        return sound(!message.muted);
      case "webrtc-audio":
        return sound(!message.muted);
    }
  }

  /** Sends numbers every so often; 0 or nothing ends that. */
  #report(everyMs) {
    clearInterval(this.#timer);
    if (!(everyMs > 0)) return;
    this.#timer = setInterval(() => this.#tellStats(), Math.max(STATS_MIN_MS, everyMs));
  }

  #tellStats() {
    const stats = this.#readStats();
    this.tell("stats", { stats });
    const { fps, audioBufferMs, videoBufferMs, framesDropped } = stats;
    sendOut({
      type: "webrtc-client-stats",
      sessionId: this.#stream,
      stats: {
        videoFps: fps ?? null,
        audioJitterBufferMs: audioBufferMs ?? null,
        videoJitterBufferMs: videoBufferMs ?? null,
        avJitterBufferDeltaMs: audioBufferMs == null || videoBufferMs == null ? null : audioBufferMs - videoBufferMs,
        droppedFrames: framesDropped ?? null,
      },
    });
  }
}
