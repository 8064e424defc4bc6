// What went wrong with a voice, in words that help. Pure. A status is not taken for a cause (RFC 9725 section 4.1): where
// the server gave a reason in its own words, those are shown.

import { lacksToken } from "../exchange/wire.js";
import { sentence } from "../words.js";

const DEVICE = {
  NotAllowedError: ["The microphone is blocked", "Allow it for this page in the browser’s address bar, then try again."],
  NotFoundError: ["No microphone was found", "Connect one: it will be listed here by itself."],
  NotReadableError: ["The microphone can’t be opened", "Another program may be using it. Close that, or choose another one."],
};

/** {kind, title, detail, retryAfterMs} of an error of the microphone's: a DOMException. */
export function deviceProblem(error) {
  const known = { OverconstrainedError: "NotFoundError", SecurityError: "NotAllowedError", AbortError: "NotReadableError" };
  const [title, detail] = DEVICE[known[error.name] ?? error.name] ?? ["The microphone can’t be opened", error.message];
  return { kind: "device", title, detail, retryAfterMs: null };
}

/** The same of a page that may not use a microphone at all. */
export function noMicrophoneHere() {
  const detail = isSecureContext
    ? "This browser, or the page that this one stands in, does not allow it."
    : "Browsers give it only to pages opened over https or from localhost.";
  return { kind: "device", title: "This page may not use a microphone", detail, retryAfterMs: null };
}

/** The same of a server that did not take the voice: {status, reason, retryAfterMs} as keeper.js tells it. */
export function serverProblem({ status, reason, retryAfterMs = null }, avatar) {
  const kind = lacksToken(status) ? "token" : status === 409 ? "busy" : "server";
  const [title, detail] = serverWords(status, reason, avatar);
  return { kind, title, detail, retryAfterMs };
}

function serverWords(status, reason, avatar) {
  const words = sentence(reason);
  const known = {
    401: ["A token is needed to speak here", words],
    403: ["This token does not allow you to speak here", words],
    404: [`${avatar} is not on air right now`, "It may come back: try again in a moment."],
    409: [`${avatar} can’t take your voice right now`, words || "One voice at a time: somebody else may be speaking."],
    429: ["There is no room right now", words],
    503: ["There is no room right now", words],
  };
  if (status === 410) return known[404];
  if (status === undefined) return ["The connection was lost", "Check your network, then try again."];
  return known[status] ?? [status < 500 ? "The server did not take your voice" : "Something went wrong at the server", words];
}
