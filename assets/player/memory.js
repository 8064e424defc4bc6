// What a page keeps for its next visit. A browser may keep nothing for pages: then it lasts as long as the page.

/** The text kept under a name, or null. `storage` is `localStorage` unless `sessionStorage` is meant: this tab alone. */
export function recall(name, storage = "localStorage") {
  try {
    return globalThis[storage].getItem(`whep-avatar.${name}`);
  } catch {
    return null;
  }
}

export function keep(name, text, storage = "localStorage") {
  try {
    globalThis[storage].setItem(`whep-avatar.${name}`, text);
  } catch {
    // as above
  }
}
