// How the device is, hop by hop: one sentence on top, then each thing that has to work.

import { fill, make, makeBadge, makePanel } from "/parts/dom.js";
import { clock, duration, size } from "/parts/format.js";
import { hasText, register, t } from "/parts/text.js";
import texts from "../texts/overview.js";

register(texts);

/**
 * A hop as the device tells it.
 * @typedef {object} Hop
 * @property {string} name
 * @property {number | null} channel
 * @property {"ok" | "warn" | "bad" | "off" | "unknown"} state
 * @property {string} since
 * @property {string} reason
 * @property {string} remedy
 * @property {string} behind
 * @property {string} said
 * @property {Record<string, any>} facts
 */

/** @type {Record<string, "good" | "warn" | "bad" | "off">} */
const BADGES = { ok: "good", warn: "warn", bad: "bad", off: "off", unknown: "off" };
const CLOUD = ["network", "name_server", "clock", "cloud_tcp", "tls", "login", "keepalive"];
/** Where a remedy is carried out.
 * @type {Record<string, string>} */
const PLACES = {
  add_camera: "channels", check_ca: "cloud", check_camera_login: "channels", check_cloud_address: "cloud", check_cloud_alarms: "log",
  check_clock_or_provider: "time", check_firewall: "cloud", check_gateway: "network", check_hosted: "hosted", check_login: "cloud",
  check_name: "cloud", check_name_server: "network", check_push: "channels", check_twin: "cloud", enable_alarms: "alarms",
  enter_cloud: "cloud", plug_in: "network", probe_camera: "channels", send_bundle: "system", set_clock: "time", use_wss: "cloud",
};

/** @type {import("../page.js").Page} */
const page = {
  name: "overview",
  show(element, context) {
    const sentence = make("div", { className: "sentence", role: "status" });
    const chains = make("div", { className: "chains" });
    element.append(sentence, chains);
    /** @type {Map<string, Line>} */
    const lines = new Map();
    /** The device's clock less this browser's, in milliseconds. */
    let ahead = 0;
    const age = () => lines.forEach((line) => line.age(Date.now() + ahead));
    /** @param {any} told */
    const tell = (told) => {
      ahead = told.now ? new Date(told.now).getTime() - Date.now() : 0;
      for (const hop of told.hops) lines.get(key(hop))?.show(hop);
      age();
      fill(sentence, ...say(told, lines));
      sentence.dataset.state = told.state;
    };
    context.listen("/overview/events", {
      state(told) {
        // What was opened stays open when the device comes back.
        const opened = Array.from(lines).filter(([, line]) => line.element.open).map(([name]) => name);
        lines.clear();
        for (const hop of told.hops) lines.set(key(hop), new Line(hop, opened.includes(key(hop))));
        fill(chains, ...draw(told.hops, lines));
        tell(told);
      },
      hops: tell,
    });
    context.every(5, age);
  },
};

export default page;

/** One hop: what it is and how, and opened, what is known of it. */
class Line {
  #since = make("span", { className: "since" });
  #summary = make("summary");
  #more = make("div", { className: "more" });
  /** @type {Hop} */
  hop;

