// The small part of SDP that a WHEP player and a WHIP publisher read and write. Pure: strings in, strings out.

/** The value of the first `a=NAME:` line of an SDP or a fragment, or null. */
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
 * One trickle ICE fragment for candidates found so far (RFC 8840 section 9; WHIP and WHEP: the tagged section only).
 * `complete` adds the end-of-candidates line. With another ufrag and pwd than before it asks for an ICE restart.
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
  return joined(lines);
}

/** An offer as it is sent: `rtcp-mux-only` beside each `rtcp-mux` (RFC 9725 section 4.4.1); browsers leave it out. */
export function withMuxOnly(sdp) {
  return sdp.includes("a=rtcp-mux-only") ? sdp : sdp.replace(/^a=rtcp-mux(?=\r?$)/gm, "a=rtcp-mux\r\na=rtcp-mux-only");
}

const ICE = /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)\b/;

/**
 * The answer of a session after an ICE restart: the one it had, with the server's new ufrag, pwd and candidates.
 * Null where the fragment brings no new ones: then the server has not restarted.
 */
export function restartedAnswer(answer, restarted) {
  const ufrag = attribute(restarted, "ice-ufrag");
  const pwd = attribute(restarted, "ice-pwd");
  if (ufrag === null || pwd === null || ufrag === attribute(answer, "ice-ufrag")) return null;
  const { mid } = taggedSection(answer);
  const candidates = restarted.split(/\r?\n/).filter((line) => /^a=(candidate:|end-of-candidates)/.test(line));
  const [head, ...sections] = answer
    .split(/\r?\n(?=m=)/)
    .map((part) => part.split(/\r?\n/).filter((line) => line && !ICE.test(line)));
  for (const section of sections) {
    if (/^m=\S+ 0 /.test(section[0])) continue; // refused: it has no transport
    section.push(`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`);
    if (section.includes(`a=mid:${mid}`)) section.push(...candidates);
  }
  return joined([...head.map(nextVersion), ...sections.flat()]);
}

/** A changed description counts its version up (RFC 3264 section 8). */
function nextVersion(line) {
  return line.replace(/^(o=\S+ \S+ )(\d+)/, (_, before, version) => `${before}${BigInt(version) + 1n}`);
}

function joined(lines) {
  return lines.map((line) => `${line}\r\n`).join("");
}
