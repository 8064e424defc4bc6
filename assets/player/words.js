// What the pages do with words. Pure.

/** A server's detail is written like a line of a log; on a page it stands as a sentence. */
export function sentence(text) {
  if (!text) return "";
  const whole = text[0].toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}

/** For who speaks live while older speech is still to come. */
export function waitingWords(avatar, interrupts = false) {
  if (interrupts) return `Speak, and ${avatar} stops and says what you say.`;
  return `${avatar} first finishes what was waiting. You are heard after that.`;
}

/** The beginning of a text, as it is called in a line. */
export function brief(text, most = 32) {
  const letters = [...text.replace(/\s+/g, " ").trim()];
  if (letters.length <= most) return letters.join("");
  const beginning = letters.slice(0, most).join("");
  const space = beginning.lastIndexOf(" ");
  return `${space > 0 ? beginning.slice(0, space) : beginning}…`;
}
