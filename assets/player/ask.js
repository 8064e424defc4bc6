// Asking a person for a token, in a dialog of the page's own.

import { access } from "./access.js";
import { get } from "./dom.js";
import { credentials, lacksToken } from "./exchange/wire.js";
import { sentence } from "./words.js";

let asked = null;

/** Resolves to whether one was given; `access` has it then. `why` is what the server said to the one we had, if any. */
export function askForToken(why = "") {
  asked ??= ask(why).finally(() => (asked = null)); // two who ask at once share one answer
  return asked;
}

/** Asks where an address is refused for the lack of a token: a video element that got nothing does not tell why. */
export async function askIfRefused(address) {
  const request = { method: "HEAD", headers: credentials(access.token), cache: "no-store" };
  const { status } = await fetch(address, request).catch(() => ({}));
  return lacksToken(status) && askForToken("the token is not the right one");
}

function ask(why) {
  const [dialog, field] = [get("ask"), get("askToken")];
  const refused = access.token ? sentence(why) : "";
  get("askWhy").textContent = refused || "Whoever runs this server can give you one.";
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const token = dialog.returnValue === "use" ? field.value.trim() : "";
        field.value = "";
        if (token) access.give(token);
        resolve(token !== "");
      },
      { once: true },
    );
  });
}
