// One WHEP session: one peer connection from offer to DELETE. It never tries again; whep.js does.

import { fragment, iceServers } from "./sdp.js";
import { retryAfterMs } from "./retry.js";

const POST_TIMEOUT_MS = 8_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** How long candidates are collected for the one PATCH; host and server-reflexive ones are there long before. */
const TRICKLE_MS = 500;
/** How long full gathering may last where the server takes no PATCH. */
const GATHER_MS = 2_000;
/** "disconnected" often heals by itself when a phone changes networks. */
const DISCONNECTED_MS = 4_000;
/** The server's sound never stops, so this long without a byte is a dead connection, whatever ICE believes. */
const STALL_MS = 3_000;
const WATCH_MS = 1_000;
/**
 * Both tracks are asked to wait this long. Left alone, sound waits 30 to 50 ms longer than the picture from the start, and
 * browsers close that gap by some 7 ms a second. With one target the lips are right at once (Chromium 156: 34 ms -> 10 ms).
 */
const PLAYOUT_TARGET_MS = 80;

/** Why a session could not be had, or ended. `status` is HTTP's where there was an answer. */
export class SessionError extends Error {
  constructor(message, { status, retryAfterMs: wait } = {}) {
    super(message);
    this.name = "SessionError";
    this.status = status;
    this.retryAfterMs = wait ?? null;
  }
}

export class WhepSession {
  #resource = null;
  #etag = null;
  #candidates = [];
  #aborted = new AbortController();
  #end = deferred();
  #timers = new Set();

  /** `trickle` false gathers everything before the POST. The media stream is there at once: its tracks are still silent. */
  constructor(endpoint, { iceServers: servers = [], trickle = true, fetch: get = (...args) => fetch(...args) } = {}) {
    this.endpoint = endpoint;
    this.trickle = trickle;
    this.fetch = get;
    this.iceServers = servers;
    this.pc = new RTCPeerConnection({ iceServers: servers, bundlePolicy: "max-bundle" });
    const receivers = ["audio", "video"].map((kind) => this.pc.addTransceiver(kind, { direction: "recvonly" }).receiver);
    for (const receiver of receivers) receiver.jitterBufferTarget = PLAYOUT_TARGET_MS;
    this.stream = new MediaStream(receivers.map(({ track }) => track));
    this.pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.#candidates.push(candidate.candidate);
    this.pc.onconnectionstatechange = () => this.#stateChanged();
  }

  /** Settles with the reason when a connected session is over. */
  get ended() {
    return this.#end.promise;
  }

  /** Offer, answer, candidates; resolves when the connection is up. Errors: SessionError. */
  async open() {
    try {
      const offer = await this.#makeOffer();
      const answer = await this.#post(offer);
      if (this.trickle) await this.pc.setLocalDescription({ type: "offer", sdp: offer });
      await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
      if (this.trickle) this.#sendCandidates(offer);
      await this.#connected();
      this.#watch();
    } catch (error) {
      this.close();
      throw error instanceof SessionError ? error : new SessionError(error.message ?? String(error));
    }
  }

