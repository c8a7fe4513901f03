// Words for people: why something failed, and what became of what they did.

import { CallError } from "./api.js";
import { make } from "./dom.js";
import errors from "./errors.js";
import { hasText, register, t } from "./text.js";

register(errors);

const SHOWN_MS = 6000;

/**
 * Why something failed, in the language of the page. What the device says of it beyond its code is in English: it stands behind words
 * of the page.
 * @param {unknown} error
 */
export function explain(error) {
  if (!(error instanceof CallError)) return error instanceof Error ? error.message : String(error);
  const { code, field, message, wait } = error;
  // The page's own errors have their text already.
  if (!code || (error.status === 0 && !hasText(`error.${code}`))) return message;
  const detail = field && !message.includes(field) ? `${field}: ${message}` : message;
  return t(hasText(`error.${code}`) ? `error.${code}` : "error.refused", { seconds: wait, detail });
}

/**
 * The same for what an answer tells of one camera among others.
 * @param {{ code?: string, message: string }} error
 */
export function explainTold({ code = "refused", message }) {
  return explain(new CallError(200, code, message, ""));
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
