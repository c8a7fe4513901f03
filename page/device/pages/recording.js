// What is recorded and uploaded, the last day on a timeline, and what is missing of it.

import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { ago, clock, dateTime, duration, size } from "/parts/format.js";
import { makeNotice } from "/parts/notice.js";
import { buildTable } from "/parts/table.js";
import { register, t } from "/parts/text.js";
import { Timeline } from "/parts/timeline.js";
import texts from "../texts/recording.js";

register(texts);

const DAY_MS = 86400000;
/** How much of the time before now a bar can show, in milliseconds.
 * @type {[string, number][]} */
const RANGES = [["minutes", 600000], ["hour", 3600000], ["day", DAY_MS]];

/**
 * @typedef {{ from: string, to: string, state: "uploaded" | "waiting" | "lost", reason: string | null, detail: string | null }} Span
 * @typedef {{ reason: string, segments: number, seconds: number }} Loss
 * @typedef {object} Session
 * @property {string} session
 * @property {boolean} left
 * @property {"recording" | "standby" | "uploading" | "ended"} state
 * @property {string} since
 * @property {{ uploaded: number, waiting: number, lost: number }} segments
 * @property {number} lost_seconds
 * @property {Loss[]} lost
 * @property {number} memory_bytes
 * @property {string | null} last_upload
 * @property {string | null} error
 * @property {number | null} next_try_seconds
 * @typedef {{ channel: number, sessions: Session[], day: Span[], day_missing_until: string | null }} Channel
 * @typedef {object} Spool
 * @property {string} folder
 * @property {"overflow" | "always"} mode
 * @property {"open" | "opening" | "failing" | "closed"} state
 * @property {string | null} error
 * @property {number | null} bytes
 * @property {number} limit_bytes
 * @property {number | null} segments
 * @typedef {{ now: string, since: string, memory_bytes: number, channels: Channel[], spool: Spool | null }} Recording
 */

/** @type {import("../page.js").Page} */
const page = {
  name: "recording",
  show(element, context) {
    /** @type {Map<number, ReturnType<typeof buildChannel>>} */
    const channels = new Map();
    const spool = makePanel(t("recording.spool"));
    const below = make("div");
    spool.append(below);
    context.listen("/recording/events", {
      state: (/** @type {Recording} */ state) => {
        for (const channel of state.channels) {
          let shown = channels.get(channel.channel);
          if (!shown) {
            shown = buildChannel(channel.channel);
            channels.set(channel.channel, shown);
            element.append(shown.element);
          }
          shown.draw(channel, state);
        }
        drawSpool(below, state);
        if (!spool.isConnected || spool.nextElementSibling) element.append(spool);
      },
    });
  },
};

export default page;

const STATES = /** @type {const} */ ({ recording: "good", standby: "good", uploading: "warn", ended: "off" });

