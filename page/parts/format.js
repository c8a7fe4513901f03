// Numbers and times as people read them.

import { language, register, t } from "./text.js";
import texts from "./texts.js";

register(texts);

/** @type {[string, number][]} */
const UNITS = [["part.days", 86400], ["part.hours", 3600], ["part.minutes", 60], ["part.seconds", 1]];
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * A length of time by its two largest units, such as "3 h 12 min".
 * @param {number} seconds
 */
export function duration(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [key, unit] of UNITS) {
    const n = Math.floor(left / unit);
    left -= n * unit;
    if (n || (unit === 1 && !parts.length)) parts.push(t(key, { n }));
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/**
 * How long ago a moment is, by this browser's clock.
 * @param {string | number} moment RFC 3339, or milliseconds since 1970
 */
export function ago(moment) {
  return t("part.ago", { time: duration((Date.now() - new Date(moment).getTime()) / 1000) });
}

/**
 * A number of bytes, such as "1.5 MiB".
 * @param {number} bytes
 */
export function size(bytes) {
  const unit = Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** unit;
  return `${value.toFixed(unit && value < 100 ? 1 : 0)} ${SIZES[unit]}`;
}

/**
 * Date and time of a moment in this browser's zone.
 * @param {string | number} moment RFC 3339, or milliseconds since 1970
 */
export function dateTime(moment) {
  return new Date(moment).toLocaleString(tag(), { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
}

/**
 * Time of day of a moment in this browser's zone.
 * @param {string | number} moment RFC 3339, or milliseconds since 1970
 */
export function clock(moment) {
  return new Date(moment).toLocaleTimeString(tag(), { hourCycle: "h23" });
}

function tag() {
  return language() === "zh" ? "zh-CN" : "en-GB";
}
