// The channels: their cameras, which stream serves which quality, and what is pushed all the time.

import { call } from "/parts/api.js";
import { make, makeBadge, makePanel } from "/parts/dom.js";
import { makeNotice } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { buildTable } from "/parts/table.js";
import { register, t } from "/parts/text.js";
import { buildAdd } from "../camera/add.js";
import { buildChannel } from "../camera/channel.js";
import { buildPublishes } from "../camera/publishes.js";
import { backends, countChannels, shownAddress } from "../camera/save.js";
import texts from "../texts/channels.js";

register(texts);

/** @typedef {import("../page.js").Context} Context */
/** @typedef {import("/parts/settings.js").Settings} Settings */

/** @type {import("../page.js").Page} */
const page = {
  name: "channels",
  async show(element, context) {
    const [which, what] = context.parameters;
    if (which === undefined) return showAll(element, context);
    element.append(make("p", {}, make("a", { className: "button", href: "#/channels", textContent: t("channels.all") })));
    if (which === "add") {
      element.append(buildAdd(context, { number: null, step: "add", done: (number) => context.go(`channels/${number}`) }).element);
      return undefined;
    }
    const settings = await loadSettings(context.signal);
    const number = Number(which);
    if (!Number.isInteger(number) || number < 0 || number >= countChannels(settings)) {
      element.append(makeNotice("warn", t("channels.gone")));
    } else if (what === "camera") {
      const done = () => context.go(`channels/${number}`);
      element.append(buildAdd(context, { number, step: `channel ${number}`, done }).element);
    } else {
      element.append(...buildChannel(settings, number, context));
    }
    return undefined;
  },
};
export default page;

/**
 * @param {HTMLElement} element
 * @param {Context} context
 */
async function showAll(element, context) {
  const settings = await loadSettings(context.signal);
  const count = countChannels(settings);
  const rows = Array.from({ length: count }, (_, number) => ({ number }));
  const table = buildTable(rows, [
    { name: "channel", label: t("channels.channel"), show: ({ number }) => String(number) },
    { name: "backend", label: t("channels.backend"), show: ({ number }) => backends(settings, number).join(", ") },
    { name: "address", label: t("channels.address"), show: ({ number }) => shownAddress(settings, number) || "–" },
    { name: "streams", label: t("channels.streams"), show: ({ number }) => buildStreams(number, context) },
  ], { empty: t("channels.empty"), actions: ({ number }) => [[t("channels.change"), () => context.go(`channels/${number}`)]] });
  const add = make("a", { className: count ? "button" : "button go", href: "#/channels/add", textContent: t("channels.add") });
  element.append(makePanel(t("nav.channels"), table, make("p", {}, add)));
  if (count) element.append(await buildPublishes(count, context));
}

/**
 * How the streams of a channel are.
 * @param {number} number
 * @param {Context} context
 */
function buildStreams(number, { signal }) {
  const place = make("span", { className: "badges" });
  call("GET", `/channels/${number}/live`, undefined, { signal, seconds: 10 }).then(({ streams }) => {
    place.replaceChildren(...streams.map((/** @type {{ stream: string, state: string }} */ { stream, state }) =>
      makeBadge(state === "failed" ? "bad" : state === "live" ? "good" : "off", `${t(`camera.${stream}`)}: ${t(`channels.state_${state}`)}`)));
  }).catch(() => {});
  return place;
}
