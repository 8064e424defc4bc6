// One chunk by HTTP, asked for again a bounded number of times.

import { backoffMs } from "../exchange/retry.js";
import { credentials } from "../exchange/wire.js";

const TRIES = 4;
/** For all of one file. Two seconds of picture that take longer cannot be played as they come anyway. */
const LONGEST_MS = 20_000;

/** A chunk that could not be had. `status` is HTTP's where there was an answer. */
export class DownloadFailed extends Error {
  constructor(status) {
    super(status === undefined ? "no answer" : `status ${status}`);
    this.name = "DownloadFailed";
    this.status = status;
  }
}

/** What asking again does not change; a file that is announced is there, so that a 404 is not a matter of time. */
function isFinal(status) {
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

/** The bytes. Errors: DownloadFailed, or what `signal` was aborted with. */
export async function download(url, { token = null, signal, wait = pause, random = Math.random } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await once(url, token, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt + 1 >= TRIES || isFinal(error.status)) throw error;
    }
    await wait(backoffMs(attempt, random), signal);
  }
}

async function once(url, token, signal) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), LONGEST_MS);
  const stop = () => late.abort();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const response = await fetch(url, { headers: credentials(token), signal: late.signal });
    if (!response.ok) throw new DownloadFailed(response.status);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw error instanceof DownloadFailed ? error : new DownloadFailed();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", resolve, { once: true });
  });
}
