// A form for every method and event that a device can be sent.

import { make } from "/parts/dom.js";
import { buildPad } from "/parts/pad.js";
import { buildFacts, buildTable } from "/parts/table.js";
import { QUALITY, buildField } from "./fields.js";

const OPS = ["up", "down", "left", "right", "upleft", "upright", "downleft", "downright", "zoomin", "zoomout", "stop"];

const channel = { name: "channel", kind: "number", value: 0 };
const quality = { name: "quality", kind: "choice", of: QUALITY };
const bitrate = { name: "max_bitrate", kind: "number", value: 0, hint: "bit/s, 0: no limit" };
const arming = [
  channel,
  { name: "enable", kind: "switch", value: true },
  { name: "start", kind: "number", optional: true, hint: "second of the day" },
  { name: "end", kind: "number", optional: true, hint: "second of the day" },
  { name: "sensitivity", kind: "number", value: 50, hint: "0 to 100" },
  { name: "delay", kind: "number", value: 10, hint: "seconds" },
];
const token = { name: "token", kind: "text", value: "1" };
const startStop = { name: "op", kind: "choice", of: ["start", "stop"] };

const METHODS = {
  RTMPPublish: [channel, quality, { name: "stream_id", kind: "text" }, { name: "url", kind: "text", wide: true }, bitrate],
  RTMPStopPublish: [channel, { name: "stream_id", kind: "text" }],
  StartCloudRecord: [
    channel, quality, bitrate,
    { name: "session_id", kind: "text", hint: "22 characters" },
    { name: "seg_duration", kind: "number", value: 5, hint: "seconds" },
    { name: "seg_max_size", kind: "number", value: 8388608, hint: "bytes" },
    { name: "seg_max_count", kind: "number", value: 3 },
    { name: "prerecord_seconds", kind: "number", value: 0 },
    { name: "start_ts", kind: "number", value: 0, hint: "0: the device's clock" },
    { name: "cbk_url", kind: "text", wide: true, hint: "at most 256 bytes" },
  ],
  StopCloudRecord: [channel, { name: "session_id", kind: "text" }],
  RebootChannel: [channel],
  GetPTZPresetList: [channel],
  GetPTZPresetTourList: [channel],
  AlarmMoveDetectConfig: arming,
  AlarmRectIntrusionDetectConfig: [...arming, { name: "rect", kind: "area" }],
  GetNetConfig: [channel],
  GetRTMPPublishConfig: null,
  SetRTMPPublishConfig: [{ name: "publishes", kind: "publishes", whole: true }],
  GetWifiStatusAndConfig: [channel],
  SetWifiConfig: [channel, { name: "ssid", kind: "text", optional: true }, { name: "password", kind: "password", optional: true }],
  GetWifiSSIDList: [channel],
};

const EVENTS = {
  UpgradeFirmware: null,
  SyncTime: [{ name: "datetime", kind: "moment", hint: "at the camera", wide: true }, { name: "offset", kind: "number", value: 5, hint: "seconds" }],
  CtrlPTZ: [channel, { name: "op", kind: "choice", of: OPS }, { name: "value", kind: "number", optional: true, value: 50, hint: "speed, 0 to 100" }],
  GotoPTZPreset: [channel, token],
  CtrlPTZPresetTour: [channel, token, startStop],
  CtrlPTZPatrol: [channel, startStop],
};

// How the answer to a method is shown: the columns of its list and the buttons behind each row, or the names and
// values of its object.
const ANSWERS = {
  GetPTZPresetList: {
    columns: ["name", "token"],
    actions: ({ notify, channel }) => ({ token }) => [["Go", () => notify("GotoPTZPreset", { channel, token })]],
  },
  GetPTZPresetTourList: {
    columns: ["name", "token"],
    actions: ({ notify, channel }) => ({ token }) => ["start", "stop"].map((op) =>
      [op === "start" ? "Start" : "Stop", () => notify("CtrlPTZPresetTour", { channel, token, op })]),
  },
  GetNetConfig: { columns: ["name", "ip", "netmask", "gateway", "dns1", "dns2", "mac", "dhcp"] },
  GetRTMPPublishConfig: { columns: ["enable", "channel", "quality", "url"] },
  GetWifiStatusAndConfig: {},
  GetWifiSSIDList: {
    columns: ["ssid", "signal", "encrypt"],
    actions: ({ root, channel }) => ({ ssid }) => [["Use", () => useNetwork(root, channel, ssid)]],
  },
};

/** Puts another value into a form that is one field as a whole. */
const FILL = new WeakMap();

/** Fills `root` with every form. `call(method, params)` and `notify(event, params)` send, and return the answer. */
export function buildForms(root, { call, notify }) {
  root.append(heading("Requests"));
  for (const [name, fields] of Object.entries(METHODS)) {
    const answered = (form, params, answer) => showAnswer(form, name, answer, { root, notify, channel: params?.channel });
    root.append(buildForm("method", name, fields, (params) => call(name, params), answered));
  }
  root.append(heading("Events"), buildMoves(notify));
  for (const [name, fields] of Object.entries(EVENTS)) {
    root.append(buildForm("event", name, fields, (params) => notify(name, params)));
  }
  find(root, "RTMPPublish").closest("details").open = true;
}

