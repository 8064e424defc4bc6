// One session, WHEP's or WHIP's: one peer connection from offer to DELETE. It mends its connection by restarting ICE, but
// never posts a second offer; keeper.js does. What flows, and which way, is the business of the `media` it is given:
//
//   prepare(pc)      adds what is to be received or sent
//   adopt(pc)        the same for a connection whose offer came from the server; only where `counters` is true
//   progress(stats)  a number that grows while all is well, or null where that cannot be told
//   stallMs          after how long without progress the connection is dead, whatever ICE believes; or null

import { Candidates } from "./candidates.js";
import { restartedAnswer, withMuxOnly } from "./sdp.js";
import { Waits } from "./waits.js";
import { SessionError, Wire } from "./wire.js";

const POST_TIMEOUT_MS = 8_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** How long candidates are collected for one PATCH; host and server-reflexive ones are there long before. */
const TRICKLE_MS = 500;
/** How long full gathering may last where the server takes no PATCH. */
const GATHER_MS = 2_000;
/** A restart has to bring media back within this, or a new session is the quicker way. */
const RESTART_MS = 3_000;
/** Candidates for the restart itself; later ones follow by themselves. */
const RESTART_GATHER_MS = 200;
/** After a restart that was refused while media may still come the old way: how long it has to show that it does. */
const OLD_WAY_MS = 1_000;
/** A restart of a connection that still works is nobody's business, unless it takes longer than this. */
const QUIET_MS = 600;
const WATCH_MS = 500;
const CLOSE_MS = 1_000;
/** Refusals of a PATCH that speak of this moment only. All others of 4xx mean that the server does not do it. */
const PASSING = [404, 408, 409, 410, 412, 428, 429];

/** Events: `mending` while the way is sought anew, `mended` when media flows again. */
export class Session extends EventTarget {
  #candidates;
  #answer = null;
  #live = false;
  #restarts = 0;
  #mending = false;
  #told = false;
  #restarting = true;
  #listening = null;
  #closing = null;
  #end = deferred();
  #waits = new Waits();

  /** `trickle` false gathers everything before the POST. */
  constructor(endpoint, media, { iceServers = [], trickle = true, token = null, fetch: get } = {}) {
    super();
    this.media = media;
    this.trickle = trickle;
    this.iceServers = iceServers;
    this.wire = new Wire(endpoint, { token, fetch: get });
    this.#connect();
    media.prepare(this.pc);
  }

  /** Settles with the SessionError that says why a connected session is over. */
  get ended() {
    return this.#end.promise;
  }

  /** The answer as the server wrote it: browsers forget lines that they do not know. Empty where there is none. */
  get answer() {
    return this.#answer ?? "";
  }

