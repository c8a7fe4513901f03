// Words for people: why something failed, and what became of what they did.

import { CallError } from "./api.js";
import { make } from "./dom.js";
import { hasText, t } from "./text.js";

const SHOWN_MS = 6000;

/**
 * Why something failed, in the language of the page where its code is known.
 * @param {unknown} error
 */
export function explain(error) {
  if (error instanceof CallError && hasText(`error.${error.code}`)) return t(`error.${error.code}`, { seconds: error.wait });
  return error instanceof Error ? error.message : String(error);
}

/** @type {HTMLElement | null} */
let place = null;

/**
 * Shows a line for a few seconds, and reads it out.
 * @param {string} text
 * @param {boolean} [bad]
 */
export function say(text, bad = false) {
  if (!place) {
    place = make("div", { className: "notices", role: "status" });
    document.body.append(place);
  }
  const line = make("p", { className: bad ? "notice bad" : "notice good", textContent: text });
  place.append(line);
  while (place.children.length > 3) place.firstElementChild?.remove();
  setTimeout(() => line.remove(), SHOWN_MS);
}

/**
 * A line that stays in the page.
 * @param {"good" | "warn" | "bad" | "info"} kind
 * @param {string} text
 */
export function makeNotice(kind, text) {
  return make("p", { className: `notice ${kind}`, textContent: text });
}
