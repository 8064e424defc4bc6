// What the pages do with words. Pure.

/** A server's detail is written like a line of a log; on a page it stands as a sentence. */
export function sentence(text) {
  if (!text) return "";
  const whole = text[0].toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}

/** For who speaks live while older speech is still to come. */
export function waitingWords(avatar) {
  return `${avatar} first finishes what was waiting. You are heard after that.`;
}
