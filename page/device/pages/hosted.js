// The hosted service (TLSS): its settings by the names of the camera's own page, a test, and what its server asked for.

import { call } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { dateTime, duration } from "/parts/format.js";
import { makeNotice } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { buildTable } from "/parts/table.js";
import { register, t } from "/parts/text.js";
import { buildHops } from "../hops.js";
import { poll } from "../poll.js";
import { told } from "../saved.js";
import texts from "../texts/hosted.js";

register(texts);

const FIELDS = ["enable", "server", "port", "interval_minutes", "tls", "mac", "brand", "model"];
const SAVED = { plain: "hosted.saved", restarted: "hosted.saved_restart" };
const GROUPS = ["datetime", "timezone", "vca"];

/** @type {import("../page.js").Page} */
const page = {
  name: "hosted",
  async show(element, context) {
    const state = make("div");
    const audit = make("div");
    const draw = async () => {
      const settings = await loadSettings(context.signal);
      fill(element, makePanel(t("hosted.state"), state), settings.problem !== null && makeNotice("bad", settings.problem),
        makePanel(t("hosted.settings"), buildSettings(context, settings, draw)),
        makePanel(t("hosted.audit"), make("p", { className: "hint", textContent: t("hosted.audit_hint") }), audit));
    };
    await draw();
    let shown = "";
    poll(context, 3, async (options) => {
      const hosted = await call("GET", "/hosted", undefined, options);
      show(state, hosted);
      // The table stays as it is, and where it was scrolled to, while nothing is new.
      const now = JSON.stringify(hosted.commands);
      if (now !== shown) fill(audit, buildAudit(hosted.commands));
      shown = now;
    });
  },
};

export default page;

/**
 * @param {import("../page.js").Context} context
 * @param {import("/parts/settings.js").Settings} settings
 * @param {() => unknown} again
 */
function buildSettings(context, settings, again) {
  const hops = buildHops();
  const test = async () => {
    if (!form.check()) return;
    const { server, port, tls, mac, brand, model } = form.read();
    try {
      await hops.run("/hosted/test", { server, port, tls, brand, mac: mac ?? null, model: model ?? null }, context.signal);
    } catch (error) {
      form.refuse(error);
    }
  };
  const form = buildForm({
    draft: "hosted",
    fields: [
      { name: "enable", kind: "switch", label: t("hosted.enable"), wide: true },
      { name: "server", kind: "text", label: t("hosted.server"), longest: 253 },
      { name: "port", kind: "number", label: t("hosted.port"), min: 1, max: 65535 },
      { name: "interval_minutes", kind: "number", label: t("hosted.interval"), min: 1, max: 1440, unit: t("hosted.minutes") },
      { name: "tls", kind: "switch", label: t("hosted.tls"), wide: true },
      { name: "mac", kind: "text", label: t("hosted.mac"), hint: t("hosted.mac_hint"), optional: true, longest: 17 },
      { name: "brand", kind: "text", label: t("hosted.brand"), longest: 64 },
      { name: "model", kind: "text", label: t("hosted.model"), hint: t("hosted.model_hint"), optional: true, longest: 64 },
      ...GROUPS.map((name) => ({ name: `write_${name}`, kind: /** @type {"switch"} */ ("switch"), label: t(`hosted.write_${name}`), wide: true })),
    ],
    names: Object.fromEntries([...FIELDS.map((name) => [name, `tlss.${name}`]), ["write_datetime", "tlss.write"]]),
    buttons: [makeButton(t("hosted.test"), test)],
    send: async (values) => {
      /** @type {Record<string, any>} */
      const changes = Object.fromEntries(FIELDS.map((name) => [`tlss.${name}`, values[name] ?? null]));
      const others = (settings.get("tlss.write") ?? []).filter((/** @type {string} */ name) => !GROUPS.includes(name));
      changes["tlss.write"] = [...others, ...GROUPS.filter((name) => values[`write_${name}`])];
      const saved = await settings.save(changes);
      return told(saved, SAVED, again);
    },
  });
  const write = settings.get("tlss.write") ?? [];
  form.write({
    ...Object.fromEntries(FIELDS.map((name) => [name, settings.get(`tlss.${name}`)])),
    port: settings.get("tlss.port") ?? 8000,
    ...Object.fromEntries(GROUPS.map((name) => [`write_${name}`, write.includes(name)])),
  });
  form.element.append(hops.element);
  return form.element;
}

/**
 * @param {HTMLElement} place
 * @param {any} hosted
 */
function show(place, hosted) {
  const kind = hosted.state === "off" ? "off" : hosted.state === "in_session" ? "good" : "warn";
  /** @type {[string, import("/parts/dom.js").Child][]} */
  const facts = [[t("hosted.calls"), makeBadge(hosted.state === "waiting" ? "off" : kind, t(`hosted.state.${hosted.state}`))]];
  if (hosted.next_seconds !== null) facts.push([t("hosted.next"), duration(hosted.next_seconds)]);
  if (hosted.last) facts.push([t("hosted.last"), hosted.last]);
  fill(place, makeFacts(facts));
}

/** @param {any[]} commands */
function buildAudit(commands) {
  return buildTable(commands, [
    { name: "at", label: t("hosted.at"), show: ({ at }) => dateTime(at) },
    { name: "command", label: t("hosted.command"), show: ({ command }) => make("code", { textContent: command }) },
    { name: "outcome", label: t("hosted.outcome"), show: outcome },
  ], { empty: t("hosted.no_commands") });
}

/** @param {any} command */
function outcome({ refused, writes, status, bytes }) {
  const badge = refused ? makeBadge("bad", t("hosted.refused")) : makeBadge(status === null ? "off" : status < 400 ? "good" : "warn",
    t(writes ? "hosted.wrote" : "hosted.read"));
  const told = refused ?? (status === null ? t("hosted.under_way") : t("hosted.answered", { status, bytes }));
  return make("span", {}, badge, ` ${told}`);
}
