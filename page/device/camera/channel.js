// The settings of one channel.

import { call, CallError } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { confirm } from "/parts/dialog.js";
import { fill, make, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { say } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import camera from "../texts/camera.js";
import texts from "../texts/channels.js";
import { probe } from "./probe.js";
import { backends, cameraChanges } from "./save.js";

register(camera);
register(texts);

/** Addresses and paths, and the backends that want them; others are shown where they are set.
 * @type {[string, string, string[]][]} */
const PLACES = [
  ["main", "camera.main", ["rtsp"]], ["sub", "camera.sub", ["rtsp"]], ["web", "channels.hosted_web", ["rtsp", "cgi"]],
  ["onvif", "channels.onvif", ["onvif"]], ["snapshot", "channels.snapshot", ["rtsp"]],
];
const QUALITIES = ["ld", "sd", "hd", "fhd"];
/** @type {[string, string][]} */
const STREAMS = [["main", "camera.main"], ["sub", "camera.sub"]];

/** @typedef {import("/parts/settings.js").Settings} Settings */
/** @typedef {import("/parts/fields.js").FieldOptions} FieldOptions */

/**
 * Builds the panels of a channel.
 * @param {Settings} settings
 * @param {number} number
 * @param {import("../page.js").Context} context
 */
export function buildChannel(settings, number, context) {
  const words = backends(settings, number);
  const isNetwork = words.some((word) => ["rtsp", "cgi", "onvif"].includes(word));
  const other = make("a", { className: "button", href: `#/channels/${number}/camera`, textContent: t("channels.other") });
  const remove = makeButton(t("channels.remove"), () => removeChannel(settings, number, context), { kind: "danger" });
  return [
    isNetwork && makePanel(t("channels.channel_number", { number }), buildCamera(settings, number, words).element),
    isNetwork && buildProbe(number, context),
    makePanel(t("channels.quality_map"), make("p", { className: "hint", textContent: t("channels.quality_hint") }), buildQuality(settings, number).element),
    makePanel(isNetwork ? t("channels.other") : t("channels.channel_number", { number }), make("div", { className: "buttons" }, other, remove)),
  ].filter((panel) => panel !== false);
}

/**
 * The form of where the camera is and how to log in to it.
 * @param {Settings} settings
 * @param {number} number
 * @param {string[]} words
 */
function buildCamera(settings, number, words) {
  const key = (/** @type {string} */ name) => `channel.${number}.${name}`;
  const isSecret = (/** @type {string} */ name) => settings.has(key(name));
  const places = PLACES.filter(([name, , kinds]) => settings.get(key(name)) || isSecret(name) || kinds.some((kind) => words.includes(kind)));
  /** @type {FieldOptions[]} */
  const fields = [
    ...places.map(([name, label]) => /** @type {FieldOptions} */ ({
      name, label: t(label), kind: "text", optional: true, longest: 1024, wide: true,
      hint: isSecret(name) ? t("channels.publish_keep", { server: settings.hint(key(name)) }) : undefined,
    })),
    ...(words.includes("cgi") ? [/** @type {FieldOptions} */ ({ name: "profile", label: t("channels.profile"), kind: "text", longest: 64 })] : []),
    { name: "username", label: t("channels.username"), kind: "text", optional: true, longest: 256 },
    { name: "password", label: t("channels.password"), kind: "secret", value: isSecret("password"), optional: true },
    { name: "transport", label: t("channels.transport"), kind: "choice", of: [["auto", "auto"], ["tcp", "TCP"], ["udp", "UDP"]] },
    ...(words.some((word) => ["cgi", "onvif"].includes(word))
      ? [/** @type {FieldOptions} */ ({ name: "input", label: t("channels.input"), kind: "number", min: 1, max: 256, optional: true })] : []),
    { name: "bitrate", label: t("channels.bitrate"), kind: "number", min: 1, max: 1e9, unit: "bit/s", optional: true },
    { name: "sub_bitrate", label: t("channels.sub_bitrate"), kind: "number", min: 1, max: 1e9, unit: "bit/s", optional: true },
  ];
  const form = buildForm({
    draft: `channels.${number}`,
    fields,
    names: Object.fromEntries(fields.map(({ name }) => [name, key(name)])),
    send: (values) => {
      // What was emptied goes; an address with a login in it stays until another one is typed.
      const wanted = fields.map(({ name, kind }) => {
        const empty = kind === "secret" || isSecret(name) ? undefined : null;
        return [key(name), values[name] ?? (name in values ? values[name] : empty)];
      });
      return save(settings, Object.fromEntries(wanted));
    },
  });
  form.write(Object.fromEntries(fields.map(({ name }) => [name, name === "password" ? isSecret(name) : settings.get(key(name))])));
  return form;
}

/**
 * @param {Settings} settings
 * @param {number} number
 */
function buildQuality(settings, number) {
  const key = (/** @type {string} */ name) => `channel.${number}.quality.${name}`;
  const form = buildForm({
    draft: `channels.${number}.quality`,
    fields: QUALITIES.map((name) => ({ name, kind: "choice", label: t(`channels.quality_${name}`), of: STREAMS.map(([value, label]) => [value, t(label)]) })),
    names: Object.fromEntries(QUALITIES.map((name) => [name, key(name)])),
    send: (values) => save(settings, Object.fromEntries(QUALITIES.map((name) => [key(name), values[name]]))),
  });
  const low = (/** @type {string} */ name) => (name === "ld" || name === "sd" ? "sub" : "main");
  form.write(Object.fromEntries(QUALITIES.map((name) => [name, settings.get(key(name)) ?? low(name)])));
  return form;
}

/**
 * @param {number} number
 * @param {import("../page.js").Context} context
 */
function buildProbe(number, { signal, go }) {
  const place = make("div", { className: "probe" });
  const more = make("div", { className: "buttons" });
  const run = async () => {
    fill(more);
    const probed = await probe({ channel: number }, place, signal);
    if (!Object.keys(probed.settings).length) return;
    fill(more, makeButton(t("channels.probe_propose"), async () => {
      const settings = await loadSettings(signal);
      const saved = await settings.save(cameraChanges(settings, number, probed.settings, undefined));
      if (saved) say(t("channels.proposed"));
      go(`channels/${number}`);
    }));
  };
  return makePanel(t("channels.probe"), make("div", { className: "buttons" }, makeButton(t("channels.probe"), run)), place, more);
}

/**
 * @param {Settings} settings
 * @param {Record<string, any>} wanted
 */
async function save(settings, wanted) {
  const saved = await settings.save(wanted);
  if (!saved) return t("camera.taken");
  settings.answer = (await loadSettings()).answer;
  return t(saved.restarted ? "channels.saved_restart" : "channels.saved");
}

/**
 * @param {Settings} settings
 * @param {number} number
 * @param {import("../page.js").Context} context
 */
async function removeChannel(settings, number, context) {
  const title = `${t("channels.channel_number", { number })}: ${t("channels.remove")}`;
  if (!await confirm({ title, text: t("channels.remove_text"), yes: t("channels.remove"), danger: true })) return;
  try {
    await call("DELETE", `/channels/${number}?version=${encodeURIComponent(settings.answer.version)}`);
  } catch (error) {
    // The person has seen what is there now only after looking again.
    if (error instanceof CallError && error.code === "outdated") settings.answer = (await loadSettings()).answer;
    throw error;
  }
  say(t("channels.removed"));
  context.go("channels");
}
