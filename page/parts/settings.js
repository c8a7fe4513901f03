// The settings of the device as they were read, and changes of them.

import { call, CallError } from "./api.js";
import { make } from "./dom.js";
import { open } from "./dialog.js";
import { buildTable } from "./table.js";
import { register, t } from "./text.js";
import texts from "./texts.js";

register(texts);

/**
 * What the device says of its settings.
 * @typedef {object} Answer
 * @property {string} version
 * @property {Record<string, any>} values what its files say
 * @property {Record<string, boolean>} secrets whether each secret has a value
 * @property {Record<string, string>} hints what may be shown of secret addresses
 * @property {Record<string, any>} defaults without the numbers of channels
 * @property {string | null} problem why its files are refused
 */

/**
 * What became of a change.
 * @typedef {object} Saved
 * @property {string} version
 * @property {string[]} applied
 * @property {boolean} restarted whether the agent starts anew
 * @property {boolean} merged whether somebody else's changes are there, too: draw the page anew then
 */

/** Reads the settings.
 * @param {AbortSignal} [signal] */
export async function loadSettings(signal) {
  return new Settings(await call("GET", "/settings", undefined, { signal }));
}

/** The settings as they were read. */
export class Settings {
  /** @param {Answer} answer */
  constructor(answer) {
    this.answer = answer;
  }

  /** Why the files of the settings are refused; null if they are not. */
  get problem() {
    return this.answer.problem;
  }

  /**
   * A value, or its default.
   * @param {string} key such as `channel.0.transport`
   */
  get(key) {
    return this.answer.values[key] ?? this.answer.defaults[key.replace(/\.\d+\./, ".")];
  }

  /**
   * Whether a secret has a value.
   * @param {string} key
   */
  has(key) {
    return this.answer.secrets[key] === true;
  }

  /**
   * What may be shown of a secret address.
   * @param {string} key
   */
  hint(key) {
    return this.answer.hints[key] ?? "";
  }

  /**
   * Saves values: `null` takes one out, so that its default counts, and `undefined` leaves it as it is. What the person left as
   * it was is not sent. If somebody else changed the settings meanwhile, the person is told what, and decides.
   * @param {Record<string, any>} wanted
   * @returns {Promise<Saved | null>} null if the person took what is there now: draw the page anew then
   */
  async save(wanted) {
    const changes = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => this.#differs(key, value)));
    for (let merged = false; ; merged = true) {
      try {
        const saved = await call("PUT", "/settings", { version: this.answer.version, changes });
        this.answer.version = saved.version;
        this.#note(changes);
        return { ...saved, merged };
      } catch (error) {
        if (!(error instanceof CallError) || error.code !== "outdated") throw error;
        const now = new Settings(error.answer);
        const again = await ask(this, now, error.answer.changed, changes);
        this.answer = now.answer;
        if (!again) return null;
      }
    }
  }

  /**
   * @param {string} key
   * @param {any} value
   */
  #differs(key, value) {
    if (value === undefined) return false;
    if (value === null) return this.answer.values[key] !== undefined || this.has(key);
    return this.has(key) || JSON.stringify(this.get(key)) !== JSON.stringify(value);
  }

  /** @param {Record<string, any>} changes */
  #note(changes) {
    for (const [key, value] of Object.entries(changes)) {
      if (key in this.answer.secrets) this.answer.secrets[key] = value !== null;
      else if (value === null) delete this.answer.values[key];
      else this.answer.values[key] = value;
    }
  }
}

/**
 * Shows what somebody else changed, and asks whether the person's own values are to be saved all the same.
 * @param {Settings} before
 * @param {Settings} now
 * @param {string[] | null} changed null where the device has forgotten what was read
 * @param {Record<string, any>} wanted
 */
async function ask(before, now, changed, wanted) {
  const rows = (changed ?? []).map((key) => ({ key: key.replaceAll(".", " › "), before: told(before, key), now: told(now, key), mine: mine(key, wanted) }));
  const columns = ["key", "before", "now", "mine"].map((name) => ({ name, label: t(`settings.${name}`) }));
  const list = changed === null ? make("p", { textContent: t("settings.much") }) : buildTable(rows, columns, { empty: t("settings.same") });
  const theirs = make("button", { type: "button", textContent: t("settings.theirs") });
  const save = make("button", { type: "button", className: "go", textContent: t("settings.again") });
  const { dialog, closed } = open(t("settings.outdated"), make("p", { textContent: t("settings.nothing_saved") }), list,
    make("div", { className: "buttons" }, theirs, save));
  let again = false;
  theirs.addEventListener("click", () => dialog.close());
  save.addEventListener("click", () => {
    again = true;
    dialog.close();
  });
  await closed;
  return again;
}

/**
 * @param {Settings} settings
 * @param {string} key
 */
function told(settings, key) {
  if (key in settings.answer.secrets) return settings.hint(key) || t(settings.has(key) ? "settings.secret" : "settings.unset");
  const value = settings.get(key);
  if (value === undefined) return t("settings.unset");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {string} key
 * @param {Record<string, any>} wanted
 */
function mine(key, wanted) {
  const value = wanted[key];
  if (value === undefined) return "";
  return value === null ? t("settings.unset") : /passw/.test(key) ? t("settings.secret") : String(value);
}