  /** Ends the session here and at the server. `keepalive` lets the DELETE outlive the page. */
  close() {
    this.#aborted.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.pc.onconnectionstatechange = null;
    this.pc.close();
    this.#end.resolve("closed");
    if (this.#resource === null) return;
    this.fetch(this.#resource, { method: "DELETE", keepalive: true }).catch(() => {});
    this.#resource = null;
  }

  async #makeOffer() {
    const offer = await this.pc.createOffer();
    // While trickling the description is set only after the answer came: the ICE servers that the answer's Link headers
    // name can still be used then, and the POST leaves as early as it can.
    if (this.trickle) return offer.sdp;
    await this.pc.setLocalDescription(offer);
    await this.#gathered(GATHER_MS);
    return this.pc.localDescription.sdp;
  }

  async #post(offer) {
    let response;
    try {
      response = await this.fetch(this.endpoint, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Accept: "application/sdp" },
        body: offer,
        signal: this.#within(POST_TIMEOUT_MS),
      });
    } catch (error) {
      if (this.#aborted.signal.aborted) throw new SessionError("closed");
      const late = error.name === "TimeoutError";
      throw new SessionError(late ? "The server does not answer." : "The server cannot be reached.");
    }
    if (response.status !== 201) throw await refusal(response);
    const location = response.headers.get("Location");
    if (location === null) throw new SessionError("The server named no session.", { status: 422 });
    this.#resource = new URL(location, response.url || this.endpoint).href;
    if (this.#aborted.signal.aborted) {
      this.close();
      throw new SessionError("closed");
    }
    this.#etag = response.headers.get("ETag");
    this.#learnServers(response.headers.get("Link"));
    return response.text();
  }

  #learnServers(link) {
    const learned = iceServers(link);
    if (learned.length === 0) return;
    this.iceServers = learned;
    if (this.trickle) this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: learned });
  }

  /** One PATCH with all that was found. A server that refuses it may still connect: it sees our checks arrive. */
  async #sendCandidates(offer) {
    await this.#gathered(TRICKLE_MS);
    if (this.#resource === null || this.#candidates.length === 0) return;
    const complete = this.pc.iceGatheringState === "complete";
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag" };
    if (this.#etag !== null) headers["If-Match"] = this.#etag;
    const body = fragment(offer, this.#candidates, complete);
    try {
      const signal = this.#within(POST_TIMEOUT_MS);
      const response = await this.fetch(this.#resource, { method: "PATCH", headers, body, signal });
      if ([405, 415, 422, 501].includes(response.status)) this.trickle = false;
    } catch {
      // Lost on the way or closed meanwhile: the connection's own time-out decides.
    }
  }

  #connected() {
    if (this.pc.connectionState === "connected") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const noWay = new SessionError("No way was found for picture and sound.");
      const late = this.#after(CONNECT_TIMEOUT_MS, () => reject(noWay));
      this.pc.addEventListener("connectionstatechange", () => {
        if (this.pc.connectionState === "connected") resolve();
        else if (this.pc.connectionState === "failed") reject(new SessionError("The connection failed."));
        else return;
        clearTimeout(late);
      });
      this.#aborted.signal.addEventListener("abort", () => reject(new SessionError("closed")));
    });
  }

  #stateChanged() {
    const state = this.pc.connectionState;
    if (state === "failed" || state === "closed") this.#end.resolve(state);
    else if (state === "disconnected") {
      this.#after(DISCONNECTED_MS, () => this.pc.connectionState === "disconnected" && this.#end.resolve("disconnected"));
    }
  }

  #watch() {
    let bytes = -1;
    let grewAt = performance.now();
    const look = async () => {
      const now = await receivedBytes(this.pc);
      if (now > bytes) [bytes, grewAt] = [now, performance.now()];
      if (performance.now() - grewAt > STALL_MS) this.#end.resolve("nothing arrives");
      else if (!this.#aborted.signal.aborted) this.#after(WATCH_MS, look);
    };
    look();
  }

  #gathered(limitMs) {
    if (this.pc.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((resolve) => {
      this.#after(limitMs, resolve);
      this.pc.addEventListener("icegatheringstatechange", () => this.pc.iceGatheringState === "complete" && resolve());
    });
  }

  #within(ms) {
    const limit = new AbortController();
    this.#after(ms, () => limit.abort(new DOMException("too late", "TimeoutError")));
    this.#aborted.signal.addEventListener("abort", () => limit.abort());
    return limit.signal;
  }

  #after(ms, run) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const message = problem.detail ?? problem.title ?? `The server answered ${response.status}.`;
  return new SessionError(message, {
    status: response.status,
    retryAfterMs: retryAfterMs(response.headers.get("Retry-After")),
  });
}

async function receivedBytes(pc) {
  let sum = 0;
  for (const report of (await pc.getStats()).values()) {
    if (report.type === "inbound-rtp") sum += report.bytesReceived;
  }
  return sum;
}

function deferred() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}
