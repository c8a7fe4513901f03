// What is detected and reported, and the newest alarms with their pictures.

import { call, CallError } from "/parts/api.js";
import { buildArea } from "/parts/area.js";
import { fill, make, makeBadge, makePanel } from "/parts/dom.js";
import { open } from "/parts/dialog.js";
import { buildField } from "/parts/fields.js";
import { buildForm } from "/parts/form.js";
import { dateTime, duration } from "/parts/format.js";
import { explain, makeNotice } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import { loadInSight, loadPicture } from "../shot.js";
import texts from "../texts/alarms.js";

register(texts);

const MOST = 50;
const DAY = 86400;
// The picture below the area is taken anew while somebody works on it.
const PICTURE_SECONDS = 2;
const IDLE_MS = 60000;

/**
 * @typedef {object} SetUp
 * @property {string} revision
 * @property {boolean} enable
 * @property {number} start_seconds
 * @property {number} end_seconds
 * @property {number} delay_seconds
 * @property {number | null} sensitivity
 * @property {[number, number][] | null} area
 * @property {"configuration" | "cloud" | "page" | "other"} set_by
 * @property {Record<"be_heard" | "be_set_up" | "enable" | "window" | "delay" | "sensitivity" | "area", boolean>} can
 * @property {"camera" | "camera_all_day" | "reports"} [arranged]
 * @typedef {object} Alarm
 * @property {number} id
 * @property {number} channel
 * @property {"external" | "motion" | "tripwire"} trigger
 * @property {string} what
 * @property {string} begun
 * @property {string} camera_time
 * @property {string | null} ended
 * @property {Told} told
 * @property {Told | null} end_told
 * @property {"none" | "expected" | "taken" | "failed" | "dropped"} picture
 * @typedef {"waiting" | "reported" | "late" | "refused" | "missed" | "withdrawn"} Told
 */

/** @type {import("../page.js").Page} */
const page = {
  name: "alarms",
  async show(element, context) {
    const newest = make("ul", { className: "alarms", "aria-live": "polite" });
    const none = make("p", { className: "hint", textContent: t("alarms.none") });
    const list = makePanel(t("alarms.newest"), none, newest);
    followAlarms(newest, none, context);
    const [settings, { channels }] = await Promise.all([loadSettings(context.signal), call("GET", "/live", undefined, context)]);
    /** @type {{ number: number, name?: string }[]} */
    const known = channels;
    const wanted = Number(context.parameters[0] ?? 0);
    const channel = known.some(({ number }) => number === wanted) ? wanted : known[0]?.number;
    if (known.length > 1) {
      const choice = buildField({
        name: "channel", kind: "choice", label: t("alarms.channel"), value: String(channel),
        of: known.map(({ number, name }) => [String(number), name ? `${number}: ${name}` : String(number)]),
      });
      choice.input.addEventListener("change", () => context.go(`alarms/${choice.read()}`));
      element.append(choice.element);
    }
    if (channel !== undefined) {
      for (const trigger of /** @type {const} */ (["motion", "tripwire"])) {
        const panel = makePanel(t(`alarms.${trigger}`));
        element.append(panel);
        await buildDetection(panel, channel, trigger, context);
      }
      element.append(buildInput(settings));
    }
    element.append(list);
  },
};

export default page;

/**
 * How one detection of a channel is set up.
 * @param {HTMLElement} panel
 * @param {number} channel
 * @param {"motion" | "tripwire"} trigger
 * @param {import("../page.js").Context} context
 */