/** @param {number} number */
function buildChannel(number) {
  const [now, ranges] = [make("div"), make("div", { className: "buttons" })];
  const chart = make("div", { className: "day scroll" });
  const told = make("p", { className: "hint", role: "status", textContent: t("recording.pick") });
  const [notes, losses, sessions] = [make("div"), make("div"), make("details", {}, make("summary", { textContent: t("recording.sessions") }))];
  const table = make("div");
  sessions.append(table);
  const element = makePanel(t("recording.channel", { n: number }), now, make("h3", { textContent: t("recording.day") }), ranges, chart,
    make("ul", { className: "legend" }, ...["uploaded", "waiting", "lost"].map((state) =>
      make("li", { className: `is-${state}`, textContent: t(`recording.span.${state}`) }))),
    told, notes, make("h3", { textContent: t("recording.losses") }), losses, sessions);
  element.classList.add("recording");
  /** @type {Span[]} */
  let day = [];
  const timeline = new Timeline(chart, (name) => {
    const span = day.find((one) => nameOf(one) === name);
    if (span) told.textContent = tell(span);
  });
  let [drawn, at, picked] = ["", 0, ""];
  const drawBar = () => {
    if (!at) return;
    const [name, range] = RANGES.find((one) => (picked ? one[0] === picked : fits(day, at - one[1]))) ?? ["day", DAY_MS];
    drawDay(timeline, day, at, range);
    buttons.forEach(([other, button]) => button.setAttribute("aria-pressed", String(other === name)));
  };
  /** @type {[string, HTMLButtonElement][]} */
  const buttons = RANGES.map(([name]) => {
    const button = make("button", { type: "button", textContent: t(`recording.range.${name}`) });
    button.addEventListener("click", () => {
      picked = name;
      drawBar();
    });
    return [name, button];
  });
  fill(ranges, ...buttons.map(([, button]) => button));
  // A phone that is turned has another width.
  new ResizeObserver(drawBar).observe(chart);
  /** @param {Channel} channel @param {Recording} state */
  const draw = (channel, state) => {
    drawNow(now, channel);
    const text = JSON.stringify([channel.day, channel.day_missing_until, state.now.slice(0, 16)]);
    if (text === drawn) return;
    drawn = text;
    [day, at] = [channel.day, new Date(state.now).getTime()];
    drawBar();
    drawNotes(notes, channel, state);
    drawLosses(losses, channel);
    fill(table, buildTable([...channel.sessions].reverse(), [
      { name: "session", label: t("recording.session"), show: (row) => (row.left ? `${row.session} (${t("recording.left")})` : row.session) },
      { name: "state", label: t("recording.state"), show: (row) => t(`recording.state.${row.state}`) },
      { name: "uploaded", label: t("recording.uploaded"), show: (row) => String(row.segments.uploaded) },
      { name: "waiting", label: t("recording.waiting"), show: (row) => String(row.segments.waiting) },
      { name: "lost", label: t("recording.lost"), show: (row) => String(row.segments.lost) },
    ]));
    sessions.hidden = channel.sessions.length < 2;
  };
  return { element, draw };
}

/**
 * The newest session that goes on, else the newest.
 * @param {Channel} channel
 */
function newest({ sessions }) {
  const goesOn = (/** @type {string[]} */ ...states) => sessions.findLast(({ state }) => states.includes(state));
  return goesOn("recording", "standby") ?? goesOn("uploading") ?? sessions.at(-1);
}

/** @param {Element} element @param {Channel} channel */
function drawNow(element, channel) {
  const session = newest(channel);
  if (!session) {
    fill(element, makeBadge("off", t("recording.state.none")), make("p", { className: "hint", textContent: t("recording.none") }));
    return;
  }
  const { state, segments, error, next_try_seconds: next } = session;
  const going = channel.sessions.filter((one) => one.state !== "ended");
  const waiting = going.reduce((sum, one) => sum + one.segments.waiting, 0);
  const memory = going.reduce((sum, one) => sum + one.memory_bytes, 0);
  const lost = segments.lost
    ? t("recording.lost_of", { n: segments.lost, time: duration(session.lost_seconds) }) : t("recording.lost_none");
  const trouble = error && state !== "ended" && make("div", { className: "notice bad" },
    make("p", { textContent: t("recording.trouble", { error }) }),
    make("p", { textContent: `${next === null ? "" : t("recording.next", { time: duration(next) })} ${t("recording.trouble_do")}` }));
  fill(element, makeBadge(error && state !== "ended" ? "bad" : STATES[state], t(`recording.state.${state}`)), trouble, makeFacts([
    [t("recording.since"), dateTime(session.since)],
    [t("recording.last_upload"), session.last_upload ? ago(session.last_upload) : t("recording.never")],
    [t("recording.queue"), t("recording.queue_of", { n: waiting, memory: size(memory) })],
    [t("recording.lost"), lost],
  ]));
}

/** Whether all that is known is of the time since a moment. @param {Span[]} day @param {number} since */
function fits(day, since) {
  return day.every(({ from }) => new Date(from).getTime() >= since);
}

