// The small part of SDP and of HTTP headers that a WHEP player has to read and write. Pure: strings in, strings out.

/** The value of the first `a=NAME:` line of an SDP, or null. */
export function attribute(sdp, name) {
  const line = sdp.split(/\r?\n/).find((text) => text.startsWith(`a=${name}:`));
  return line === undefined ? null : line.slice(name.length + 3);
}

/** The offerer-tagged media section: the first mid of the BUNDLE group, and the kind that stands on its m-line. */
export function taggedSection(sdp) {
  const group = attribute(sdp, "group");
  const mid = group?.startsWith("BUNDLE ") ? group.split(" ")[1] : attribute(sdp, "mid");
  const section = sdp.split(/\r?\nm=/).slice(1).find((text) => attribute(text, "mid") === mid);
  return { mid: mid ?? "0", kind: section?.split(" ")[0] ?? "audio" };
}

/**
 * One trickle ICE fragment for all candidates found so far (RFC 8840 section 9; WHEP: the tagged section only).
 * `complete` adds the end-of-candidates line.
 */
export function fragment(sdp, candidates, complete) {
  const { mid, kind } = taggedSection(sdp);
  const lines = [
    `a=ice-ufrag:${attribute(sdp, "ice-ufrag")}`,
    `a=ice-pwd:${attribute(sdp, "ice-pwd")}`,
    `m=${kind} 9 UDP/TLS/RTP/SAVPF 0`,
    `a=mid:${mid}`,
    ...candidates.map((candidate) => `a=${candidate}`),
  ];
  if (complete) lines.push("a=end-of-candidates");
  return lines.map((line) => `${line}\r\n`).join("");
}

/** ICE servers announced in `Link: <turn:…>; rel="ice-server"; username="…"; credential="…"` (RFC 9725 section 4.6). */
export function iceServers(link) {
  if (!link) return [];
  return [...link.matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;]*))*)/g)]
    .map(([, url, tail]) => [url, parameters(tail)])
    .filter(([url, is]) => is.rel === "ice-server" && /^(stun|stuns|turn|turns):/.test(url))
    .map(([url, is]) =>
      is.username === undefined
        ? { urls: url }
        : { urls: url, username: is.username, credential: is.credential, credentialType: "password" },
    );
}

function parameters(tail) {
  const found = {};
  for (const [, name, quoted, bare] of tail.matchAll(/;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^",;]*))/g)) {
    found[name.toLowerCase()] = quoted ?? bare.trim();
  }
  return found;
}
