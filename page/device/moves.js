// What moves a camera: the pad, its presets, tours and patrol.

import { call, CallError } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { make, makePanel } from "/parts/dom.js";
import { explain, makeNotice, say } from "/parts/notice.js";
import { buildPad } from "/parts/pad.js";
import { register, t } from "/parts/text.js";
import texts from "./texts/live.js";

register(texts);

/** The device stops a movement that is not asked for again in 1.8 s. */
const REPEAT_MS = 600;

/**
 * What a camera can do.
 * @typedef {{ ptz: boolean, presets: boolean, tours: boolean, patrol: boolean, snapshot: boolean }} Abilities
 */

/**
 * The panel that moves a channel's camera; `null` where it cannot be moved.
 * @param {number} channel
 * @param {Abilities} abilities
 * @param {AbortSignal} signal
 */
export function buildMoves(channel, abilities, signal) {
  const { ptz, presets, tours, patrol } = abilities;
  if (!ptz && !presets && !tours && !patrol) return null;
  const order = (/** @type {object} */ body) => call("POST", `/channels/${channel}/ptz`, body, { seconds: 12 });
  const panel = makePanel(t("live.move"));
  panel.classList.add("moves");
  if (ptz) panel.append(buildOwnPad(order, signal), make("p", { className: "hint", textContent: t("live.hold") }));
  const lists = make("div", { className: "lists" });
  panel.append(lists);
  if (presets) {
    buildList(lists, `/channels/${channel}/presets`, "presets", signal, (token) => [
      [t("live.go"), () => order({ op: "preset", token: token() }), "live.going"],
    ]);
  }
  if (tours) {
    buildList(lists, `/channels/${channel}/tours`, "tours", signal, (token) => [
      [t("live.start"), () => order({ op: "tour", token: token() }), "live.started"],
      [t("live.stop"), () => order({ op: "end_tour", token: token() }), "live.stopped"],
    ]);
  }
  if (patrol) {
    lists.append(make("div", { className: "list-of patrol" }, make("span", { textContent: t("live.patrol") }), makeOrders([
      [t("live.start"), () => order({ op: "patrol" }), "live.started"],
      [t("live.stop"), () => order({ op: "end_patrol" }), "live.stopped"],
    ])));
  }
  return panel;
}

/**
 * @param {(body: object) => Promise<unknown>} order
 * @param {AbortSignal} signal
 */
function buildOwnPad(order, signal) {
  const told = async (/** @type {object} */ body) => {
    try {
      await order(body);
    } catch (error) {
      // Somebody else moves the camera, too, and was later.
      if (!(error instanceof CallError && error.code === "replaced")) say(explain(error), true);
      throw error;
    }
  };
  return buildPad({
    move: (op, speed) => told({ op, speed }),
    stop: () => told({ op: "stop" }),
    repeat: REPEAT_MS,
    labels: { keys: t("live.keys"), speed: t("live.speed"), name: (op) => t(`live.op_${op}`) },
    signal,
  });
}

/** @typedef {[label: string, run: () => Promise<unknown>, said: string]} Ordering A button, and the key of what is said then. */

/**
 * A list of what the camera remembers, filled in when it has said so. Left out where there is nothing.
 * @param {HTMLElement} place
 * @param {string} path
 * @param {"presets" | "tours"} kind
 * @param {AbortSignal} signal
 * @param {(token: () => string) => Ordering[]} orders
 */
async function buildList(place, path, kind, signal, orders) {
  const choice = make("select", { name: kind });
  const group = make("div", { className: `list-of ${kind}`, hidden: true },
    make("label", {}, t(`live.${kind}`), choice), makeOrders(orders(() => choice.value)));
  place.append(group);
  try {
    const { [kind]: list } = await call("GET", path, undefined, { signal, seconds: 12 });
    choice.append(...list.map((/** @type {{ token: string, name: string }} */ { token, name }) =>
      make("option", { value: token, textContent: name || token })));
    group.hidden = !list.length;
  } catch (error) {
    if (signal.aborted || (error instanceof CallError && error.code === "unsupported")) return;
    group.replaceWith(makeNotice("warn", `${t(`live.${kind}`)}: ${explain(error)}`));
  }
}

/** @param {Ordering[]} orders */
function makeOrders(orders) {
  return make("div", { className: "buttons" }, ...orders.map(([label, run, said]) =>
    makeButton(label, async () => {
      await run();
      say(t(said));
    })));
}