// The pad. Deployed devices drop a stop without a value, too; they stop a movement that nobody asked for again in 30 s.
function buildMoves(notify) {
  const channel = make("input", { type: "number", name: "channel", min: 0, value: 0, required: true });
  const send = (op, value) => notify("CtrlPTZ", { channel: Number(channel.value), op, value });
  const keys = "Pan, tilt, zoom: hold to move, also by the arrow keys, + and −";
  const pad = buildPad({ move: send, stop: () => send("stop", 0), repeat: 10000, labels: { keys, speed: "speed", name: (op) => op } });
  pad.lastElementChild.prepend(make("label", {}, "channel", channel));
  return pad;
}

/** Prefills the forms: a fresh stream with its address, a record session, the time. */
export function prefill(root, bases) {
  const publish = find(root, "RTMPPublish").elements;
  const stop = root.querySelector("form[data-method=RTMPStopPublish]").elements;
  const start = root.querySelector("form[data-method=StartCloudRecord]").elements;
  const fresh = () => {
    publish.stream_id.value = randomId(12);
    publish.url.value = bases.rtmp + publish.stream_id.value;
    stop.stream_id.value = publish.stream_id.value;
  };
  fresh();
  publish.stream_id.addEventListener("change", () => { stop.stream_id.value = publish.stream_id.value; });
  const button = make("button", { type: "button", id: "fresh", textContent: "Fresh stream_id" });
  button.addEventListener("click", fresh);
  root.querySelector("form[data-method=RTMPPublish] .buttons").append(button);
  const stopRecord = root.querySelector("form[data-method=StopCloudRecord]").elements;
  const timeline = make("a", { textContent: "Timeline" });
  const aim = () => {
    const session = encodeURIComponent(start.session_id.value);
    start.cbk_url.value = `${bases.http}/record/${session}`;
    stopRecord.session_id.value = start.session_id.value;
    timeline.href = `/recordings?session=${session}`;
  };
  const freshSession = make("button", { type: "button", textContent: "Fresh session_id" });
  freshSession.addEventListener("click", () => {
    start.session_id.value = randomId(22);
    aim();
  });
  start.session_id.addEventListener("change", aim);
  freshSession.click();
  root.querySelector("form[data-method=StartCloudRecord] .buttons").append(freshSession, timeline);
  const time = root.querySelector("form[data-event=SyncTime]");
  const setNow = make("button", { type: "button", textContent: "Now" });
  setNow.addEventListener("click", () => {
    const now = new Date();
    const local = new Date(now.getTime() - now.getTimezoneOffset() * 60000);
    time.elements.datetime.value = local.toISOString().slice(0, 19);
  });
  setNow.click();
  time.querySelector(".buttons").append(setNow);
}

function randomId(length) {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (b) => letters[b % letters.length]).join("");
}

function heading(text) {
  return make("h3", { className: "group", textContent: text });
}

function find(root, method) {
  return root.querySelector(`form[data-method=${method}]`);
}

function buildForm(kind, name, fields, send, answered) {
  const form = make("form");
  form.dataset[kind] = name;
  const list = (fields ?? []).map(buildField);
  const buttons = make("div", { className: "buttons" }, make("button", { className: "go", textContent: `Send ${name}` }));
  const answer = make("div", { className: "answer" });
  answer.setAttribute("aria-live", "polite");
  form.append(make("div", { className: "fields" }, ...list.flatMap(({ element }) => element)), buttons, answer);
  FILL.set(form, (value) => list.find(({ whole }) => whole)?.write(value));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const params = fields ? read(list) : undefined;
    for (const field of list) field.sent?.();
    const resp = await send(params);
    answered?.(form, params, resp);
  });
  return make("details", {}, make("summary", { textContent: name }), form);
}

function read(list) {
  const whole = list.find((field) => field.whole);
  if (whole) return whole.read();
  return Object.fromEntries(list.map((field) => [field.name, field.read()]).filter(([, value]) => value !== undefined));
}

// An answer that is no longer the newest must not stay: after an error nothing is shown.
function showAnswer(form, name, answer, context) {
  const box = form.querySelector(".answer");
  box.replaceChildren();
  const shown = ANSWERS[name];
  if (!shown || !answer || !("resp" in answer)) return;
  box.append(shown.columns ? tell(answer.resp, shown.columns, shown.actions?.(context)) : tellFacts(answer.resp));
  if (name !== "GetRTMPPublishConfig") return;
  const edit = make("button", { type: "button", textContent: "Edit this list" });
  edit.addEventListener("click", () => {
    const editor = find(context.root, "SetRTMPPublishConfig");
    FILL.get(editor)(answer.resp);
    open(editor, "button.more");
  });
  box.append(edit);
}

function tell(resp, columns, actions) {
  if (!Array.isArray(resp)) return wrong("the answer is not a list");
  return buildTable(resp.map((row) => row ?? {}), columns, { empty: "the list is empty", actions });
}

function tellFacts(resp) {
  return resp === null || typeof resp !== "object" || Array.isArray(resp) ? wrong("the answer is not an object") : buildFacts(resp);
}

function wrong(textContent) {
  return make("p", { className: "hint", textContent });
}

function useNetwork(root, channel, ssid) {
  const form = find(root, "SetWifiConfig");
  form.elements.channel.value = channel;
  form.elements.ssid.value = ssid;
  open(form, "[name=password]");
}

// Unfolds a form and goes to one of its fields.
function open(form, field) {
  form.closest("details").open = true;
  form.querySelector(field).focus();
}
