// A form for every method and event that a device can be sent.

const QUALITY = ["hd", "ld", "sd", "fhd"];
const OPS = ["up", "down", "left", "right", "upleft", "upright", "downleft", "downright", "zoomin", "zoomout", "stop"];

const channel = { name: "channel", kind: "int", value: 0 };
const quality = { name: "quality", kind: "choice", of: QUALITY };
const bitrate = { name: "max_bitrate", kind: "int", value: 0, hint: "bit/s, 0: no limit" };
const arming = [
  channel,
  { name: "enable", kind: "bool", value: true },
  { name: "start", kind: "int", optional: true, hint: "second of the day" },
  { name: "end", kind: "int", optional: true, hint: "second of the day" },
  { name: "sensitivity", kind: "int", value: 50, hint: "0 to 100" },
  { name: "delay", kind: "int", value: 10, hint: "seconds" },
];
const token = { name: "token", kind: "text", value: "1" };
const startStop = { name: "op", kind: "choice", of: ["start", "stop"] };
const RECT = '{"ulx": 20, "uly": 20, "urx": 80, "ury": 20, "dlx": 20, "dly": 80, "drx": 80, "dry": 80}';
const PUBLISH = '[{"enable": true, "channel": 0, "quality": "hd", "url": "rtmp://"}]';

const METHODS = {
  RTMPPublish: [channel, quality, { name: "stream_id", kind: "text" }, { name: "url", kind: "text", wide: true }, bitrate],
  RTMPStopPublish: [channel, { name: "stream_id", kind: "text" }],
  StartCloudRecord: [
    channel, quality, bitrate,
    { name: "session_id", kind: "text", hint: "22 characters" },
    { name: "seg_duration", kind: "int", value: 5, hint: "seconds" },
    { name: "seg_max_size", kind: "int", value: 8388608, hint: "bytes" },
    { name: "seg_max_count", kind: "int", value: 3 },
    { name: "prerecord_seconds", kind: "int", value: 0 },
    { name: "start_ts", kind: "int", value: 0, hint: "0: the device's clock" },
    { name: "cbk_url", kind: "text", wide: true, hint: "at most 256 bytes" },
  ],
  StopCloudRecord: [channel, { name: "session_id", kind: "text" }],
  RebootChannel: [channel],
  GetPTZPresetList: [channel],
  GetPTZPresetTourList: [channel],
  AlarmMoveDetectConfig: arming,
  AlarmRectIntrusionDetectConfig: [...arming, { name: "rect", kind: "json", optional: true, value: RECT, wide: true }],
  GetNetConfig: [channel],
  GetRTMPPublishConfig: null,
  SetRTMPPublishConfig: { kind: "json", value: PUBLISH },
  GetWifiStatusAndConfig: [channel],
  SetWifiConfig: [channel, { name: "ssid", kind: "text", optional: true }, { name: "password", kind: "text", optional: true }],
  GetWifiSSIDList: [channel],
};

const EVENTS = {
  UpgradeFirmware: null,
  SyncTime: [{ name: "datetime", kind: "text", hint: "YYYY-MM-DDTHH:MM:SS" }, { name: "offset", kind: "int", value: 5, hint: "seconds" }],
  CtrlPTZ: [channel, { name: "op", kind: "choice", of: OPS }, { name: "value", kind: "int", optional: true, value: 50, hint: "speed, 0 to 100" }],
  GotoPTZPreset: [channel, token],
  CtrlPTZPresetTour: [channel, token, startStop],
  CtrlPTZPatrol: [channel, startStop],
};

// The arrows of the pad, row by row.
const PAD = [
  ["upleft", "↖"], ["up", "↑"], ["upright", "↗"],
  ["left", "←"], ["stop", "■"], ["right", "→"],
  ["downleft", "↙"], ["down", "↓"], ["downright", "↘"],
  ["zoomin", "+"], ["zoomout", "−"],
];

/** Fills `root` with every form. `call(method, params)` and `notify(event, params)` send. */
export function buildForms(root, { call, notify }) {
  root.append(heading("Requests"));
  for (const [name, fields] of Object.entries(METHODS)) {
    root.append(buildForm("method", name, fields, (params) => call(name, params)));
  }
  root.append(heading("Events"), buildPad(notify));
  for (const [name, fields] of Object.entries(EVENTS)) {
    root.append(buildForm("event", name, fields, (params) => notify(name, params)));
  }
  root.querySelector("form[data-method=RTMPPublish]").closest("details").open = true;
}

