// The connection to the cloud (IVC): its state, the login with a test hop by hop, and what is agreed with the cloud.

import { call, CallError } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { dateTime, duration } from "/parts/format.js";
import { makeNotice } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import { advise, buildHops } from "../hops.js";
import { poll } from "../poll.js";
import { told } from "../saved.js";
import { forget, keep, recall } from "../setup/state.js";
import texts from "../texts/cloud.js";

register(texts);

/** The step of the wizard under which what is typed there is kept. */
const STEP = "cloud";
const NAMES = { url: "cloud.url", login_code: "cloud.login_code", login_passwd: "cloud.login_passwd" };
const SAVED = { plain: "cloud.saved", restarted: "cloud.saved_restart" };
/** @type {Record<string, "good" | "warn" | "off">} */
const KINDS = { online: "good", dialling: "warn", waiting: "warn", off: "off" };
/** The field at which a hop is mended. @type {Record<string, string>} */
const MENDS = { name: NAMES.url, tcp: NAMES.url, login: NAMES.login_code };

/** What was chosen on the page and is not saved yet. @type {Choice} */
let chosen;

/**
 * Authorities that are to be trusted: a file, `null` for those of the system, and `undefined` for what holds.
 * @typedef {{ name: string, pem: string } | null | undefined} Choice
 */
/** @typedef {import("../page.js").Context} Context */
/** @typedef {import("/parts/settings.js").Settings} Settings */

/** @type {import("../page.js").Page} */
const page = {
  name: "cloud",
  async show(element, context) {
    const facts = make("div");
    const draw = async () => {
      const settings = await loadSettings(context.signal);
      const login = buildLogin(context, settings, draw);
      fill(element, makePanel(t("cloud.state"), facts), settings.problem !== null && makeNotice("bad", settings.problem),
        makePanel(t("cloud.login"), login.element), makePanel(t("cloud.more"), buildMore(settings, draw)));
      return login;
    };
    const { authorities } = await draw();
    poll(context, 3, async (options) => {
      const cloud = await call("GET", "/cloud", undefined, options);
      authorities.show(cloud.ca);
      show(facts, cloud);
    });
  },
};

export default page;

/**
 * The form of the wizard: one button tests the login and saves it where the test is good; `done` is called then.
 * @param {Context} context
 * @param {{ done: () => unknown }} options
 */
export async function buildCloudForm(context, { done }) {
  const settings = await loadSettings(context.signal);
  const place = make("div");
  const draw = () => fill(place, buildLogin(context, settings, draw, done).element);
  draw();
  return { element: place };
}

/**
 * The login: address, login code, password and authorities.
 * @param {Context} context
 * @param {Settings} settings
 * @param {() => unknown} again draws it anew
 * @param {() => unknown} [done] tested first, saved then, and called in the end
 */
function buildLogin(context, settings, again, done) {
  const hops = buildHops();
  const typed = done ? recall(STEP) : { ca: chosen };
  const authorities = buildAuthorities(settings.get("cloud.ca_file") !== undefined, typed.ca, (ca) => {
    // A key that was chosen by mistake is not left in the browser.
    if (done) keep(STEP, { ca: ca && ca.pem.includes("PRIVATE KEY") ? undefined : ca });
    else chosen = ca;
  });
  const isSet = settings.has("cloud.login_passwd");
  const test = async () => {
    if (!form.check()) return false;
    const { url, login_code, login_passwd } = form.read();
    const ca = authorities.read();
    const body = { url, login_code, login_passwd, ...(ca === undefined ? {} : { ca: ca && ca.pem }) };
    return hops.run("/cloud/test", body, context.signal);
  };
  const save = async () => {
    const { url, login_code, login_passwd } = form.read();
    const ca = authorities.read();
    const file = ca ? (await call("PUT", "/cloud/ca", { pem: ca.pem })).file : ca;
    const saved = await settings.save({ [NAMES.url]: url, [NAMES.login_code]: login_code, [NAMES.login_passwd]: login_passwd, "cloud.ca_file": file });
    if (saved) {
      chosen = undefined;
      forget(STEP);
    }
    if (saved) await done?.();
    return told(saved, SAVED, again);
  };
  const testAndSave = async () => {
    if (await test()) return save();
    const stop = hops.stop();
    const field = stop ? MENDS[stop.hop] ?? "" : "";
    throw new CallError(0, "cloud_test", `${t("cloud.not_saved")} ${stop ? advise(stop) : ""}`, field);
  };
  const button = makeButton(t("cloud.test"), async () => {
    try {
      await test();
    } catch (error) {
      form.refuse(error);
    }
  });
  const form = buildForm({
    draft: done ? "wizard.cloud" : "cloud",
    fields: [
      { name: "url", kind: "text", label: t("cloud.url"), hint: t("cloud.url_hint"), longest: 1024, wide: true },
      { name: "login_code", kind: "text", label: t("cloud.login_code"), longest: 256 },
      { name: "login_passwd", kind: "secret", label: t("cloud.login_passwd"), longest: 256 },
    ],
    names: NAMES,
    verify: ({ login_passwd }) => (login_passwd === undefined && !isSet ? { login_passwd: t("part.required") } : {}),
    submit: t(done ? "cloud.test_save" : "part.save"),
    buttons: done ? [] : [button],
    send: done ? testAndSave : save,
  });
  form.element.querySelector(".fields")?.append(authorities.element);
  form.element.append(hops.element);
  form.write({ url: settings.get(NAMES.url) ?? "", login_code: settings.get(NAMES.login_code) ?? "", login_passwd: isSet, ...typed });
  if (done) {
    form.element.addEventListener("input", () => {
      const { url, login_code } = form.read();
      keep(STEP, { url, login_code });
    });
  }
  return { element: form.element, authorities };
}

