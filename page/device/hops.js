// The hops of a test, one below the other: how far it gets, how long each takes, and what to do where it stops.

import { fill, make, makeBadge } from "/parts/dom.js";
import { follow } from "/parts/follow.js";
import { dateTime } from "/parts/format.js";
import { register, t } from "/parts/text.js";
import texts from "./texts/hops.js";

register(texts);

/**
 * What the device tells of a hop.
 * @typedef {object} Told
 * @property {string} hop
 * @property {"running" | "good" | "bad" | "in_use"} state
 * @property {number} [seconds]
 * @property {string[]} [addresses]
 * @property {{ subject: string, issuer: string, from: string, until: string } | null} [certificate]
 * @property {string} [reason]
 * @property {string} [said]
 * @property {number | null} [answered_seconds]
 */

/** @type {Record<Told["state"], "good" | "bad" | "off">} */
const KINDS = { running: "off", good: "good", bad: "bad", in_use: "good" };

/** Builds the list, which is empty until a test begins. */
export function buildHops() {
  const list = make("ol", { className: "hops", "aria-live": "polite" });
  /** @type {Map<string, HTMLElement>} */
  const rows = new Map();
  /** @type {Told | null} */
  let stop = null;
  const tell = (/** @type {Told} */ told) => {
    const row = rows.get(told.hop) ?? make("li");
    if (!rows.has(told.hop)) list.append(row);
    rows.set(told.hop, row);
    row.dataset.hop = told.hop;
    row.dataset.state = told.state;
    if (told.state === "bad") stop = told;
    const time = told.seconds === undefined ? "" : spent(told.seconds);
    fill(row, make("div", {}, makeBadge(KINDS[told.state], t(`hops.state.${told.state}`)), make("strong", { textContent: t(`hops.hop.${told.hop}`) }),
      make("span", { className: "hint", textContent: time })), ...describe(told));
  };
  /**
   * Runs a test anew, and returns whether it was good.
   * @param {string} path below `/api/v1`
   * @param {any} body
   * @param {AbortSignal} signal
   */
  const run = async (path, body, signal) => {
    rows.clear();
    stop = null;
    fill(list);
    let isGood = false;
    try {
      await follow(path, body, { hop: tell, end: ({ good }) => { isGood = good; } }, signal);
    } finally {
      // Where the device was lost, nobody says any more what became of the hop.
      for (const row of list.querySelectorAll("[data-state=running]")) row.remove();
    }
    return isGood;
  };
  return {
    element: list,
    run,
    /** Where it stopped; null if it did not. */
    stop: () => stop,
  };
}

/**
 * Why a hop failed, and what to do, in words.
 * @param {Told} told
 */
export function advise({ reason = "" }) {
  return [t(`hops.why.${reason}`), t(`hops.do.${reason}`)].filter((text) => !text.startsWith("hops.")).join(" ");
}

/** @param {number} seconds */
function spent(seconds) {
  return seconds < 1 ? t("hops.milliseconds", { n: Math.round(seconds * 1000) }) : t("hops.seconds", { n: seconds.toFixed(1) });
}

/** @param {Told} told */
function describe(told) {
  const lines = [];
  if (told.addresses?.length) lines.push(told.addresses.join(", "));
  if (told.certificate) {
    const { subject, issuer, until } = told.certificate;
    lines.push(t("hops.certificate", { subject: subject || "–", issuer: issuer || "–", until: dateTime(until) }));
  }
  if (told.state === "in_use") lines.push(t("hops.in_use"));
  if (told.reason) lines.push(advise(told) || told.reason);
  if (told.said) lines.push(t("hops.said", { said: told.said }));
  return lines.map((textContent) => make("p", { textContent }));
}