  /** Offer, answer, candidates; resolves when the connection is up. Errors: SessionError. */
  async open() {
    try {
      const offer = await this.#makeOffer();
      const reply = await this.wire.offer(withMuxOnly(offer), {
        counters: this.media.counters,
        signal: this.#waits.within(POST_TIMEOUT_MS),
      });
      if (this.#waits.over) throw await this.#tooLate();
      this.#learnServers(reply.iceServers);
      if (reply.counter) await this.#answerOffer(reply.sdp);
      else await this.#acceptAnswer(offer, reply.sdp);
      await this.#connected();
      this.#live = true;
      // A server that ends the session says so by DTLS, at once; ICE notices only after seconds.
      this.#transport()?.addEventListener("statechange", () => this.#stateChanged());
      this.#watch();
      if (reply.eventsUrl !== null) this.#listen(reply.eventsUrl);
    } catch (error) {
      this.close();
      throw error instanceof SessionError ? error : new SessionError(error.message ?? String(error));
    }
  }

  /** Ends the session here and at the server; resolves when the server knows, or after a moment. */
  close() {
    return (this.#closing ??= this.#leave());
  }

  async #leave() {
    this.#live = false;
    this.#waits.end();
    this.#listening?.close();
    this.#end.resolve(new SessionError("closed"));
    this.pc.onconnectionstatechange = null;
    // HTTP says it before DTLS does: else the server would see a loss, and then a DELETE of what is no more.
    await Promise.race([this.wire.end(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
    this.#drop();
  }

  /**
   * Seeks a new way for media without a new session, by an ICE restart (RFC 9725 section 4.3.3). Called when the network
   * changed, and by itself when nothing arrives any more. The session ends where there is no new way within RESTART_MS.
   */
  async mend(reason) {
    if (!this.#live) return;
    if (!this.#restarting) {
      if (reason.lost) this.#end.resolve(new SessionError(reason.words));
      return;
    }
    const run = ++this.#restarts; // only the reply to the last restart counts
    const until = performance.now() + RESTART_MS;
    this.#turn(true, reason.lost ? 0 : QUIET_MS);
    const since = await this.#progress();
    try {
      await this.#restart(run, this.#waits.within(RESTART_MS));
      await this.#flowing(run, since, until);
      if (run === this.#restarts) this.#turn(false);
    } catch (error) {
      if (run === this.#restarts && this.#live) await this.#fallBack(run, error, reason, since);
    }
  }

  async #restart(run, signal) {
    const offer = await this.pc.createOffer({ iceRestart: true });
    this.#candidates.renew();
    await this.pc.setLocalDescription(offer);
    await this.#candidates.gathered(RESTART_GATHER_MS);
    const batch = this.#candidates.take(offer.sdp);
    const reply = await this.wire.restart(batch.fragment, { signal });
    if (run !== this.#restarts || this.#waits.over) return;
    const answer = restartedAnswer(this.#answer, reply.fragment);
    if (answer === null) throw new SessionError("The server does not restart.", { status: 422 });
    this.wire.etag = reply.etag ?? this.wire.etag;
    await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
    this.#answer = answer;
    if (!batch.complete) this.#sendCandidates(offer.sdp, run);
  }

  /** The restart failed. The old way may still be open: then nothing is lost but the better one. */
  async #fallBack(run, { status }, reason, since) {
    if (isRefusal(status)) this.#restarting = false;
    const lost = reason.lost || status === 404 || status === 410;
    const until = performance.now() + (lost ? 0 : OLD_WAY_MS);
    const flows = await this.#flowing(run, since, until).then(() => true, () => false);
    if (run !== this.#restarts || !this.#live) return;
    if (!flows || this.pc.signalingState !== "have-local-offer") {
      this.#end.resolve(new SessionError(reason.words));
      return;
    }
    await this.pc.setLocalDescription({ type: "rollback" });
    this.#turn(false);
  }

  async #makeOffer() {
    const offer = await this.pc.createOffer();
    // While trickling the description is set only after the answer came: the ICE servers that the answer's Link headers
    // name can still be used then, and the POST leaves as early as it can.
    if (this.trickle) return offer.sdp;
    await this.pc.setLocalDescription(offer);
    await this.#candidates.gathered(GATHER_MS);
    return this.pc.localDescription.sdp;
  }

  async #acceptAnswer(offer, answer) {
    if (this.trickle) await this.pc.setLocalDescription({ type: "offer", sdp: offer });
    await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
    this.#answer = answer;
    if (this.trickle) this.#sendCandidates(offer, this.#restarts);
  }

  /** The server made an offer of its own (WHEP section 4.3.2): a connection anew, in which we answer. */
  async #answerOffer(offer) {
    this.#drop();
    this.#connect();
    this.#restarting = false; // there is no answer of the server's to restart from
    this.media.adopt(this.pc);
    await this.pc.setRemoteDescription({ type: "offer", sdp: offer });
    await this.pc.setLocalDescription(await this.pc.createAnswer());
    await this.#candidates.gathered(GATHER_MS);
    await this.wire.answer(this.pc.localDescription.sdp, { signal: this.#waits.within(POST_TIMEOUT_MS) });
  }

  #learnServers(learned) {
    if (learned.length === 0) return;
    this.iceServers = learned;
    if (this.trickle) this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: learned });
  }

  /** One PATCH with all that was found, and one more for each lot that is found later. */
  async #sendCandidates(offer, run) {
    for (let complete = false; !complete; ) {
      await this.#candidates.gathered(TRICKLE_MS);
      if (run !== this.#restarts || !this.wire.open) return;
      const batch = this.#candidates.take(offer);
      complete = batch.complete;
      if (batch.count === 0) continue;
      try {
        await this.wire.trickle(batch.fragment, { signal: this.#waits.within(POST_TIMEOUT_MS) });
      } catch ({ status }) {
        // It may still connect: the server sees our checks arrive. The connection's own time-out decides.
        if (isRefusal(status)) this.trickle = false;
        if ([405, 501].includes(status)) this.#restarting = false;
        return;
      }
    }
  }

  /** Listens for the server's wish that we go on elsewhere (WHEP's server-sent events extension). */
  async #listen(url) {
    try {
      const address = await this.wire.subscribe(url, ["reconnect"], { signal: this.#waits.within(POST_TIMEOUT_MS) });
      if (this.#waits.over) return;
      this.#listening = new EventSource(address);
      this.#listening.addEventListener("reconnect", ({ data }) => {
        this.#end.resolve(new SessionError("The server asked to connect anew.", { moved: { url: parsed(data).url } }));
      });
    } catch {
      // No extension is ever required.
    }
  }

  #connect() {
    this.pc = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: "max-bundle" });
    this.#candidates = new Candidates(this.pc, this.#waits);
    this.pc.onconnectionstatechange = () => this.#stateChanged();
  }

  #drop() {
    this.pc.onconnectionstatechange = null;
    this.pc.onicecandidate = null;
    this.pc.close();
  }

  #connected() {
    if (this.#connectedNow()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const noWay = new SessionError("No way was found for picture and sound.");
      const late = this.#waits.after(CONNECT_TIMEOUT_MS, () => reject(noWay));
      this.pc.addEventListener("connectionstatechange", () => {
        if (this.#connectedNow()) resolve();
        else if (this.pc.connectionState === "failed") reject(new SessionError("The connection failed."));
        else return;
        clearTimeout(late);
      });
      this.#waits.onEnd(() => reject(new SessionError("closed")));
    });
  }

  #stateChanged() {
    const state = this.pc.connectionState;
    if (!this.#live) return;
    const security = this.#transport()?.state;
    if (security === "closed" || security === "failed") this.#end.resolve(new SessionError("The server ended it."));
    else if (this.#mending) return;
    else if (state === "failed" || state === "disconnected") this.mend({ words: state, lost: true });
  }

  async #watch() {
    const { stallMs } = this.media;
    let [best, grewAt] = [-1, performance.now()];
    while (stallMs !== null && this.#live) {
      const now = (await this.#progress()) ?? 0;
      if (now > best || this.#mending) [best, grewAt] = [now, performance.now()];
      if (performance.now() - grewAt > stallMs) this.mend({ words: "nothing arrives", lost: true });
      await this.#waits.pause(WATCH_MS);
    }
  }

  /** Resolves when media moved on since. Errors: SessionError where it does not in time. */
  async #flowing(run, since, until) {
    while (run === this.#restarts && this.#live) {
      const now = await this.#progress();
      if (this.#connectedNow() && (now === null || now > (since ?? -1))) return;
      if (performance.now() > until) throw new SessionError("No new way was found.");
      await this.#waits.pause(50);
    }
  }

  async #progress() {
    return this.media.progress([...(await this.pc.getStats()).values()]);
  }

  #connectedNow() {
    return this.pc.connectionState === "connected";
  }

  #transport() {
    const ends = [...this.pc.getReceivers(), ...this.pc.getSenders()];
    return ends.map(({ transport }) => transport).find((transport) => transport != null);
  }

  #turn(mending, quietMs = 0) {
    this.#mending = mending;
    if (!mending) this.#tell("mended");
    else if (quietMs === 0) this.#tell("mending");
    else this.#waits.after(quietMs, () => this.#mending && this.#tell("mending"));
  }

  #tell(type) {
    const told = type === "mending";
    if (told === this.#told) return;
    this.#told = told;
    this.dispatchEvent(new Event(type));
  }

  /** It was closed while the offer was on its way: what came of that is ended, too. */
  async #tooLate() {
    await this.wire.end();
    return new SessionError("closed");
  }

}

/** Whether a server that answers a PATCH so will always do so. */
function isRefusal(status) {
  return status !== undefined && !PASSING.includes(status) && (status < 500 || status === 501);
}

function parsed(json) {
  try {
    return JSON.parse(json) ?? {};
  } catch {
    return {};
  }
}

function deferred() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}