/**
 * The choice of authorities.
 * @param {boolean} isSet
 * @param {Choice} first what was chosen before the page was drawn anew
 * @param {(choice: Choice) => void} change is told each choice
 */
function buildAuthorities(isSet, first, change) {
  const input = make("input", { type: "file", accept: ".pem,.crt,.cer,.txt", name: "ca", id: "cloud-ca" });
  const remove = make("input", { type: "checkbox", checked: first === null });
  const now = make("p", { className: "hint" });
  let file = first ?? undefined;
  const read = () => (remove.checked ? null : file);
  const draw = () => {
    now.textContent = file ? t("cloud.ca_chosen", { name: file.name }) : t(isSet ? "cloud.ca_own" : "cloud.ca_system");
  };
  input.addEventListener("change", async () => {
    const [one] = Array.from(input.files ?? []);
    file = one && { name: one.name, pem: await one.text() };
    draw();
    change(read());
  });
  remove.addEventListener("change", () => change(read()));
  draw();
  const element = make("div", { className: "field wide" }, make("label", { for: "cloud-ca", textContent: `${t("cloud.ca")} (${t("part.optional")})` }), input,
    now, isSet && make("label", { className: "check" }, remove, t("cloud.ca_remove")));
  /** @param {{ subject: string, until: string }[] | null} certificates */
  const show = (certificates) => {
    if (file || !certificates?.length) return;
    now.textContent = certificates.map(({ subject, until }) => t("cloud.ca_one", { subject, until: dateTime(until) })).join("; ");
  };
  return { element, show, read };
}

/**
 * What is agreed with the cloud beside the login.
 * @param {Settings} settings
 * @param {() => unknown} again
 */
function buildMore(settings, again) {
  const switches = ["stop_publish_on_disconnect", "accept_bare_answers", "preview"];
  const form = buildForm({
    draft: "cloud.more",
    fields: [
      { name: "hardware_model", kind: "text", label: t("cloud.hardware_model"), longest: 256 },
      { name: "firmware_model", kind: "text", label: t("cloud.firmware_model"), hint: t("cloud.firmware_hint"), longest: 256, optional: true },
      { name: "allow_hosts", kind: "text", label: t("cloud.allow_hosts"), hint: t("cloud.allow_hosts_hint"), longest: 4096, optional: true, wide: true },
      ...switches.map((name) => ({ name, kind: /** @type {"switch"} */ ("switch"), label: t(`cloud.${name}`), wide: true })),
    ],
    names: Object.fromEntries(["hardware_model", "firmware_model", "allow_hosts", ...switches].map((name) => [name, `cloud.${name}`])),
    send: async (values) => {
      const hosts = (values.allow_hosts ?? "").split(/[\s,;，；]+/).filter(Boolean);
      /** @type {Record<string, any>} */
      const changes = { "cloud.hardware_model": values.hardware_model, "cloud.firmware_model": values.firmware_model ?? null, "cloud.allow_hosts": hosts };
      for (const name of switches) changes[`cloud.${name}`] = values[name];
      const saved = await settings.save(changes);
      return told(saved, SAVED, again);
    },
  });
  form.write({
    hardware_model: settings.get("cloud.hardware_model"),
    firmware_model: settings.get("cloud.firmware_model") ?? "",
    allow_hosts: (settings.get("cloud.allow_hosts") ?? []).join(", "),
    ...Object.fromEntries(switches.map((name) => [name, settings.get(`cloud.${name}`)])),
  });
  return form.element;
}

/**
 * @param {HTMLElement} place
 * @param {any} cloud
 */
function show(place, cloud) {
  /** @type {[string, import("/parts/dom.js").Child][]} */
  const facts = [[t("cloud.connection"), makeBadge(KINDS[cloud.state] ?? "off", t(`cloud.state.${cloud.state}`))]];
  if (cloud.url) facts.push([t("cloud.url"), cloud.url]);
  if (cloud.login_code) facts.push([t("cloud.login_code"), cloud.login_code]);
  if (cloud.keepalive_seconds !== null) facts.push([t("cloud.keepalive"), t("part.ago", { time: duration(cloud.keepalive_seconds) })]);
  if (cloud.retry_seconds !== null) facts.push([t("cloud.retry"), duration(cloud.retry_seconds)]);
  if (cloud.ended && cloud.state !== "online") facts.push([t("cloud.ended"), cloud.ended]);
  fill(place, cloud.wrong_login && makeNotice("bad", t("cloud.wrong_login")), makeFacts(facts));
}
