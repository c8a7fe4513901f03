// The time: clocks of the device and of its cameras, set from this browser; the time zone; NTP.

import { call, CallError } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { confirm } from "/parts/dialog.js";
import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { duration } from "/parts/format.js";
import { explainTold, makeNotice, say } from "/parts/notice.js";
import { buildTable } from "/parts/table.js";
import { register, t } from "/parts/text.js";
import { poll } from "../poll.js";
import texts from "../texts/time.js";

register(texts);

const LOOK_SECONDS = 5;
/** A clock that is read over the network is right within so many seconds. */
const RIGHT = 3;

/** @type {import("../page.js").Page} */
const page = {
  name: "time",
  async show(element, context) {
    const [state, clocks, ntp] = [make("div"), make("div"), make("div")];
    const set = makeButton(t("time.set"), () => setClocks(false).then(() => look()), { kind: "go" });
    const setting = make("div", { className: "buttons" }, set);
    const look = async (/** @type {import("/parts/api.js").Options} */ options = { signal: context.signal }) => {
      const told = await call("GET", "/time", undefined, options);
      const { cameras, is_believed: isBelieved } = told;
      setting.hidden = !cameras.length;
      fill(state, !isBelieved && makeNotice("warn", t("time.unbelieved")), makeFacts([
        [t("time.device"), spaced(told.local)],
        [t("time.browser"), spaced(wall(new Date()))],
        [t("time.differs"), makeDistance((new Date(told.utc).getTime() - Date.now()) / 1000)],
        [t("time.utc"), spaced(told.utc.replace("Z", ""))],
        [t("time.zone"), told.zone.name || "UTC"],
        [t("time.clock"), makeBadge(isBelieved ? "good" : "bad", t(isBelieved ? "time.believed" : "time.never_set"))],
      ]));
      fill(clocks, cameras.length ? buildClocks(cameras) : makeNotice("info", t("time.no_clocks")));
      fill(ntp, ...makeNtp(told.ntp));
      return told;
    };
    const { zone } = await look();
    element.append(makePanel(t("time.clock"), state, setting), makePanel(t("time.cameras"), clocks),
      makePanel(t("time.zone"), await buildZone(zone, context, look)), makePanel(t("time.ntp"), ntp));
    poll(context, LOOK_SECONDS, look);
  },
};

export default page;

/**
 * Sets all clocks to the time of this browser; asks before a long step.
 * @param {boolean} confirmed
 * @returns {Promise<void>}
 */
async function setClocks(confirmed) {
  const now = new Date();
  try {
    const { cameras } = await call("PUT", "/time", { utc: now.toISOString(), local: wall(now), confirmed });
    const failed = cameras.find((/** @type {any} */ clock) => clock.error);
    if (failed) say(t("time.set_partly", { channel: failed.channel, why: explainTold(failed.error) }), true);
    else say(t("time.set_done"));
  } catch (error) {
    if (!(error instanceof CallError) || error.code !== "long_step") throw error;
    const { cameras } = await call("GET", "/time");
    const shown = cameras.map((/** @type {any} */ clock) => clock.shows).filter(Boolean).sort()[0] ?? "";
    const text = t("time.far_text", { shown: spaced(shown), wanted: spaced(wall(now)) });
    if (await confirm({ title: t("time.far"), text, yes: t("time.set_yes") })) await setClocks(true);
  }
}

/** @param {any[]} clocks */
function buildClocks(clocks) {
  const here = new Date(`${wall(new Date())}Z`).getTime();
  return buildTable(clocks, [
    { name: "channel", label: t("time.channel"), show: ({ channel, is_the_devices: own }) =>
      t(own ? "time.channel_device" : "time.channel_camera", { channel }) },
    { name: "shows", label: t("time.shows"), show: ({ shows, error }) => (error ? explainTold(error) : spaced(shows)) },
    { name: "ahead", label: t("time.differs"), show: ({ shows }) => shows && makeDistance((new Date(`${shows}Z`).getTime() - here) / 1000) },
  ]);
}

/** @param {{ program: string | null, servers: string[], is_synchronized: boolean | null }} ntp */
function makeNtp({ program, servers, is_synchronized: isSet }) {
  if (!program) return [makeNotice("info", t("time.no_program"))];
  return [
    makeFacts([
      [t("time.program"), program],
      [t("time.servers"), servers.join(", ") || t("time.servers_unknown")],
      [t("time.synchronized"), t(isSet === null ? "time.synchronized_unknown" : isSet ? "time.synchronized_yes" : "time.synchronized_no")],
    ]),
    make("p", { className: "hint", textContent: t("time.ntp_keeps") }),
  ];
}

/**
 * @param {{ name: string, is_fixed: boolean, may_choose: boolean }} zone
 * @param {import("../page.js").Context} context
 * @param {() => Promise<unknown>} look
 */
async function buildZone({ name, is_fixed: isFixed, may_choose: mayChoose }, context, look) {
  if (!mayChoose) return makeNotice("info", t(isFixed ? "time.zone_fixed" : "time.zone_system"));
  /** @type {{ names: string[] }} */
  const { names } = await call("GET", "/time/zones", undefined, { signal: context.signal });
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const form = buildForm({
    draft: "zone",
    fields: [{ name: "zone", kind: "text", label: t("time.zone"), longest: 64, suggestions: names,
      hint: names.length ? t("time.zone_hint", { zone: here }) : t("time.rules") }],
    send: async ({ zone }) => {
      await call("PUT", "/time/zone", { zone });
      await look();
      return t("time.chosen");
    },
  });
  form.write({ zone: name || (names.includes(here) ? here : rules()) });
  return form.element;
}

/** The offset of this browser as rules of POSIX, which count to the west. */
function rules() {
  const west = new Date().getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(west) / 60), Math.abs(west) % 60];
  const pad = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `<${west > 0 ? "-" : "+"}${pad(hours)}${minutes ? pad(minutes) : ""}>${west > 0 ? "" : "-"}${hours}${minutes ? `:${pad(minutes)}` : ""}`;
}

/** @param {number} seconds */
function makeDistance(seconds) {
  if (Math.abs(seconds) <= RIGHT) return makeBadge("good", t("time.right"));
  return makeBadge("warn", t(seconds > 0 ? "time.ahead" : "time.behind", { time: duration(Math.abs(seconds)) }));
}

/**
 * What the clock on the wall shows here.
 * @param {Date} moment
 */
function wall(moment) {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

/** @param {string} time */
function spaced(time) {
  return time.replace("T", " ");
}
