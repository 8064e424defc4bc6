// When to try again, and when to stop trying. Pure: numbers and statuses in, milliseconds out.

/** Tries in a row before a page says that the stream is offline; the waits between them add up to half a minute. */
export const TRIES = 8;
/** A stream that is not on air (404, 410) gets this many: enough for a server that is just starting. */
export const TRIES_NOT_ON_AIR = 3;

const FIRST_MS = 500;
const LONGEST_MS = 8_000;
/** No server is obeyed for longer than this: the person in front of the page would be gone. */
const LONGEST_RETRY_AFTER_MS = 30_000;

/** Doubling waits, each shortened by up to a half, so that a crowd of viewers does not come back in one instant. */
export function backoffMs(attempt, random = Math.random) {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return Math.round(whole * (0.5 + random() / 2));
}

/** `Retry-After`, in seconds or as a date, as milliseconds from now; null where it says nothing. */
export function retryAfterMs(header, nowMs = Date.now()) {
  if (!header) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, ms));
}

/**
 * How long to wait after the failed try of that number. What the server asked for is kept to; where it said 409 it was
 * a guess of when the other side will have changed, and the guess doubles each time it was wrong (WHEP section 4.3.9).
 */
export function waitMs({ status, retryAfterMs: asked = null }, attempt, random = Math.random) {
  const own = backoffMs(attempt, random);
  if (asked === null) return own;
  const wait = status === 409 ? Math.min(LONGEST_RETRY_AFTER_MS, asked * 2 ** attempt) : asked;
  return Math.max(own, wait);
}

/** Statuses that the same request will not change: asking again would only be noise. Unknown ones count as x00. */
export function isFinal(status) {
  return status >= 400 && status < 500 && ![404, 408, 409, 410, 425, 429].includes(status);
}

/** How many tries an error is worth. */
export function triesFor(error) {
  if (error.status !== undefined && isFinal(error.status)) return 1;
  return error.status === 404 || error.status === 410 ? TRIES_NOT_ON_AIR : TRIES;
}