async function buildDetection(panel, channel, trigger, context) {
  const path = `/channels/${channel}/alarms/${trigger}`;
  /** @type {SetUp} */
  let now = await call("GET", path, undefined, context);
  const { can } = now;
  const by = make("p", { className: "hint" });
  const notice = make("div", { role: "status" });
  panel.append(by);
  if (!can.be_set_up) {
    fill(by);
    panel.append(makeNotice("info", t("alarms.cannot")));
    return;
  }
  if (!can.be_heard) panel.append(makeNotice("warn", t("alarms.unheard")));
  const area = trigger === "tripwire" && can.area ? buildPicture(channel, context) : null;
  const form = buildForm({
    draft: `alarms.${channel}.${trigger}`,
    fields: [
      { name: "enable", kind: "switch", label: t("alarms.enable") },
      { name: "all_day", kind: "switch", label: t("alarms.all_day") },
      { name: "start_seconds", kind: "time", label: t("alarms.start") },
      { name: "end_seconds", kind: "time", label: t("alarms.end"), max: DAY },
      { name: "sensitivity", kind: "number", label: t("alarms.sensitivity"), min: 0, max: 100,
        hint: t(can.sensitivity ? "alarms.sensitivity_hint" : "alarms.sensitivity_lacks") },
      { name: "delay_seconds", kind: "number", label: t("alarms.delay"), min: 1, max: DAY, unit: t("alarms.seconds") },
    ],
    send: async ({ all_day: allDay, ...values }) => {
      fill(notice);
      if (allDay) Object.assign(values, { start_seconds: 0, end_seconds: DAY });
      try {
        now = await call("PUT", path, { ...values, revision: now.revision, area: area?.read() });
      } catch (error) {
        if (!(error instanceof CallError && error.code === "outdated")) throw error;
        const before = now;
        now = await call("GET", path, undefined, context);
        fill(notice, makeNotice("warn", t("alarms.outdated", { what: changes(before, now) })));
        draw();
        return "";
      }
      draw();
      return t(`alarms.saved.${now.arranged}`);
    },
  });
  const [allDay, start, end] = ["all_day", "start_seconds", "end_seconds"].map((name) => form.field(name));
  const hide = () => {
    for (const field of [start, end]) if (field) field.element.hidden = allDay?.read();
  };
  allDay?.input.addEventListener("input", hide);
  form.field("sensitivity").input.disabled = !can.sensitivity;
  const draw = () => {
    by.textContent = t(`alarms.by.${now.set_by}`);
    form.write({
      ...now, sensitivity: now.sensitivity ?? 50, delay_seconds: Math.min(DAY, Math.max(1, now.delay_seconds)),
      all_day: now.start_seconds % DAY === now.end_seconds % DAY,
    });
    area?.write(now.area);
    hide();
  };
  draw();
  if (area) form.element.querySelector(".buttons")?.before(area.element);
  else if (trigger === "tripwire") form.element.querySelector(".buttons")?.before(makeNotice("info", t("alarms.area_lacks")));
  panel.append(form.element, notice);
}

/**
 * What somebody else has changed, in words.
 * @param {SetUp} before
 * @param {SetUp} now
 */
function changes(before, now) {
  const told = [
    before.enable !== now.enable && "enable",
    (before.start_seconds !== now.start_seconds || before.end_seconds !== now.end_seconds) && "hours",
    before.sensitivity !== now.sensitivity && "sensitivity",
    before.delay_seconds !== now.delay_seconds && "delay",
    JSON.stringify(before.area) !== JSON.stringify(now.area) && "area",
  ];
  const words = told.filter((what) => what !== false).map((what) => t(`alarms.changed.${what}`));
  return `${words.join(", ")} (${t(`alarms.by.${now.set_by}`)})`;
}

/**
 * The area of the tripwire over a picture of this moment.
 * @param {number} channel
 * @param {import("../page.js").Context} context
 */
function buildPicture(channel, context) {
  const hint = make("p", { className: "hint" });
  const failed = make("p", { className: "hint", role: "status" });
  const picture = new Image();
  let drawn = false;
  let known = false;
  const tell = () => { hint.textContent = t(known || drawn ? "alarms.area_hint" : "alarms.area_unknown"); };
  const area = buildArea({
    picture: () => picture,
    upright: true,
    signal: context.signal,
    onchange: () => {
      drawn = true;
      tell();
    },
  });
  const element = make("div", { className: "wide" }, make("h3", { textContent: t("alarms.area") }), hint, area.element, failed);
  let used = Date.now();
  for (const event of ["pointermove", "keydown", "focusin"]) element.addEventListener(event, () => { used = Date.now(); });
  let busy = false;
  context.every(PICTURE_SECONDS, async () => {
    if (busy || document.hidden || Date.now() - used > IDLE_MS) return;
    busy = true;
    try {
      await loadPicture(picture, `/channels/${channel}/snapshot.jpg?stream=sub`);
      failed.textContent = "";
    } catch (error) {
      failed.textContent = t("alarms.no_picture", { why: explain(error) });
    } finally {
      busy = false;
    }
  });
  return {
    element,
    /** Four corners; nothing while nobody has drawn: the camera's stays, which may be another by now. */
    read: () => {
      const at = drawn ? area.read() : undefined;
      return at && ["ul", "ur", "dr", "dl"].map((corner) => [at[`${corner}x`], at[`${corner}y`]]);
    },
    /** @param {[number, number][] | null} corners */
    write: (corners) => {
      known = corners !== null;
      if (corners) {
        drawn = false;
        area.write(Object.fromEntries(["ul", "ur", "dr", "dl"].flatMap((corner, i) =>
          [[`${corner}x`, corners[i]?.[0] ?? 0], [`${corner}y`, corners[i]?.[1] ?? 0]])));
      }
      tell();
    },
  };
}

