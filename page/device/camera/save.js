// Puts a camera into the settings of a channel.

import { call } from "/parts/api.js";

/** What a camera is described by. What another camera does not need goes with the one before. */
const CAMERA = ["backend", "main", "sub", "command", "alarms", "web", "onvif", "profile", "input", "snapshot", "web_cgi", "username", "abilities.streams"];
const PATIENCE_MS = 15000;
const PAUSE_MS = 300;

/** @typedef {import("/parts/settings.js").Settings} Settings */

/**
 * How many channels there are.
 * @param {Settings} settings
 */
export function countChannels({ answer }) {
  const keys = Object.keys({ ...answer.values, ...answer.secrets });
  const numbers = keys.map((key) => Number(/^channel\.(\d+)\./.exec(key)?.[1] ?? -1));
  return Math.max(-1, ...numbers) + 1;
}

/**
 * The backends of a channel.
 * @param {Settings} settings
 * @param {number} number
 * @returns {string[]}
 */
export function backends(settings, number) {
  return [settings.get(`channel.${number}.backend`) ?? []].flat();
}

/**
 * Whether the camera of a channel is this device's own: it streams by itself, or from this very device.
 * @param {Settings} settings
 * @param {number} number
 */
export function isBuiltIn(settings, number) {
  const words = backends(settings, number);
  if (words.includes("emulator") || words.includes("linux")) return true;
  const places = ["main", "web", "onvif"].map((key) => settings.get(`channel.${number}.${key}`) ?? settings.hint(`channel.${number}.${key}`));
  return places.some((place) => /(^|\/\/|@)(127\.\d|localhost|\[::1\])/.test(place));
}

/**
 * The changes that make a channel of a camera. The board behind it stays.
 * @param {Settings} settings
 * @param {number} number of the channel, or of the next one
 * @param {Record<string, any>} camera keys of a channel
 * @param {string | null | undefined} password
 * @returns {Record<string, any>}
 */
export function cameraChanges(settings, number, camera, password) {
  const count = countChannels(settings);
  const { values, secrets } = settings.answer;
  const key = (/** @type {string} */ name) => `channel.${number}.${name}`;
  const board = number < count && backends(settings, number).includes("linux") ? ["linux"] : [];
  const gone = CAMERA.filter((name) => !(name in camera) && (key(name) in values || key(name) in secrets));
  const all = { ...camera };
  if (board.length && camera.backend) all.backend = [...new Set([camera.backend, board].flat())];
  /** @type {Record<string, any>} */
  const changes = Object.fromEntries([...gone.map((name) => [key(name), null]), ...Object.entries(all).map(([name, value]) => [key(name), value])]);
  if (password) changes[key("password")] = password;
  else if (password === null || !camera.username) changes[key("password")] = settings.has(key("password")) ? null : undefined;
  if (number === count && count > 0) changes["device.model"] = "nvr";
  return changes;
}

/**
 * Waits until a channel is served: the agent starts anew for a further one.
 * @param {number} number
 * @param {AbortSignal} signal
 */
export async function served(number, signal) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end && !signal.aborted) {
    const found = await call("GET", "/live", undefined, { signal, seconds: 5, background: true }).catch(() => null);
    if (found?.channels.length > number) return;
    await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
  }
}

/**
 * Where the camera of a channel is, without its login.
 * @param {Settings} settings
 * @param {number} number
 */
export function shownAddress(settings, number) {
  const keys = ["web", "onvif", "main"].map((name) => `channel.${number}.${name}`);
  const found = keys.map((key) => settings.get(key) || settings.hint(key)).find(Boolean);
  return found ? String(found) : "";
}
