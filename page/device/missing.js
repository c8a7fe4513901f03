// Settings that a file does not bring, since it has no secrets and the device does not know them.

import { open } from "/parts/dialog.js";
import { make } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { hasText, register, t } from "/parts/text.js";
import texts from "./texts/system.js";

register(texts);

/** The page on which settings are entered, by the first word of their names. @type {Record<string, string>} */
const PAGES = { cloud: "cloud", tlss: "hosted", publish: "channels" };

/** What is good for nothing without a secret. @type {Record<string, string[]>} */
const WITHOUT = { "cloud.login_passwd": ["cloud.url", "cloud.login_code"] };

/**
 * Asks for secrets. What a person does not know may be left empty, unless the device insists.
 * @param {string[]} keys such as `cloud.login_passwd` or `channel.0.password`
 * @param {boolean} insists
 * @returns {Promise<Record<string, string> | null>} what was entered; `null` where the dialog was closed
 */
export function askFor(keys, insists) {
  /** @type {Record<string, string> | null} */
  let entered = null;
  const form = buildForm({
    fields: keys.map((name) => ({ name, kind: "password", label: [where(name).title, what(name)].filter(Boolean).join(": "), optional: !insists })),
    submit: t("system.import_yes"),
    send: (values) => {
      entered = values;
      dialog.close();
    },
  });
  const text = t(insists ? "system.needed_elsewhere" : "system.needed_text");
  const { dialog, closed } = open(t("system.needed_title"), make("p", { textContent: text }), form.element);
  return closed.then(() => entered);
}

/**
 * Puts what was entered into a file of settings. Returns what the file goes without.
 * @param {{ values: Record<string, unknown>, left_out?: string[] }} file
 * @param {string[]} keys
 * @param {Record<string, string>} entered
 */
export function fillIn(file, keys, entered) {
  const without = keys.filter((key) => entered[key] === undefined);
  file.left_out = file.left_out?.filter((key) => !without.includes(key));
  for (const key of without.flatMap((key) => WITHOUT[key] ?? [])) delete file.values[key];
  Object.assign(file.values, entered);
  return without;
}

/**
 * Says which settings have to be entered by hand, and where; `null` where there are none.
 * @param {string[]} keys
 */
export function makeMissing(keys) {
  if (!keys.length) return null;
  return make("div", { className: "notice warn missing" }, make("p", { textContent: t("system.missing") }),
    make("ul", {}, ...keys.map((key) => make("li", {}, ...draw(key)))));
}

/**
 * @param {string} key
 * @returns {import("/parts/dom.js").Child[]}
 */
function draw(key) {
  const { page, title } = where(key);
  return [page && make("a", { href: `#/${page}`, textContent: title }), page && ": ", what(key)];
}

/**
 * The page on which a setting is entered, with its name.
 * @param {string} key
 */
function where(key) {
  const [group = "", number = ""] = key.split(".");
  if (group === "channel") return { page: `channels/${number}`, title: t("system.missing_channel", { n: number }) };
  const page = PAGES[group];
  return { page, title: page && t(`nav.${page}`) };
}

/**
 * What a setting is, in words where there are any.
 * @param {string} key
 */
function what(key) {
  const text = `system.missing.${key.split(".").at(-1)}`;
  return hasText(text) ? `${t(text)} (${key})` : key;
}
