// Looks at a camera, tells each step as it goes, and what the camera can do.

import { CallError } from "/parts/api.js";
import { fill, make, makeBadge, makeFacts } from "/parts/dom.js";
import { follow } from "/parts/follow.js";
import { register, t } from "/parts/text.js";
import texts from "../texts/camera.js";
import { makePicture } from "./search.js";

register(texts);

/**
 * What a probe found out.
 * @typedef {object} Probed
 * @property {boolean} is_good whether the camera can be used
 * @property {boolean} is_refused whether it refused the login
 * @property {boolean} wants_login
 * @property {boolean} is_silent whether nobody answers at the address
 * @property {string} maker
 * @property {string} model
 * @property {string} firmware
 * @property {{ stream: string, codec: string, width: number, height: number, has_sound: boolean }[]} streams
 * @property {{ name: string, is_there: boolean, said: string }[]} abilities
 * @property {Record<string, any>} settings the keys of a channel that serve it, without the password
 * @property {string | null} picture
 */

/** Abilities that people ask for, in the order in which they are told. */
const TOLD = ["snapshot", "ptz", "presets", "tours", "patrol", "motion", "tripwire", "wifi", "power"];

/**
 * Probes a camera, or the one of a channel; its steps are told in `place`.
 * @param {Record<string, any>} what `address`, `username`, `password` and `input`, or `channel`
 * @param {HTMLElement} place
 * @param {AbortSignal} signal
 * @returns {Promise<Probed>}
 */
export async function probe(what, place, signal) {
  const lines = make("ul", { className: "lines" });
  fill(place, make("p", { role: "status", textContent: t("camera.probing") }), lines);
  /** @type {Probed | undefined} */
  let result;
  await follow("/probe", what, {
    line: ({ text }) => { if (text) lines.append(make("li", { textContent: text })); },
    result: (told) => { result = told; },
  }, signal);
  if (!result) throw new CallError(0, "broken", t("error.broken"), "");
  fill(place, ...drawResult(result), make("details", {}, make("summary", { textContent: t("camera.details") }), lines));
  return result;
}

/**
 * What is wrong, as the refusal of a field; `null` if the camera can be used.
 * @param {Probed} result
 */
export function fault({ is_good, is_silent, is_refused, wants_login, streams, settings }) {
  const wrong = (/** @type {string} */ field, /** @type {string} */ text) => new CallError(422, "", t(text), field);
  if (is_silent) return wrong("address", "camera.silent");
  if (is_refused) return wrong("password", "camera.refused");
  if (wants_login && !streams.length) return wrong("username", "camera.wants_login");
  if (!Object.keys(settings).length) return wrong("address", "camera.unknown");
  if (!streams.some(({ stream }) => stream === "main")) return wrong("", "camera.no_stream");
  return is_good ? null : wrong("", "camera.not_good");
}

/**
 * What a camera is and can do.
 * @param {Probed} result
 */
export function drawResult({ is_good, maker, model, firmware, streams, abilities, picture }) {
  const name = [maker, model].filter(Boolean).join(" ");
  const stream = (/** @type {Probed["streams"][0]} */ { codec, width, height, has_sound }) =>
    `${codec} ${width} × ${height}${has_sound ? t("camera.with_sound") : ""}`;
  const told = abilities.filter(({ name }) => TOLD.includes(name)).sort((a, b) => TOLD.indexOf(a.name) - TOLD.indexOf(b.name));
  return [
    make("div", { className: "probed" },
      picture ? makePicture(picture) : null,
      makeFacts([
        ...(name ? /** @type {[string, string][]} */ ([[t("camera.model"), name]]) : []),
        ...(firmware ? /** @type {[string, string][]} */ ([[t("camera.firmware"), firmware]]) : []),
        ...streams.map((seen) => /** @type {[string, string]} */ ([t(`camera.${seen.stream}`), stream(seen)])),
      ])),
    is_good && make("p", { className: "abilities" }, ...told.map(({ name, is_there }) =>
      makeBadge(is_there ? "good" : "off", t(`camera.ability.${name}`)))),
  ];
}