  /**
   * @param {Hop} hop
   * @param {boolean} open
   */
  constructor(hop, open) {
    this.hop = hop;
    this.element = make("details", { className: "hop", open }, this.#summary, this.#more);
  }

  /** @param {Hop} hop */
  show(hop) {
    this.hop = hop;
    this.element.dataset.state = hop.state;
    fill(this.#summary,
      make("span", { className: "name", textContent: t(`overview.hop.${hop.name}`) }),
      makeBadge(BADGES[hop.state] ?? "off", t(`overview.state.${hop.state}`)),
      hop.reason && make("span", { className: "why", textContent: why(hop) }),
      this.#since);
    fill(this.#more,
      hop.remedy && remedy(hop),
      hop.said && make("p", { className: "said", textContent: t("overview.said", { said: hop.said }) }),
      make("dl", {}, ...Object.entries(hop.facts).filter(([name]) => hasText(`overview.fact.${name}`)).map(([name, value]) =>
        make("div", {}, make("dt", { textContent: t(`overview.fact.${name}`) }), make("dd", { textContent: fact(name, value) })))));
  }

  /** @param {number} now by the device's clock, in milliseconds */
  age(now) {
    const seconds = (now - new Date(this.hop.since).getTime()) / 1000;
    this.#since.textContent = t("overview.since", { time: duration(seconds < 60 ? seconds : seconds - seconds % 60) });
  }
}

/**
 * The panels: the way to the cloud, each channel, the device.
 * @param {Hop[]} hops
 * @param {Map<string, Line>} lines
 */
function draw(hops, lines) {
  const panel = (/** @type {string} */ title, /** @type {Hop[]} */ wanted) =>
    makePanel(title, ...wanted.map((hop) => lines.get(key(hop))?.element ?? ""));
  const device = hops.filter(({ channel }) => channel === null);
  const numbers = Array.from(new Set(hops.flatMap(({ channel }) => (channel === null ? [] : [channel]))));
  const channels = numbers.map((n) => panel(t("overview.channel", { n }), hops.filter(({ channel }) => channel === n)));
  const none = makePanel(t("nav.channels"), make("p", { textContent: t("overview.no_channels") }), link("channels", t("overview.to_channels")));
  if (!hops.length) return [];
  return [
    panel(t("overview.cloud"), device.filter(({ name }) => CLOUD.includes(name))),
    ...(channels.length ? channels : [none]),
    panel(t("overview.device"), device.filter(({ name }) => !CLOUD.includes(name))),
  ];
}

/**
 * The sentence on top: that all is well, or what comes first and what to do about it.
 * @param {any} told
 * @param {Map<string, Line>} lines
 */
function say({ state, trouble }, lines) {
  const line = (/** @type {string} */ text) => make("p", { className: "verdict", textContent: text });
  if (state === "stopped") return [line(t("overview.stopped")), link("log", t("nav.log"))];
  const hop = trouble && lines.get(key(trouble))?.hop;
  if (!hop) return [line(t("overview.all_ok"))];
  const words = { hop: t(`overview.hop.${hop.name}`), why: why(hop), channel: hop.channel };
  return [line(t(hop.channel === null ? "overview.trouble" : "overview.trouble_channel", words)), hop.remedy && remedy(hop)];
}

/** @param {Hop} hop */
function why({ reason, behind }) {
  return behind ? t("overview.waits_for", { hop: t(`overview.hop.${behind}`) }) : t(`overview.why.${reason}`);
}

/**
 * What to do, and the way there.
 * @param {Hop} hop
 */
function remedy({ remedy: name }) {
  const place = PLACES[name];
  return make("p", { className: "remedy" }, `${t(`overview.do.${name}`)} `, place && link(place, t(`nav.${place}`)));
}

/**
 * @param {string} place
 * @param {string} text
 */
function link(place, text) {
  return make("a", { className: "button", href: `#/${place}`, textContent: text });
}

/**
 * @param {string} name
 * @param {any} value
 */
function fact(name, value) {
  if (name.endsWith("_bytes")) return size(value);
  if (name.endsWith("_percent")) return `${value} %`;
  if (name.endsWith("_seconds")) return duration(value);
  if (name === "next_try" || name === "last_upload") return clock(value);
  if (name === "main" || name === "sub") {
    return t("overview.stream", { rate: Math.round(value.bitrate / 1000), fps: value.fps, lost: value.packets_lost });
  }
  if (Array.isArray(value)) return value.map((word) => (hasText(`overview.alarm.${word}`) ? t(`overview.alarm.${word}`) : word)).join(", ") || "–";
  if (typeof value === "boolean") return t(value ? "overview.yes" : "overview.no");
  return String(value);
}

/** @param {{ name: string, channel: number | null }} hop */
function key({ name, channel }) {
  return `${channel ?? ""}/${name}`;
}
