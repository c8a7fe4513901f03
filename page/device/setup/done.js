// The last step: how the cloud sees this device.

import { call } from "/parts/api.js";
import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { dateTime } from "/parts/format.js";
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
 * @typedef {{ name: string, channel: number | null, state: string, since: string, reason: string, said: string }} Hop
 */

/**
 * @param {HTMLElement} element
 * @param {import("../page.js").Context} context
 */
export function showDone(element, context) {
  const verdict = make("div", { role: "status" }, makeNotice("info", t("wizard.connecting")));
  const [facts, rows] = [make("div"), make("ul", { className: "hops" })];
  const link = (/** @type {string} */ page, kind = "") =>
    make("a", { className: `button ${kind}`, href: `#/${page}`, textContent: t(`nav.${page}`) });
  element.append(makePanel(t("wizard.seen"), verdict, facts, rows), make("div", { className: "buttons" },
    make("a", { className: "button", href: "#/wizard/cloud", textContent: t("wizard.back") }), link("overview", "go"), link("live")));

  /** @type {Map<string, Hop>} */
  let hops = new Map();
  let said = "";
  let asked = "";
  /** By what the device is known to the cloud. @type {[string, string][]} */
  let names = [];
  const drawFacts = () => {
    const login = hops.get("login");
    if (login?.state !== "ok") return fill(facts);
    fill(facts, makeFacts([...names, [t("wizard.fact.since"), dateTime(login.since)], [t("wizard.fact.channels"), tellChannels(hops)]]));
    // Before this login the device was known by others, or by none.
    if (asked === login.since) return;
    asked = login.since;
    askNames(context.signal).then((told) => {
      names = told;
      drawFacts();
    }, () => { asked = ""; });
  };
  const draw = (/** @type {Hop[]} */ changed) => {
    for (const hop of changed) hops.set(place(hop), hop);
    const wanted = [...CLOUD.map((name) => name), ...CHANNEL.map((name) => `0 ${name}`)];
    const found = wanted.flatMap((key) => hops.get(key) ?? []).filter(({ state, name }) => state !== "off" || name === "live");
    fill(rows, ...found.map(drawHop));
    drawFacts();
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

/**
 * What the device tells the cloud when it logs in.
 * @param {AbortSignal} signal
 * @returns {Promise<[string, string][]>}
 */
async function askNames(signal) {
  const [{ login_code: code }, { hardware_model: model, firmware_model: firmware }] =
    await Promise.all(["/cloud", "/system"].map((path) => call("GET", path, undefined, { signal, background: true })));
  return [[t("wizard.fact.code"), code ?? "–"], [t("wizard.fact.model"), [model, firmware].filter(Boolean).join(", ")]];
}

/**
 * What the device tells the cloud of its channels.
 * @param {Map<string, Hop>} hops
 */
function tellChannels(hops) {
  const numbers = Array.from(new Set([...hops.values()].flatMap(({ channel }) => channel ?? [])));
  const told = numbers.map((number) => {
    const [stream, live] = ["rtsp", "live"].map((name) => hops.get(`${number} ${name}`)?.state);
    return `${number}: ${t(live === "ok" ? "wizard.channel.live" : stream === "ok" ? "wizard.channel.on" : "wizard.channel.off")}`;
  });
  return told.join(", ") || t("wizard.no_channels");
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