/** Prefills the forms: a fresh stream with its address, a record session, the time. */
export function prefill(root, rtmpBase) {
  const publish = root.querySelector("form[data-method=RTMPPublish]").elements;
  const stop = root.querySelector("form[data-method=RTMPStopPublish]").elements;
  const start = root.querySelector("form[data-method=StartCloudRecord]").elements;
  const fresh = () => {
    publish.stream_id.value = randomId(12);
    publish.url.value = rtmpBase + publish.stream_id.value;
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
    start.cbk_url.value = `${location.origin}/record/${session}`;
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
  const now = new Date();
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60000);
  root.querySelector("form[data-event=SyncTime]").elements.datetime.value = local.toISOString().slice(0, 19);
}

function randomId(length) {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (b) => letters[b % letters.length]).join("");
}

function heading(text) {
  return make("h3", { className: "group", textContent: text });
}

function buildForm(kind, name, fields, send) {
  const form = make("form");
  form.dataset[kind] = name;
  const box = make("div", { className: "fields" });
  const whole = fields && !Array.isArray(fields);
  const list = whole ? [{ name: "params", wide: true, ...fields }] : fields ?? [];
  box.append(...list.map(buildField));
  const buttons = make("div", { className: "buttons" });
  buttons.append(make("button", { className: "go", textContent: `Send ${name}` }));
  form.append(box, buttons);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      const params = read(form, list);
      send(whole ? params.params : fields ? params : undefined);
    } catch (error) {
      form.querySelector("textarea").setCustomValidity(`not JSON: ${error.message}`);
      form.reportValidity();
    }
  });
  form.addEventListener("input", (event) => event.target.setCustomValidity(""));
  const details = make("details");
  details.append(make("summary", { textContent: name }), form);
  return details;
}

function buildField(field) {
  const label = make("label", { className: field.wide ? "wide" : "" });
  const text = field.optional ? `${field.name} (optional)` : field.name;
  if (field.kind === "bool") {
    label.className = "check";
    label.append(make("input", { type: "checkbox", name: field.name, checked: field.value }), text);
    return label;
  }
  let input;
  if (field.kind === "choice") {
    input = make("select", { name: field.name });
    input.append(...field.of.map((value) => make("option", { value, textContent: value })));
  } else if (field.kind === "json") {
    input = make("textarea", { name: field.name, rows: 3, spellcheck: false, value: field.value });
  } else {
    const type = field.kind === "int" ? "number" : "text";
    input = make("input", { name: field.name, type, autocomplete: "off", value: field.value ?? "" });
    input.required = field.kind === "int" && !field.optional;
  }
  label.append(field.hint ? `${text}: ${field.hint}` : text, input);
  return label;
}

function read(form, fields) {
  const params = {};
  for (const { name, kind, optional } of fields) {
    const input = form.elements[name];
    if (kind === "bool") params[name] = input.checked;
    else if (optional && input.value.trim() === "") continue;
    else if (kind === "int") params[name] = Number(input.value);
    else if (kind === "json") params[name] = JSON.parse(input.value);
    else params[name] = input.value;
  }
  return params;
}

// The camera moves while a button is held, by pointer or by key.
function buildPad(notify) {
  const pad = make("div", { className: "pad", id: "ptz" });
  pad.setAttribute("role", "group");
  pad.setAttribute("aria-label", "Pan, tilt, zoom of channel 0: hold to move");
  for (const [op, sign] of PAD) {
    const button = make("button", { type: "button", textContent: sign, title: op });
    button.dataset.op = op;
    button.setAttribute("aria-label", op);
    let moving = false;
    const move = () => {
      if (moving) return;
      moving = op !== "stop";
      // Deployed devices drop a stop without a value too.
      notify("CtrlPTZ", { channel: 0, op, value: op === "stop" ? 0 : 50 });
    };
    const stop = () => {
      if (!moving) return;
      moving = false;
      notify("CtrlPTZ", { channel: 0, op: "stop", value: 0 });
    };
    button.addEventListener("pointerdown", move);
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) button.addEventListener(end, stop);
    button.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") move();
    });
    button.addEventListener("keyup", stop);
    pad.append(button);
  }
  return pad;
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
