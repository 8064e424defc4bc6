// What the Node clients share: where the packages are, WHEP's and WHIP's three requests, counting of frames, the report.

import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";

// The packages are installed into .cache/peers by `make peers`, not beside these sources.
export const load = createRequire(new URL("../../.cache/peers/package.json", import.meta.url));

export const version = (name) => load(`./node_modules/${name}/package.json`).version;

/** Post a complete offer. The answer's text, and the session's address. */
export async function exchange(endpoint, offer) {
  const headers = { "Content-Type": "application/sdp" };
  const response = await fetch(endpoint, { method: "POST", headers, body: offer });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`POST ${endpoint}: ${response.status} ${text}`);
  return { answer: text, location: new URL(response.headers.get("Location"), endpoint).href };
}

/** End a session; the status of the answer. */
export async function remove(location) {
  return (await fetch(location, { method: "DELETE" })).status;
}

/** Wait until a condition holds; it fails with what was waited for when the time is up. */
export async function until(condition, seconds, what) {
  const deadline = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Counts pictures that are complete: every packet from one marker to the next is there. For clients that do not decode. */
export class FrameCounter {
  frames = 0;
  packets = 0;
  lost = 0;
  #last = null;
  #whole = false; // the first marker ends a picture whose beginning nobody saw

  add(sequence, marker) {
    this.packets += 1;
    if (this.#last !== null) {
      const missing = (sequence - this.#last - 1) & 0xffff;
      if (missing >= 0x8000) return; // a late one
      if (missing) this.#whole = false;
      this.lost += missing;
    }
    this.#last = sequence;
    if (!marker) return;
    if (this.#whole) this.frames += 1;
    this.#whole = true;
  }

  /** Count a packet as it was on the wire (RFC 3550 section 5.1). */
  addRaw(packet) {
    this.add(packet.readUInt16BE(2), (packet[1] & 0x80) !== 0);
  }
}

/** Run a client: print what it returns as one JSON object, or what went wrong, and end the process. */
export async function main(client) {
  try {
    console.log(JSON.stringify(await client(...process.argv.slice(2))));
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
