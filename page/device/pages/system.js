// The device as a whole: what runs on it, its password, files for support and for another device, and starting anew.

import { CallError, call } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { confirm } from "/parts/dialog.js";
import { fill, make, makeFacts, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { dateTime, duration } from "/parts/format.js";
import { explain, makeNotice, say } from "/parts/notice.js";
import { register, t } from "/parts/text.js";
import { buildAddress } from "../address.js";
import { makeDownload } from "../download.js";
import { askFor, fillIn, makeMissing } from "../missing.js";
import { buildNewPassword } from "../newpassword.js";
import { forget } from "../setup/state.js";
import texts from "../texts/system.js";

register(texts);

/** What has to be typed before everything is taken away. */
const SURE = "RESET";
/** Longest file of settings, in bytes. */
const LONGEST = 512 * 1024;

/** @type {import("../page.js").Page} */
const page = {
  name: "system",
  async show(element, context) {
    const system = await call("GET", "/system", undefined, { signal: context.signal });
    element.append(
      makePanel(t("system.program"), makeFacts([
        [t("system.version"), system.version],
        [t("system.firmware"), system.firmware_model ?? "–"],
        [t("system.model"), system.hardware_model ?? "–"],
        [t("system.built"), dateTime(system.built)],
        [t("system.platform"), system.platform],
        [t("system.running"), duration(system.running_seconds)],
      ])),
      makePanel(t("system.support"), make("p", { textContent: t("system.bundle_text") }),
        makeDownload(t("system.bundle"), "/api/v1/bundle", "ivt-diagnostics.tar")),
      makePanel(t("system.password"), buildNewPassword({
        submit: t("system.change"),
        old: true,
        send: async ({ old, new: chosen }) => {
          await call("PUT", "/password", { old, new: chosen });
          return t("system.changed");
        },
      }).element),
      await buildAddress(context),
      makeFiles(),
      makeStarts(system, context),
      makeReset(),
    );
  },
};

export default page;

/** All settings as a file, and back. */
function makeFiles() {
  const result = make("div", { role: "status" });
  const save = makeButton(t("system.export"), async () => {
    const { file } = await call("GET", "/configuration");
    const url = URL.createObjectURL(new Blob([JSON.stringify(file, null, 2)], { type: "application/json" }));
    make("a", { href: url, download: "ivt-settings.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  const choose = make("input", { type: "file", accept: ".json,application/json" });
  choose.addEventListener("change", async () => {
    const [file] = Array.from(choose.files ?? []);
    choose.value = "";
    if (!file) return;
    fill(result);
    try {
      fill(result, ...await take(file));
    } catch (error) {
      const field = error instanceof CallError && error.field && error.field !== "file" ? `${error.field}: ` : "";
      fill(result, makeNotice("bad", field + explain(error)));
    }
  });
  return makePanel(t("system.settings"), make("p", { textContent: t("system.settings_text") }),
    make("div", { className: "buttons" }, save), make("label", { className: "field" }, t("system.import"), choose), result);
}

/**
 * Takes a file of settings over, after a question, and says what became of it.
 * @param {File} file
 */
async function take(file) {
  if (file.size > LONGEST) throw new Error(t("system.no_settings"));
  let wanted = null;
  try {
    wanted = JSON.parse(await file.text());
  } catch { /* Said below. */ }
  if (typeof wanted?.format !== "string") throw new Error(t("system.no_settings"));
  let { version } = await call("GET", "/configuration");
  let text = t("system.import_text");
  let sure = false;
  /** @type {string[]} */
  const missing = [];
  for (;;) {
    sure ||= await confirm({ title: file.name, text, yes: t("system.import_yes") });
    if (!sure) return [];
    try {
      const { restarted, kept } = await call("PUT", "/configuration", { version, file: wanted });
      const said = [t(restarted ? "system.imported_restart" : "system.imported"), kept.length && t("system.kept", { keys: kept.join(", ") })];
      return [makeNotice("good", said.filter(Boolean).join(" ")), makeMissing(missing)];
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.code === "outdated") {
        // Somebody else was faster.
        ({ version } = error.answer);
        text = t("system.outdated", { keys: (error.answer.changed ?? []).join(", ") || "?" });
        sure = false;
        continue;
      }
      // A saved password does not go to another server by a file.
      const insists = error.code === "password_needed";
      if (error.code !== "secrets_needed" && !insists) throw error;
      const needed = insists ? [error.field] : error.answer.needed;
      const entered = await askFor(needed, insists);
      if (!entered) return [];
      missing.push(...fillIn(wanted, needed, entered));
    }
  }
}

/**
 * Starting the agent and cameras anew.
 * @param {{ restartable_channels: number[] }} system
 * @param {import("../page.js").Context} context
 */
function makeStarts(system, context) {
  const ask = (/** @type {string} */ title, /** @type {string} */ text, /** @type {string} */ path) => makeButton(title, async () => {
    if (!await confirm({ title, text, yes: t("system.restart_yes") })) return;
    await call("POST", path);
    say(t("system.restarting"));
    context.go("overview");
  });
  const cameras = system.restartable_channels.map((n) =>
    ask(t("system.restart_camera", { n }), t("system.restart_camera_text"), `/channels/${n}/restart`));
  return makePanel(t("system.start"), make("p", { textContent: t("system.restart_hint") }), make("div", { className: "buttons" },
    ask(t("system.restart"), t("system.restart_text"), "/system/restart"), ...cameras));
}

/** The way back to a device that is nobody's. */
function makeReset() {
  const form = buildForm({
    fields: [{ name: "confirm", kind: "text", label: t("system.reset_confirm", { word: SURE }), autocomplete: "off" }],
    submit: t("system.reset"),
    verify: ({ confirm: typed }) => (typed === SURE ? {} : { confirm: t("system.reset_type", { word: SURE }) }),
    send: async () => {
      await call("POST", "/system/reset", { confirm: SURE });
      forget();
      setTimeout(() => location.reload(), 3000);
      return t("system.reset_done");
    },
  });
  form.element.querySelector(".go")?.classList.replace("go", "danger");
  return makePanel(t("system.reset_title"), make("p", { textContent: t("system.reset_text") }), form.element);
}
