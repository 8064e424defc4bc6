// What a chunk declares of itself: the codec string a browser is asked about. Pure.

/** What the original server's players declared, whatever came: constrained baseline, level 3.0, and AAC-LC. */
export const DECLARED = 'video/mp4; codecs="avc1.42E01E,mp4a.40.2"';

/** Where the four letters of a box's or sample entry's type stand, or -1. */
function find(bytes, type) {
  const [a, b, c, d] = [...type].map((letter) => letter.charCodeAt(0));
  for (let at = bytes.indexOf(a); at >= 0 && at + 4 <= bytes.length; at = bytes.indexOf(a, at + 1)) {
    if (bytes[at + 1] === b && bytes[at + 2] === c && bytes[at + 3] === d) return at;
  }
  return -1;
}

/**
 * The media type of a file that begins with its `moov`: profile, constraints and level are the second to fourth bytes of
 * `avcC` (ISO/IEC 14496-15 section 5.3.3.1), and sound is AAC-LC where there is any.
 */
export function mediaType(bytes) {
  const start = bytes.subarray(0, 8192); // the sample descriptions stand at the very beginning
  const at = find(start, "avcC");
  if (at < 0) return DECLARED;
  const profile = [...start.subarray(at + 5, at + 8)].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase());
  const sound = find(start, "mp4a") < 0 ? "" : ",mp4a.40.2";
  return `video/mp4; codecs="avc1.${profile.join("")}${sound}"`;
}
