// The second step: the live picture of both streams, and what the camera can do.

import { call } from "/parts/api.js";
import { fill, make, makePanel } from "/parts/dom.js";
import { makeNotice } from "/parts/notice.js";
import { register, t } from "/parts/text.js";
import { drawResult } from "../camera/probe.js";
import { buildWatch } from "../camera/watch.js";
import { poll } from "../poll.js";
import texts from "../texts/wizard.js";
import { recall } from "./state.js";

register(texts);

/** Seconds between two looks at what the streams are. */
const PERIOD = 2;

/**
 * @param {HTMLElement} element
 * @param {import("../page.js").Context} context
 */
export async function showPicture(element, context) {
  const { signal } = context;
  const back = make("a", { className: "button", href: "#/wizard/camera", textContent: t("wizard.back") });
  const { channels } = await call("GET", "/live", undefined, { signal });
  if (!channels.length) {
    element.append(makeNotice("warn", t("wizard.no_camera")), make("p", {}, back));
    return;
  }
  const pictures = make("div", { className: "watches" });
  const next = make("a", { className: "button go", href: "#/wizard/cloud", textContent: t("wizard.next") });
  element.append(makePanel(t("wizard.live"), pictures), make("div", { className: "buttons" }, back, next));
  const { probed } = recall("camera");
  if (probed) element.append(makePanel(t("wizard.can"), ...drawResult(probed)));

  /** @type {Record<string, ReturnType<typeof buildWatch>>} */
  const shown = {};
  const look = async (/** @type {import("/parts/api.js").Options} */ options) => {
    const facts = await call("GET", "/channels/0/live", undefined, { ...options, seconds: 10 }).catch(() => null);
    if (!facts || signal.aborted) return;
    for (const seen of facts.streams) {
      shown[seen.stream] ??= buildWatch(0, seen.stream, signal);
      shown[seen.stream]?.tell(seen);
    }
    const elements = Object.values(shown).map((watch) => watch.element);
    if (pictures.childElementCount !== elements.length) fill(pictures, ...elements);
  };
  poll(context, PERIOD, look);
}
