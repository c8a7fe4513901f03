// The last step: how the cloud sees this device.

import { fill, make, makeBadge, makePanel } from "/parts/dom.js";
import { makeNotice } from "/parts/notice.js";
import { hasText, register, t } from "/parts/text.js";
import reasons from "../texts/overview.js";
import texts from "../texts/wizard.js";
import { forget } from "./state.js";

register(reasons);
register(texts);

/** What is told of the way to the cloud, and of the first channel. */
const CLOUD = ["cloud_tcp", "tls", "login", "keepalive"];
const CHANNEL = ["camera", "rtsp", "live"];
/** @type {Record<string, "good" | "warn" | "bad" | "off">} */
const BADGES = { ok: "good", warn: "warn", bad: "bad", off: "off", unknown: "off" };

/**
 * One line of the overview.
 * @typedef {{ name: string, channel: number | null, state: string, reason: string, said: string }} Hop
 */

/**
 * @param {HTMLElement} element
 * @param {import("../page.js").Context} context
 */
export function showDone(element, context) {
  const verdict = make("div", { role: "status" }, makeNotice("info", t("wizard.connecting")));
  const rows = make("ul", { className: "hops" });
  const link = (/** @type {string} */ page, kind = "") =>
    make("a", { className: `button ${kind}`, href: `#/${page}`, textContent: t(`nav.${page}`) });
  element.append(makePanel(t("wizard.seen"), verdict, rows), make("div", { className: "buttons" },
    make("a", { className: "button", href: "#/wizard/cloud", textContent: t("wizard.back") }), link("overview", "go"), link("live")));

  /** @type {Map<string, Hop>} */
  let hops = new Map();
  let said = "";
  const draw = (/** @type {Hop[]} */ changed) => {
    for (const hop of changed) hops.set(place(hop), hop);
    const wanted = [...CLOUD.map((name) => name), ...CHANNEL.map((name) => `0 ${name}`)];
    const found = wanted.flatMap((key) => hops.get(key) ?? []).filter(({ state, name }) => state !== "off" || name === "live");
    fill(rows, ...found.map(drawHop));
    const [login, keepalive] = ["login", "keepalive"].map((name) => hops.get(name)?.state);
    const camera = hops.get("0 camera")?.state ?? hops.get("0 rtsp")?.state;
    const text = login !== "ok" || keepalive !== "ok" ? "wizard.connecting" : camera === "bad" ? "wizard.online_no_camera" : "wizard.online";
    if (text === said) return;
    said = text;
    fill(verdict, makeNotice(text === "wizard.online" ? "good" : text === "wizard.connecting" ? "info" : "warn", t(text)));
    if (text === "wizard.online") forget();
  };
  context.listen("/overview/events", {
    state: (/** @type {{ hops: Hop[] }} */ whole) => {
      hops = new Map();
      draw(whole.hops);
    },
    hops: (/** @type {{ hops: Hop[] }} */ news) => draw(news.hops),
  });
}

/** @param {Hop} hop */
function place({ name, channel }) {
  return typeof channel === "number" ? `${channel} ${name}` : name;
}

/** @param {Hop} hop */
function drawHop({ name, state, reason, said }) {
  const why = reason && hasText(`overview.why.${reason}`) ? t(`overview.why.${reason}`) : said;
  return make("li", {}, makeBadge(BADGES[state] ?? "off", t(`wizard.hop.${name}`)), why ? make("span", { className: "hint", textContent: why }) : null);
}
