// The HTTP of one session, WHIP's or WHEP's: which requests are made, with which headers, and what the replies mean.
// A token goes with every request, and no Authorization without one (RFC 9725 section 4.7.1). It is never logged.

import { eventsUrl, iceServers } from "./links.js";
import { retryAfterMs } from "./retry.js";

const SDP = "application/sdp";
const FRAGMENT = "application/trickle-ice-sdpfrag";

/** Why a session could not be had, or ended. `status` is HTTP's where there was an answer. */
export class SessionError extends Error {
  constructor(message, { status, retryAfterMs: wait, moved } = {}) {
    super(message);
    this.name = "SessionError";
    this.status = status;
    this.retryAfterMs = wait ?? null;
    /** Where the server wants us to go on, at once: `{url}`; an undefined url means the address that we had. */
    this.moved = moved ?? null;
  }
}

/** An address that needs a token and cannot have a header: an EventSource's. */
export function withToken(address, token) {
  if (!token) return address;
  const url = new URL(address, location.href);
  url.searchParams.set("token", token);
  return url.href;
}

/** Whether an answer means that a token is lacking: none was sent, or one that is wrong or does not allow this. */
export function lacksToken(status) {
  return status === 401 || status === 403;
}

/** `Authorization` where there is a token. */
export function credentials(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export class Wire {
  #session = null;
  #base;
  /** The entity tag of the session's ICE; a restart brings a new one. */
  etag = null;

  constructor(endpoint, { token = null, fetch: get = (...args) => fetch(...args) } = {}) {
    this.endpoint = endpoint;
    this.token = token;
    this.fetch = get;
    this.#base = endpoint;
  }

  get open() {
    return this.#session !== null;
  }

  /**
   * Posts an offer: {sdp, counter, iceServers, eventsUrl}. `counter` is true where the server refused ours and made an
   * offer of its own (WHEP, 406 with SDP); only players take those. Errors: SessionError.
   */
  async offer(sdp, { counters, signal }) {
    const headers = { "Content-Type": SDP, Accept: SDP };
    const response = await this.#send(this.endpoint, { method: "POST", headers, body: sdp, signal });
    const counter = counters && response.status === 406 && mediaType(response) === SDP;
    if (!response.ok && !counter) throw await refusal(response);
    this.#base = response.url || this.endpoint; // after redirects: what it names is relative to who answered
    const location = response.headers.get("Location");
    if (location === null) throw new SessionError("The server named no session.", { status: 422 });
    this.#session = this.#resolve(location);
    this.etag = response.headers.get("ETag");
    const link = response.headers.get("Link");
    return { sdp: await response.text(), counter, iceServers: iceServers(link), eventsUrl: eventsUrl(link, "reconnect") };
  }

  /** The answer to a counter-offer. Errors: SessionError. */
  async answer(sdp, { signal }) {
    await this.#patch(SDP, {}, sdp, signal);
  }

  /** More candidates of ours. Errors: SessionError. */
  async trickle(fragment, { signal }) {
    await this.#patch(FRAGMENT, this.etag === null ? {} : { "If-Match": this.etag }, fragment, signal);
  }

  /** Asks for an ICE restart: {fragment, etag} of the server's new side; `etag` is to be kept by who uses the reply. */
  async restart(fragment, { signal }) {
    const response = await this.#patch(FRAGMENT, { "If-Match": "*" }, fragment, signal);
    if (response.status !== 200) throw new SessionError("The server does not restart.", { status: 422 });
    return { fragment: await response.text(), etag: response.headers.get("ETag") };
  }

  /** Asks for events of the named types; resolves to the address of their stream. Errors: SessionError. */
  async subscribe(url, types, { signal }) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify(types);
    const response = await this.#send(this.#resolve(url), { method: "POST", headers, body, signal });
    const location = response.headers.get("Location");
    if (!response.ok || location === null) throw await refusal(response);
    return withToken(new URL(location, response.url || this.#base).href, this.token);
  }

  /** Ends the session at the server; the request outlives the page. Resolves when it was answered or lost. */
  async end() {
    if (this.#session === null) return;
    const session = this.#session;
    this.#session = null;
    await this.#send(session, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  async #patch(type, headers, body, signal) {
    if (this.#session === null) throw new SessionError("closed");
    const response = await this.#send(this.#session, {
      method: "PATCH",
      headers: { "Content-Type": type, ...headers },
      body,
      signal,
    });
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async #send(url, { headers = {}, ...request }) {
    try {
      return await this.fetch(url, { ...request, headers: { ...headers, ...credentials(this.token) } });
    } catch (error) {
      if (error.name === "AbortError") throw new SessionError("closed");
      const late = error.name === "TimeoutError";
      throw new SessionError(late ? "The server does not answer." : "The server cannot be reached.");
    }
  }

  #resolve(address) {
    return new URL(address, this.#base).href;
  }
}

function mediaType(response) {
  return (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const message = problem.detail ?? problem.title ?? `The server answered ${response.status}.`;
  return new SessionError(message, {
    status: response.status,
    retryAfterMs: retryAfterMs(response.headers.get("Retry-After")),
  });
}
