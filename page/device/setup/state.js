// What a technician has typed into the wizard. It outlasts going back and forth, another language, a login, and being left for
// another page; without its passwords it outlasts loading the page again, and the browser's being closed, too.

const KEY = "wizard";
/** Names of values that are never kept beyond this page's memory. */
const SECRETS = ["password"];

/** @type {Record<string, any>} */
let state = load();

/**
 * What was typed in a step.
 * @param {string} step
 * @returns {Record<string, any>}
 */
export function recall(step) {
  return { ...state[step] };
}

/**
 * Keeps what is typed in a step, beside what it holds already.
 * @param {string} step
 * @param {Record<string, any>} values
 */
export function keep(step, values) {
  state = { ...state, [step]: { ...state[step], ...values } };
  store();
}

/**
 * Forgets a step, or all: what was typed is in force, or the device is another one's.
 * @param {string} [step]
 */
export function forget(step) {
  state = step ? { ...state, [step]: {} } : {};
  store();
}

function store() {
  const open = Object.entries(state).map(([name, kept]) =>
    [name, Object.fromEntries(Object.entries(kept).filter(([key]) => !SECRETS.includes(key)))]);
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(open)));
  } catch {
    // A browser that keeps nothing goes on by its memory.
  }
}

function load() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}
