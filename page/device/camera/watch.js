// The live picture of one stream of a channel, with what it is.

import { fill, make } from "/parts/dom.js";
import { explain, makeNotice } from "/parts/notice.js";
import { Player } from "/parts/player.js";
import { language, register, t } from "/parts/text.js";
import { LiveFeed } from "../livefeed.js";
import live from "../texts/live.js";

register(live);

/**
 * Builds the picture. `tell` is given what the device says of the stream.
 * @param {number} channel
 * @param {"main" | "sub"} stream
 * @param {AbortSignal} signal
 */
export function buildWatch(channel, stream, signal) {
  const video = make("video", { muted: true, autoplay: true, playsInline: true, "aria-label": t(`live.${stream}`) });
  const facts = make("p", { className: "facts" });
  const trouble = make("div", { role: "status" });
  let said = "";
  const draw = () => {
    const text = problem(player, feed);
    if (text === said) return;
    said = text;
    fill(trouble, text && makeNotice("warn", text));
  };
  const player = new Player(video, { change: draw, overflow: () => feed.again(true), signal });
  const feed = new LiveFeed(player, { change: draw, signal });
  feed.open({ channel, stream, sound: false });
  const element = make("figure", { className: "watch" }, make("figcaption", { textContent: t(`live.${stream}`) }), video, facts, trouble);
  const tell = (/** @type {import("../pages/live.js").StreamFacts} */ { video: picture, fps, bitrate }) => {
    const number = new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { maximumFractionDigits: 0 });
    const rate = `${number.format(fps)} fps · ${number.format(bitrate / 1000)} kbit/s`;
    facts.textContent = picture ? `${picture.codec} · ${picture.width} × ${picture.height} · ${rate}` : "";
  };
  return { element, tell };
}

/**
 * Why there is no picture; empty if there is one, or if it is awaited.
 * @param {Player} player
 * @param {LiveFeed} feed
 */
function problem({ state }, { trouble, type }) {
  if (trouble) return explain(trouble);
  if (state === "unsupported") return t("live.unsupported");
  if (state === "undecodable") return t("live.undecodable");
  if (state !== "unplayable") return "";
  return /hvc1|hev1/.test(type) ? `${t("live.h265")} ${t("live.set_h264")}` : t("live.unplayable", { type });
}
