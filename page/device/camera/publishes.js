// The list of what is pushed all the time. Its addresses hold stream keys: they can be replaced and are never shown.

import { call, CallError } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { fill, make, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { explain, say } from "/parts/notice.js";
import { register, t } from "/parts/text.js";
import texts from "../texts/channels.js";

register(texts);

/**
 * @typedef {{ enable: boolean, channel: number, quality: string, server: string }} Row
 * @typedef {{ version: string, rows: Row[] }} List
 */

/**
 * Builds the panel of the list.
 * @param {number} channels how many there are
 * @param {import("../page.js").Context} context
 */
export async function buildPublishes(channels, { signal }) {
  const place = make("div");
  const panel = makePanel(t("channels.publishes"), make("p", { className: "hint", textContent: t("channels.publishes_hint") }), place);
  /** @type {List} */
  let list = await call("GET", "/publishes", undefined, { signal });
  const replace = async (/** @type {Record<string, any>[]} */ rows) => {
    try {
      list = await call("PUT", "/publishes", { version: list.version, rows });
    } catch (error) {
      if (!(error instanceof CallError) || error.code !== "outdated") throw error;
      list = await call("GET", "/publishes", undefined, { signal });
      say(explain(error), true);
    }
    draw();
  };
  const keeping = () => list.rows.map(({ enable, channel, quality }, keep) => ({ enable, channel, quality, keep }));
  const draw = () => {
    const rows = list.rows.map((row, index) => buildRow(row, channels, {
      index,
      send: (changed) => replace(keeping().map((kept, at) => (at === index ? { ...kept, ...changed } : kept))),
      remove: () => replace(keeping().filter((_, at) => at !== index)),
    }));
    const add = makeButton(t("channels.publish_add"), () => {
      add.hidden = true;
      const fresh = buildRow({ enable: true, channel: 0, quality: "hd", server: "" }, channels, {
        index: list.rows.length,
        send: (row) => replace([...keeping(), row]),
        remove: draw,
      });
      add.before(fresh);
    });
    fill(place, ...rows, !rows.length && make("p", { textContent: t("channels.publish_empty") }), add);
  };
  draw();
  return panel;
}

/**
 * @param {Row} row
 * @param {number} channels
 * @param {{ index: number, send: (row: Record<string, any>) => Promise<void>, remove: () => unknown }} deeds
 */
function buildRow({ enable, channel, quality, server }, channels, { index, send, remove }) {
  const numbers = Array.from({ length: Math.max(channels, channel + 1) }, (_, number) => String(number));
  const form = buildForm({
    fields: [
      { name: "channel", kind: "choice", label: t("channels.channel"), of: numbers },
      { name: "quality", kind: "choice", label: t("channels.quality"), of: [["ld", "LD"], ["sd", "SD"], ["hd", "HD"], ["fhd", "FHD"]] },
      { name: "url", kind: "secret", label: t("channels.publish_address"), hint: server || "rtmp://192.0.2.1/live/…", wide: true },
      { name: "enable", kind: "switch", label: t("channels.enable") },
    ],
    names: Object.fromEntries(["channel", "quality", "url", "enable"].map((name) => [name, `rows.${index}.${name}`])),
    send: async ({ url, channel: number, ...values }) => {
      await send({ ...values, channel: Number(number), ...(url ? { url } : {}) });
      say(t("channels.saved"));
    },
    buttons: [makeButton(t("channels.publish_remove"), remove)],
  });
  form.write({ enable, channel: String(channel), quality, url: Boolean(server) });
  return form.element;
}