/** @param {Timeline} timeline @param {Span[]} day @param {number} now @param {number} range */
function drawDay(timeline, day, now, range) {
  const sums = { uploaded: 0, waiting: 0, lost: 0 };
  const segments = day.map((span) => {
    const [from, to] = [new Date(span.from).getTime(), new Date(span.to).getTime()];
    sums[span.state] += (to - from) / 1000;
    return { name: nameOf(span), start_us: from * 1000, duration_us: Math.max(1, to - from) * 1000, state: `is-${span.state}`, title: tell(span) };
  });
  const label = t("recording.day_label", {
    uploaded: duration(sums.uploaded), waiting: duration(sums.waiting), lost: duration(sums.lost),
  });
  const [from_us, to_us] = [(now - range) * 1000, now * 1000];
  timeline.draw(segments.filter((one) => one.start_us + one.duration_us > from_us), [], label, { from_us, to_us, whole: true });
}

/** A name that a span keeps while others come and go. @param {Span} span */
function nameOf({ from, state }) {
  return `${from} ${state}`;
}

/** @param {Span} span */
function tell({ from, to, state, reason, detail }) {
  const what = `${range(from, to)}: ${t(`recording.span.${state}`)}`;
  if (!reason) return what;
  return `${what}. ${t(`recording.reason.${reason}`)}${detail ? ` (${detail})` : ""}`;
}

/** @param {string} from @param {string} to */
function range(from, to) {
  const length = (new Date(to).getTime() - new Date(from).getTime()) / 1000;
  return `${clock(from)} – ${clock(to)} (${duration(length)})`;
}

/** @param {Element} element @param {Channel} channel @param {Recording} state */
function drawNotes(element, { day_missing_until: missing }, { now, since }) {
  const young = new Date(now).getTime() - new Date(since).getTime() < DAY_MS;
  fill(element,
    young && make("p", { className: "hint", textContent: t("recording.day_since", { ago: ago(since) }) }),
    missing && make("p", { className: "hint", textContent: t("recording.day_missing", { time: clock(missing) }) }));
}

/** @param {Element} element @param {Channel} channel */
function drawLosses(element, { day, sessions }) {
  /** @type {{ when: string, why: string, todo: string }[]} */
  const rows = day.filter(({ state }) => state === "lost").reverse().map(({ from, to, reason, detail }) => ({
    when: range(from, to),
    why: `${t(`recording.reason.${reason}`)}${detail ? ` (${detail})` : ""}`,
    todo: t(`recording.do.${reason}`),
  }));
  for (const { session, lost } of sessions) {
    for (const { segments, seconds } of lost.filter((one) => one.reason === "earlier")) {
      rows.push({
        when: `${session}: ${t("recording.lost_of", { n: segments, time: duration(seconds) })}`,
        why: t("recording.reason.earlier"),
        todo: t("recording.do.earlier"),
      });
    }
  }
  fill(element, buildTable(rows, [
    { name: "when", label: t("recording.when") },
    { name: "why", label: t("recording.why") },
    { name: "todo", label: t("recording.do") },
  ], { empty: t("recording.losses_none") }));
}

/** @param {Element} element @param {Recording} state */
function drawSpool(element, { spool, memory_bytes: memory }) {
  if (!spool) {
    fill(element, make("p", { className: "hint", textContent: t("recording.spool_none", { memory: size(memory) }) }));
    return;
  }
  const { state, bytes, limit_bytes: limit, segments, error } = spool;
  const kind = state === "open" ? "good" : state === "opening" ? "off" : "bad";
  fill(element, makeBadge(kind, t(`recording.spool.${state}`)),
    error && makeNotice("bad", error),
    state === "failing" && makeNotice("bad", t("recording.spool_failing")),
    bytes !== null && make("meter", { min: 0, max: limit, value: bytes, "aria-label": t("recording.spool_used") }),
    makeFacts([
      [t("recording.spool_used"), bytes === null ? "" : t("recording.spool_used_of", { used: size(bytes), limit: size(limit), n: segments ?? 0 })],
      [t("recording.spool_mode"), t(`recording.spool_mode.${spool.mode}`)],
      [t("recording.spool_folder"), spool.folder],
    ]));
}
