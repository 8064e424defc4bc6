// Asking a person for a token, in a dialog of the page's own.

import { access } from "./access.js";
import { get } from "./dom.js";
import { sentence } from "./words.js";

let asked = null;

/** Resolves to whether one was given; `access` has it then. `why` is the server's own sentence. */
export function askForToken(why = "") {
  asked ??= ask(why).finally(() => (asked = null)); // two who ask at once share one answer
  return asked;
}

function ask(why) {
  const [dialog, field] = [get("ask"), get("askToken")];
  get("askWhy").textContent = sentence(why) || "Whoever runs this server can give you one.";
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
