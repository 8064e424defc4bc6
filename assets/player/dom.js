// The few things every part of the pages does with the document.

export const config = JSON.parse(document.getElementById("config").textContent);

export const get = (id) => document.getElementById(id);

/** A new element with attributes and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const sheet = new URL("icons.svg", import.meta.url).pathname;

/** One picture of the icon sheet. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${sheet}#${name}`);
  svg.append(use);
  return svg;
}

const TOAST_MS = 6_000;

/** A short message that goes away by itself; `detail` is the smaller second line. */
export function toast(message, detail = "") {
  const note = make("div", { class: "toast" }, make("strong", {}, message));
  if (detail) note.append(make("span", {}, detail));
  get("toasts").append(note);
  note.addEventListener("click", () => note.remove());
  setTimeout(() => note.remove(), TOAST_MS);
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
