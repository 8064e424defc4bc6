// The chunks of one utterance: which are announced, which comes next, how many there are. Pure: no network, no video.

const NUMBERED = /^(.*\/chunk_)(\d{4,})(\.mp4)$/;

/** What all chunks of one request have in common: their folder. */
export function requestOf(url) {
  return url.slice(0, url.lastIndexOf("/"));
}

/** The address of another chunk of the same request; null where it is not named as the contract says. */
function sibling(url, index) {
  const match = NUMBERED.exec(url);
  return match && `${match[1]}${String(index).padStart(4, "0")}${match[3]}`;
}

export class Playlist {
  #urls = new Map(); // index -> address
  #highest = -1;
  #total = null;
  #waiting = null;
  /** Grows with everything that is told. */
  version = 0;
  /** Whether the server has said that it has nothing more to announce. */
  complete = false;

  /** A `chunk` event. Events are lost with a connection, files are not: what is left out is found by its name. */
  announce({ index, url, total_chunks: total }) {
    if (this.#highest >= 0) this.#fill(index);
    if (!this.#urls.has(index)) this.#urls.set(index, url);
    this.#highest = Math.max(this.#highest, index);
    if (Number.isInteger(total)) this.#total = total;
    this.#changed();
  }

  /** The `complete` event. What it counts is what one connection got, so that the chunks' own number goes before. */
  finish(total) {
    if (this.#highest < 0) this.#total = 0;
    else this.#fill((this.#total ??= total));
    this.complete = true;
    this.#changed();
  }

  /** Nothing follows what is announced. */
  cut() {
    this.#total = this.#highest + 1;
    this.complete = true;
    this.#changed();
  }

  /** The number of the first chunk; a listener that came late may not hear of those before. */
  get first() {
    return this.#urls.size > 0 ? Math.min(...this.#urls.keys()) : 0;
  }

  /** The address of a chunk, or undefined while it is not known. */
  url(index) {
    return this.#urls.get(index);
  }

  /** Whether there is no chunk of that number, nor any after it. */
  isOver(index) {
    return this.#total !== null && index >= this.#total;
  }

  /** Resolves when something new is told. */
  changed() {
    this.#waiting ??= new Promise((resolve) => (this.#tell = resolve));
    return this.#waiting;
  }

  #tell = () => {};

  #changed() {
    this.version += 1;
    this.#waiting = null;
    this.#tell();
  }

  /** Gives an address to each chunk after the highest that is known, up to that number. */
  #fill(end) {
    const known = this.#urls.get(this.#highest);
    for (let index = this.#highest + 1; index < end; index += 1) {
      const found = sibling(known, index);
      if (found === null) return;
      this.#urls.set(index, found);
      this.#highest = index;
    }
  }
}

/** How many files are fetched at once: one being waited for, and those after it. */
const AT_ONCE = 3;

/** The chunks' bytes, strictly in order, whichever download is done first. `fetchChunk` takes an address. */
export async function* inOrder(playlist, fetchChunk) {
  const coming = [];
  while (playlist.url(playlist.first) === undefined && !playlist.isOver(0)) await playlist.changed();
  for (let index = playlist.first; !playlist.isOver(index); ) {
    const changed = playlist.changed();
    for (let url; coming.length < AT_ONCE && (url = playlist.url(index + coming.length)) !== undefined; ) {
      const bytes = fetchChunk(url);
      bytes.catch(() => {}); // whoever takes it hears of that
      coming.push(bytes);
    }
    const got = await Promise.race([...coming.slice(0, 1), changed]);
    if (got === undefined) continue; // more may be fetched now
    coming.shift();
    index += 1;
    yield got;
  }
}
