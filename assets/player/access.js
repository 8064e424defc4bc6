// The bearer token of this visit. It comes with the address, as `#token=…`: what stands behind the # never leaves the
// browser, so it is in no server's or proxy's log and in no Referer. `?token=…` is taken too. Either is removed from the
// address bar at once, and kept for this tab alone, so that reloading and following links goes on.

import { keep, recall } from "./memory.js";

class Access extends EventTarget {
  token = null;

  constructor() {
    super();
    this.token = this.#fromAddress() ?? (recall("token", "sessionStorage") || null);
    addEventListener("hashchange", () => {
      const token = this.#fromAddress();
      if (token) this.give(token);
    });
  }

  /** A person gave a token. Tells `change`. */
  give(token) {
    this.token = token;
    keep("token", token, "sessionStorage");
    this.dispatchEvent(new Event("change"));
  }

  #fromAddress() {
    const url = new URL(location.href);
    const behind = new URLSearchParams(url.hash.slice(1));
    const token = behind.get("token") ?? url.searchParams.get("token");
    if (token === null) return null;
    behind.delete("token");
    url.searchParams.delete("token");
    url.hash = behind.toString();
    history.replaceState(history.state, "", url);
    keep("token", token, "sessionStorage");
    return token || null;
  }
}

export const access = new Access();
