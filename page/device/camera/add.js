// Makes a camera the one of a channel: found on the network, or by its address; it is probed first.

import { makeButton } from "/parts/button.js";
import { confirm } from "/parts/dialog.js";
import { fill, make, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { say } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import { keep, recall } from "../setup/state.js";
import texts from "../texts/camera.js";
import { drawResult, fault, probe } from "./probe.js";
import { cameraChanges, countChannels, isBuiltIn, served } from "./save.js";
import { buildSearch } from "./search.js";

register(texts);

/** The user name of most cameras. */
const USER = "admin";

/**
 * Builds the search and the form. What is typed is kept under `step`.
 * @param {import("../page.js").Context} context
 * @param {{ number: number | null, step: string, first?: HTMLElement[], done: (number: number) => void }} options `number`: the channel,
 *   or `null` for a further one
 */
export function buildAdd(context, { number, step, first, done }) {
  const { signal } = context;
  const place = make("div", { className: "probe" });
  const anyway = make("div", { className: "buttons" });
  const kept = recall(step);

  const use = async (/** @type {import("./probe.js").Probed} */ probed) => {
    const settings = await loadSettings(signal);
    const wanted = number ?? countChannels(settings);
    if (wanted < countChannels(settings) && isBuiltIn(settings, wanted) && !await askReplace(wanted)) return t("camera.kept");
    if (number === null && wanted === 1 && settings.get("device.model") !== "nvr" && !await askRecorder()) return t("camera.kept");
    const { password } = recall(step);
    const saved = await settings.save(cameraChanges(settings, wanted, probed.settings, password || null));
    if (!saved) return t("camera.taken");
    if (saved.restarted) await served(wanted, signal);
    keep(step, { probed: { ...probed, picture: null } });
    done(wanted);
    return "";
  };

  const form = buildForm({
    fields: [
      { name: "address", kind: "text", label: t("camera.address"), hint: t("camera.address_hint"), longest: 512, wide: true },
      { name: "username", kind: "text", label: t("camera.username"), longest: 256, optional: true },
      { name: "password", kind: "password", label: t("camera.password"), longest: 256, optional: true, autocomplete: "off" },
      { name: "input", kind: "number", label: t("camera.input"), hint: t("camera.input_hint"), min: 1, max: 256, optional: true },
    ],
    submit: t("camera.use"),
    send: async ({ address, username = "", password = "", input }) => {
      fill(anyway);
      // The form forgets a password that it has sent; what is kept stays for the way back.
      note();
      const login = username ? { username, password } : {};
      const asked = { address: address.trim(), ...login, ...(input ? { input } : {}) };
      let probed;
      try {
        probed = await probe(asked, place, signal);
      } catch (error) {
        fill(place);
        throw error;
      }
      const wrong = fault(probed);
      if (!wrong) return use(probed);
      const shows = probed.streams.some(({ stream }) => stream === "main");
      if (shows && !wrong.field) fill(anyway, makeButton(t("camera.use_anyway"), async () => say(await use(probed) || t("camera.saved"))));
      throw wrong;
    },
  });
  const note = () => keep(step, { address: "", username: "", password: "", input: null, ...form.read() });
  form.element.addEventListener("input", note);
  form.write({ username: USER, ...kept });
  note();
  if (kept.probed) fill(place, ...drawResult(kept.probed));

  const search = buildSearch({
    signal,
    first,
    choose: ({ address }) => {
      const field = form.field("address");
      field.write(address);
      field.refuse("");
      note();
      fill(place);
      form.field("password").input.focus();
      form.element.scrollIntoView({ block: "nearest" });
    },
  });
  const element = make("div", { className: "add" },
    makePanel(t("camera.on_network"), search.element),
    makePanel(t("camera.this"), form.element, place, anyway));
  return { element };
}

/** @param {number} channel */
function askReplace(channel) {
  return confirm({ title: t("camera.replace"), text: t("camera.replace_text", { channel }), yes: t("camera.replace_yes"), danger: true });
}

function askRecorder() {
  return confirm({ title: t("camera.recorder"), text: t("camera.recorder_text"), yes: t("camera.recorder_yes") });
}
