// Settings that a file could not bring, since it has no secrets and the device does not know them.

import { make } from "/parts/dom.js";
import { hasText, register, t } from "/parts/text.js";
import texts from "./texts/system.js";

register(texts);

/** The page on which settings are entered, by the first word of their names. @type {Record<string, string>} */
const PAGES = { cloud: "cloud", tlss: "hosted", publish: "channels" };

/**
 * Says which settings have to be entered by hand, and where; `null` where there are none.
 * @param {string[]} keys such as `cloud.login_passwd`, `channel.0.password` or `channel[0].password`
 */
export function makeMissing(keys) {
  if (!keys.length) return null;
  return make("div", { className: "notice warn missing" }, make("p", { textContent: t("system.missing") }),
    make("ul", {}, ...keys.map((key) => make("li", {}, ...draw(key.replace(/\[(\d+)\]/, ".$1"))))));
}

/**
 * @param {string} key
 * @returns {import("/parts/dom.js").Child[]}
 */
function draw(key) {
  const [group = "", number = ""] = key.split(".");
  const isChannel = group === "channel" && /^\d+$/.test(number);
  const page = isChannel ? `channels/${number}` : PAGES[group];
  const name = key.split(".").at(-1);
  const title = isChannel ? t("system.missing_channel", { n: number }) : page && t(`nav.${page}`);
  return [
    page && make("a", { href: `#/${page}`, textContent: title }), page && ": ",
    hasText(`system.missing.${name}`) && `${t(`system.missing.${name}`)} `, make("code", { textContent: key }),
  ];
}
