// The page of recordings: all sessions, and one session on its timeline with a replay.

import { api } from "/page/api.js";
import { facts, link, rows } from "/page/rows.js";
import { make } from "/parts/dom.js";
import { Timeline, clock } from "/parts/timeline.js";
import { startFaults } from "./recordfaults.js";
import { Replay } from "./replay.js";

const LISTED = 100;
/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const session = new URLSearchParams(location.search).get("session");

$("record-url").textContent = `${location.origin}/record/SESSION`;
startFaults(report);
const show = session ? startSession() : () => {};
refresh();
setInterval(refresh, 1000);

function report(text) {
  $("report").textContent = text;
}

let down = false;
async function refresh() {
  try {
    const sessions = await api("recordings");
    rows("sessions", sessions.reverse(), "none yet", (one) => [
      link(`/recordings?session=${encodeURIComponent(one.session)}`, one.session),
      ...facts(`segments: ${one.stored}`, size(one.bytes), one.calls.not_now && `not now: ${one.calls.not_now}`,
        one.dropped && `dropped: ${one.dropped}`, one.violations && `broken rules: ${one.violations}`),
    ]);
    await show(sessions.find((one) => one.session === session));
    if (down) report("");
    down = false;
  } catch (error) {
    down = true;
    report(`the simulator does not answer: ${error.message}`);
  }
}

// Draws the session again whenever it changed.
function startSession() {
  $("session").textContent = session;
  document.title = `${session} – recordings`;
  for (const panel of document.querySelectorAll("section.one")) panel.removeAttribute("hidden");
  const replay = new Replay($("video"), (state, notice) => {
    if ($("state").textContent !== state) $("state").textContent = state;
    $("notice").textContent = notice;
    $("notice").hidden = !notice || notice.endsWith(state);
  });
  const timeline = new Timeline($("chart"), (name) => replay.seek(name));
  setInterval(() => timeline.mark(replay.position), 100);
  let shown = "";
  return async (summary) => {
    if (!summary || JSON.stringify(summary) === shown) return;
    shown = JSON.stringify(summary);
    const view = await api(`recordings/${encodeURIComponent(session)}`);
    const counts = ["gap", "overlap", "duplicate"].map((kind) => plural(view.counts[kind] ?? 0, kind)).join(", ");
    const stored = `${plural(view.total, "segment")}, ${counts}`;
    $("summary").textContent = stored;
    if (view.segments.length) timeline.draw(view.segments, view.spans, stored);
    const repeated = new Set(view.spans.filter(({ kind }) => kind === "duplicate").map(({ names }) => names[1]));
    replay.update(session, view.segments.filter(({ kept, name }) => kept && !repeated.has(name)));
    tellFindings(view);
    listSegments(view, replay);
  };
}

function tellFindings({ spans, drops, violations }) {
  const found = [
    ...spans.map(({ kind, from_us, to_us, names }) =>
      [kind, `${((to_us - from_us) / 1e6).toFixed(3)} s from ${clock(from_us)}`, names.map(short).join(", ")]),
    ...drops.map(({ dropped, seconds }) => ["dropped by the device", plural(dropped, "segment"), `${seconds.toFixed(3)} s`]),
    ...violations.map(({ rule, what }) => ["broken rule", rule.replace("_", " "), what]),
  ];
  rows("findings", found.slice(-LISTED), "nothing irregular", (texts) => facts(...texts));
}

function listSegments({ segments, total }, replay) {
  $("count").textContent = total > LISTED ? `the last ${LISTED} of ${total}` : "";
  rows("segments", segments.slice(-LISTED).reverse(), "none yet", (segment) => {
    const { name, kept, start_us, duration_us, size: announced, received, state, discontinue, puts } = segment;
    const play = make("button", { type: "button", textContent: "Play", disabled: !kept });
    play.addEventListener("click", () => replay.seek(name));
    const path = [session, name].map(encodeURIComponent).join("/");
    return [play, kept ? link(`/api/recordings/${path}`, short(name)) : short(name),
      ...facts(clock(start_us), `${(duration_us / 1e6).toFixed(3)} s`, size(received || announced), state,
        discontinue && "discontinue", puts > 1 && `sent ${puts} times`, !kept && puts > 0 && "bytes no longer kept")];
  });
}

// The session is at the top of the page.
function short(name) {
  return name.startsWith(`${session}-`) ? name.slice(session.length + 1) : name;
}

function plural(count, what) {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function size(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
