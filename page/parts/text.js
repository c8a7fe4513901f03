// Texts in the languages of the page.

/** @typedef {"en" | "zh"} Language */
/** @typedef {Record<string, string>} Texts The texts of one language, by key. */

const STORED = "language";
/** @type {Record<Language, Texts>} */
const texts = { en: {}, zh: {} };
/** @type {Language} */
let current = "en";
/** Keys that were asked for and have no text. */
export const missing = new Set();

/**
 * Adds texts, which have the same keys in each language. A text may hold `{name}`, in whose place a value is put.
 * @param {Record<Language, Texts>} added
 */
export function register({ en, zh }) {
  Object.assign(texts.en, en);
  Object.assign(texts.zh, zh);
}

/** The language of the page; English until another one is chosen. */
export function language() {
  return current;
}

/** Takes the language that was chosen here before, or else the first one of the browser's that there is. */
export function chooseLanguage() {
  const wanted = [stored(), ...navigator.languages].map((tag) => tag?.slice(0, 2).toLowerCase());
  take(wanted.find((tag) => tag === "zh" || tag === "en") === "zh" ? "zh" : "en");
}

/**
 * Takes another language, also for the next visit.
 * @param {Language} next
 */
export function setLanguage(next) {
  take(next);
  try {
    localStorage.setItem(STORED, next);
  } catch { /* The browser keeps nothing: the choice is for this visit. */ }
}

/** @param {string} key */
export function hasText(key) {
  return key in texts[current];
}

/**
 * The text of a key; the key itself where there is none.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = texts[current][key];
  if (text === undefined) missing.add(key);
  return (text ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {Language} next */
function take(next) {
  current = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}