/**
 * Whether a contact at the camera's alarm input is reported, which the settings say.
 * @param {import("/parts/settings.js").Settings} settings
 */
function buildInput(settings) {
  const form = buildForm({
    draft: "alarms.external",
    fields: [{ name: "external", kind: "switch", label: t("alarms.enable"), hint: t("alarms.external_hint") }],
    send: async ({ external }) => {
      const others = enabled(settings).filter((trigger) => trigger !== "external");
      const saved = await settings.save({ "alarm.enable": external ? ["external", ...others] : others });
      if (!saved) form.write({ external: enabled(settings).includes("external") });
      return saved ? t("alarms.external_saved") : "";
    },
  });
  form.write({ external: enabled(settings).includes("external") });
  return makePanel(t("alarms.external"), form.element);
}

/** @param {import("/parts/settings.js").Settings} settings @returns {string[]} */
function enabled(settings) {
  return settings.get("alarm.enable") ?? ["external"];
}

/**
 * Keeps the newest alarms up to date, the newest first.
 * @param {HTMLElement} list
 * @param {HTMLElement} none
 * @param {import("../page.js").Context} context
 */
function followAlarms(list, none, context) {
  /** @type {Map<number, { element: HTMLElement, draw: (alarm: Alarm) => void }>} */
  const rows = new Map();
  context.listen("/alarms/events", {
    begin: () => {
      rows.clear();
      fill(list);
      none.hidden = false;
    },
    alarm: (/** @type {Alarm} */ alarm) => {
      let row = rows.get(alarm.id);
      if (!row) {
        row = buildRow();
        rows.set(alarm.id, row);
        list.prepend(row.element);
        none.hidden = true;
      }
      row.draw(alarm);
      const oldest = rows.size > MOST ? Math.min(...rows.keys()) : null;
      if (oldest === null) return;
      rows.get(oldest)?.element.remove();
      rows.delete(oldest);
    },
  });
}

const TOLD = /** @type {const} */ ({ waiting: "warn", reported: "good", late: "warn", refused: "bad", missed: "bad", withdrawn: "off" });

function buildRow() {
  const [shot, said] = [make("div"), make("div", { className: "said" })];
  const element = make("li", {}, shot, said);
  let shown = "";
  const draw = (/** @type {Alarm} */ alarm) => {
    const { id, channel, trigger, what, begun, ended, told, end_told: endTold, picture } = alarm;
    if (shown !== picture) {
      fill(shot, picture === "taken" ? buildShot(id, begun) : make("p", { className: "hint", textContent: t(`alarms.picture.${picture}`) }));
      shot.className = "shot";
      shown = picture;
    }
    // The beginning is told before the end: the first of them that the cloud does not have counts.
    const seen = told === "reported" || told === "late" ? endTold === null || endTold === "reported" ? told : endTold : told;
    const lasted = ended && t("alarms.lasted", { time: duration((new Date(ended).getTime() - new Date(begun).getTime()) / 1000) });
    element.dataset.id = String(id);
    fill(said, make("strong", { textContent: t("alarms.title", { trigger: t(`alarms.${trigger}`), channel }) }),
      make("p", { textContent: what }),
      make("p", {}, dateTime(begun), " ", ended ? lasted : makeBadge("bad", t("alarms.on"))),
      make("p", { className: "hint", textContent: t("alarms.camera_time", { time: alarm.camera_time.replace("T", " ") }) }),
      makeBadge(TOLD[seen], t(`alarms.told.${seen}`)));
  };
  return { element, draw };
}

/** @param {number} id @param {string} begun */
function buildShot(id, begun) {
  const path = `/alarms/${id}/picture.jpg`;
  const title = t("alarms.picture_of", { time: dateTime(begun) });
  const small = make("img", { alt: "" });
  const button = make("button", { type: "button", "aria-label": title }, small);
  loadInSight(button, small, path);
  button.addEventListener("click", () => {
    const close = make("button", { type: "button", className: "go", textContent: t("alarms.close") });
    const { dialog } = open(dateTime(begun), make("img", { src: `/api/v1${path}`, alt: title, className: "large" }), close);
    close.addEventListener("click", () => dialog.close());
  });
  return button;
}
