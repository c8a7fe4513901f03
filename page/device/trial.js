// A change of the page's own address: it holds once the page was opened at the new one, and is taken back else.

import { call } from "/parts/api.js";
import { fill, make } from "/parts/dom.js";
import { makeNotice, say } from "/parts/notice.js";
import { t } from "/parts/text.js";

const AGAIN_MS = 2000;

/**
 * What the device says of its page's address.
 * @typedef {object} Place
 * @property {string[]} urls where the page is
 * @property {boolean} https
 * @property {{ seconds: number, here: boolean, urls: string[] } | null} trial a new address that is not confirmed yet; `here` where
 *   this very call came to it
 * @property {string | null} taken_back why the last change was taken back
 */

/** Where the trial is told of. */
const place = make("div", { className: "trial", role: "status" });
let timer = 0;

/** The element that tells of a trial; empty while there is none. */
export function trialPlace() {
  return place;
}

/**
 * Confirms a new address that was reached, or leads to it, until the trial has ended.
 * @param {number} [looks] how many further looks follow where there is no trial: it begins a moment after a change was saved
 */
export async function lookAtTrial(looks = 0) {
  clearTimeout(timer);
  try {
    /** @type {Place} */
    const { trial, taken_back: takenBack } = await call("GET", "/web", undefined, { seconds: 5, background: true });
    if (trial?.here) {
      await call("POST", "/web/confirm");
      say(t("shell.address_confirmed"));
      fill(place);
    } else if (trial) {
      lead(trial);
      again();
    } else if (place.hasChildNodes()) {
      fill(place, takenBack !== null && makeNotice("warn", t("shell.address_taken_back")));
    } else if (looks > 0) {
      again(looks - 1);
    }
  } catch {
    // The old address ends when the new one is confirmed: what leads there stays.
    if (place.hasChildNodes()) again();
  }
}

/** @param {number} [looks] */
function again(looks) {
  timer = window.setTimeout(() => lookAtTrial(looks), AGAIN_MS);
}

/** @param {{ seconds: number, urls: string[] }} trial */
function lead({ seconds, urls }) {
  const notice = makeNotice("warn", t("shell.address_trial", { seconds }));
  const links = urls.map((href) => make("a", { className: "button", href, textContent: href }));
  fill(place, notice, make("div", { className: "buttons" }, ...links));
}
