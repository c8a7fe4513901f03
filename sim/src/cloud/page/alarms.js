// The alarms that a device reported, newest first, each with its picture, and the device's last preview. Text of a
// device is never read as HTML.

import { api } from "/page/api.js";
import { make } from "/parts/dom.js";
import { buildFaults } from "./switches.js";

const TYPES = { 2: "external input", 3: "motion", 4: "line" };
const FAULTS = [
  ["no_url", "bool", "answer no address for the picture"],
  ["url", "text", "Address answered in its place"],
  ["refuse", "number", "Answer an error of code"],
  ["delay_ms", "count", "Answer late, ms"],
  ["picture", "step", "Fault of the picture's POST"],
];

/** Keeps the log of the device `code` up to date in `list` and its preview in `preview`, puts the faults into `faults`,
 * and lets the switch `wanted` ask for previews. */
export function startAlarms(code, { list, preview, faults, wanted }, report) {
  const path = `devices/${encodeURIComponent(code)}`;
  let rows = new Map();
  const draw = (alarms) => {
    // A row that did not change stays, so that its picture is not fetched again.
    rows = new Map(alarms.map((alarm) => {
      const text = JSON.stringify(alarm);
      const row = rows.get(alarm.number);
      return [alarm.number, row?.text === text ? row : { text, element: buildRow(alarm) }];
    }));
    const elements = Array.from(rows.values(), ({ element }) => element);
    list.replaceChildren(...(elements.length ? elements : [make("li", { textContent: "none yet" })]));
  };
  let shown = "";
  const drawPreview = ([newest]) => {
    if ((newest?.id ?? "") === shown) return;
    shown = newest?.id ?? "";
    preview.replaceChildren(...(newest ? [`Preview ${newest.posts}, ${clock(newest.time_ms)} `, picture(newest, "preview")] : []));
  };
  let [drawn, known] = ["", false];
  const poll = async () => {
    try {
      // Nothing is asked about a device that has not called yet: the browser would complain of each answer.
      known ||= (await api("devices")).some(({ login_code }) => login_code === code);
      if (!known) return;
      const alarms = await api(`${path}/alarms`);
      const text = JSON.stringify(alarms);
      if (text !== drawn) draw(alarms);
      drawn = text;
      drawPreview(await api(`${path}/previews`));
    } catch { /* The simulator is away. */ }
  };
  draw([]);
  poll();
  setInterval(poll, 1000);
  faults.append(buildFaults("alarm", FAULTS, report));
  api("answers").then(({ previews }) => { wanted.checked = previews; }).catch(() => {});
  wanted.addEventListener("change", async () => {
    try {
      await api("answers", { ...(await api("answers")), previews: wanted.checked });
      report(wanted.checked ? "previews are asked for from the next login on" : "previews are no longer asked for");
    } catch (error) {
      report(`previews: ${error.message}`, true);
    }
  });
}

function buildRow(alarm) {
  const { number, channel, type, state, desc, time_ms, wanted } = alarm;
  const title = make("strong", { textContent: `channel ${channel}: ${TYPES[type] ?? `type ${type}`}, ${state}` });
  const text = make("div", {}, title, make("span", { className: "fact", textContent: clock(time_ms) }),
    make("div", { textContent: desc }), make("div", { className: "hint", textContent: told(alarm, wanted) }));
  const row = make("li", { className: `alarm ${state}` }, text);
  row.dataset.number = number;
  if (alarm.picture?.kept) row.prepend(picture(alarm.picture, `picture of alarm ${number}`));
  return row;
}

function told({ picture, time_ms }, wanted) {
  if (!picture) return wanted ? "no picture yet" : "no picture was asked for";
  const after = ((picture.time_ms - time_ms) / 1000).toFixed(2);
  const facts = [`picture of ${picture.bytes} bytes after ${after} s`];
  if (!picture.jpeg) facts.push("no JPEG");
  if (picture.content_type !== "image/jpeg") facts.push(`content type ${JSON.stringify(picture.content_type)}`);
  if (picture.posts > 1) facts.push(`sent ${picture.posts} times`);
  if (!picture.kept) facts.push("no longer kept");
  return facts.join(", ");
}

function picture({ id }, alt) {
  const src = `/api/pictures/${encodeURIComponent(id)}`;
  return make("a", { href: src, target: "_blank" }, make("img", { src, alt, loading: "lazy" }));
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString();
}
