import { api } from "/page/api.js";
import { facts, link, rows } from "/page/rows.js";
import { make } from "/parts/dom.js";
import { startAlarms } from "./alarms.js";
import { startFirmware } from "./firmware.js";
import { buildForms, prefill } from "./forms.js";
import { masked } from "./masked.js";
import { PacketList } from "./packets.js";
import { Published } from "./published.js";
import { startScenario } from "./scenario.js";

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const code = query.get("login_code");

if (code || query.has("play")) work();
else home();

/** Where devices publish, up to the key, and where their calls for recordings go. */
async function bases() {
  const { rtmp_port, public_rtmp, public_http } = await api("info");
  return {
    rtmp: public_rtmp ?? `rtmp://${location.hostname}:${rtmp_port}/live/`,
    http: public_http?.replace(/\/$/, "") ?? location.origin,
  };
}

// ---- the page of all devices and streams

async function home() {
  $("home").hidden = false;
  const secure = location.protocol === "https:" ? "wss" : "ws";
  $("device-url").textContent = `${secure}://${location.host}/ivc?login_code=…&login_passwd=…`;
  $("record-url").textContent = `${location.origin}/record/…`;
  bases().then(({ rtmp }) => { $("rtmp-url").textContent = `${rtmp}…`; });
  $("visit").addEventListener("submit", (event) => {
    event.preventDefault();
    location.href = `/?login_code=${encodeURIComponent(event.target.elements.login_code.value)}`;
  });
  const refresh = async () => {
    try {
      const [devices, streams, recordings] = await Promise.all([api("devices"), api("streams"), api("recordings")]);
      rows("devices", devices, "none yet", (device) => [
        link(`/?login_code=${encodeURIComponent(device.login_code)}`, device.login_code),
        ...facts(device.online ? "online" : "offline", `logins: ${device.logins}`, `packets: ${device.packets}`,
          device.hardware_model, device.firmware_model),
      ]);
      rows("streams", streams, "none yet", (stream) => [
        link(`/?play=${encodeURIComponent(stream.key)}`, stream.key),
        ...facts(stream.live ? "live" : "not live", `frames: ${stream.frames}`, stream.video, stream.audio),
      ]);
      rows("recordings", recordings, "none yet", (recording) => [
        link(`/recordings?session=${encodeURIComponent(recording.session)}`, recording.session),
        ...facts(`segments: ${recording.stored}`, recording.dropped && `dropped: ${recording.dropped}`),
      ]);
    } catch (error) {
      $("report").textContent = `the simulator does not answer: ${error.message}`;
    }
  };
  refresh();
  setInterval(refresh, 2000);
}

// ---- the page of one device

async function work() {
  $("work").hidden = false;
  const player = startPlayer();
  if (query.has("play")) player.open(query.get("play"));
  if (!code) {
    $("packets-panel").hidden = true;
    $("send-panel").hidden = true;
    $("alarms-panel").hidden = true;
    $("scenario-panel").hidden = true;
    return;
  }
  $("device").hidden = false;
  $("code").textContent = code;
  document.title = `${code} – IVC simulator`;
  startSending();
  watchPackets(player);
  prefill($("forms"), await bases());
}

function startPlayer() {
  const form = $("play");
  const player = new Published($("video"), {
    show(state, notice) {
      if ($("state").textContent !== state) $("state").textContent = state;
      $("notice").textContent = notice;
      $("notice").hidden = !notice;
    },
    showStats(list) {
      $("stats").replaceChildren(...list.map(([name, value]) => {
        const pair = document.createElement("div");
        pair.append(
          make("dt", { textContent: name }),
          make("dd", { textContent: value }));
        return pair;
      }));
    },
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    player.open(form.elements.key.value);
  });
  form.elements.key.addEventListener("focus", async () => {
    const streams = await api("streams").catch(() => []);
    $("keys").replaceChildren(...streams.map(({ key }) => make("option", { value: key })));
  });
  const open = player.open.bind(player);
  player.open = (key) => {
    form.elements.key.value = key;
    open(key);
  };
  return player;
}

function startSending() {
  const report = (text, bad) => {
    $("result").textContent = text;
    $("result").classList.toggle("bad", Boolean(bad));
  };
  const attempt = async (what, path, body) => {
    report(`${what} …`);
    const began = performance.now();
    try {
      const answer = await api(path, { login_code: code, ...body });
      const took = `${Math.round(performance.now() - began)} ms`;
      if (answer.err) report(`${what}: error ${answer.err.code}, ${answer.err.msg} (${took})`, true);
      else if ("resp" in answer) report(`${what}: ${masked(JSON.stringify(answer.resp, null, 2))} (${took})`);
      else report(`${what}: sent`);
      return answer;
    } catch (error) {
      report(`${what}: ${error.message}`, true);
      return null;
    }
  };
  const notify = (event, params) => attempt(event, "event", { event, params });
  buildForms($("forms"), { call: (method, params) => attempt(method, "call", { method, params }), notify });
  startAlarms(code, {
    list: $("alarms"), preview: $("preview"), faults: $("alarm-faults"), wanted: $("previews"),
  }, report);
  startFirmware({
    form: $("firmware"), hosted: $("hosted"), requests: $("firmware-requests"), faults: $("firmware-faults"),
  }, notify, report);
  $("raw-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("text", "raw", { text: $("raw").value });
  });
  $("hang-up").addEventListener("click", () => attempt("closing", "hang_up", {}));
  startScenario(code, { record: $("script-record"), file: $("script-file"), state: $("script-state") }, report);
  startFaults(report);
}

const SWITCHES = ["close_before_answer", "stop_reading", "half_open", "mute_keepalive", "garbage", "wrong_seq"];
const LOGIN = ["location", "retry_after", "connection", "subprotocol"];
const PACKETS = ["binary", "bom", "nul", "blank", "empty", "null_err", "float_seq", "string_seq"];

const RTMP_TEXTS = ["first_metadata", "authmod"];
const RTMP_SWITCHES = ["onbwcheck", "amf3"];

function readRtmpQuirks(fields) {
  const texts = RTMP_TEXTS.map((name) => [name, fields[name].value]);
  const switches = RTMP_SWITCHES.map((name) => [name, fields[name].checked]);
  return {
    ...Object.fromEntries([...texts, ...switches]),
    user: fields.rtmp_user.value,
    password: fields.rtmp_password.value,
    redirect: fields.rtmp_redirect.value || null,
    refuse_status: fields.refuse_status.value || null,
    message_bytes: Number(fields.message_bytes.value),
  };
}

function showRtmpQuirks(fields, quirks) {
  for (const name of RTMP_TEXTS) fields[name].value = quirks[name];
  for (const name of RTMP_SWITCHES) fields[name].checked = quirks[name];
  fields.rtmp_user.value = quirks.user;
  fields.rtmp_password.value = quirks.password;
  fields.rtmp_redirect.value = quirks.redirect ?? "";
  fields.refuse_status.value = quirks.refuse_status ?? "";
  fields.message_bytes.value = quirks.message_bytes;
}

async function startFaults(report) {
  const form = $("faults");
  const fields = form.elements;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const link = Object.fromEntries(SWITCHES.map((name) => [name, fields[name].checked]));
    const optional = (name) => (fields[name].value ? Number(fields[name].value) : null);
    link.refuse_login = optional("refuse_login");
    link.login = Object.fromEntries(LOGIN.map((name) => [name, fields[name].value]));
    link.login.redirect = optional("redirect");
    link.login.pieces = fields.pieces.checked;
    link.close = { code: optional("close_code"), reason: fields.close_reason.value };
    link.packets = Object.fromEntries(PACKETS.map((name) => [name, fields[name].checked]));
    link.delay_ms = Number(fields.delay_ms.value);
    link.flood = Number(fields.flood.value);
    try {
      const rtmp_quirks = readRtmpQuirks(fields);
      await api("faults", { ...(await api("faults")), link, rtmp: fields.rtmp.value, rtmp_quirks });
      report("faults applied");
    } catch (error) {
      report(`faults: ${error.message}`, true);
    }
  });
  const { link, rtmp, rtmp_quirks } = await api("faults");
  for (const name of SWITCHES) fields[name].checked = link[name];
  for (const name of LOGIN) fields[name].value = link.login[name];
  for (const name of PACKETS) fields[name].checked = link.packets[name];
  fields.redirect.value = link.login.redirect ?? "";
  fields.pieces.checked = link.login.pieces;
  fields.close_code.value = link.close.code ?? "";
  fields.close_reason.value = link.close.reason;
  fields.refuse_login.value = link.refuse_login ?? "";
  fields.delay_ms.value = link.delay_ms;
  fields.flood.value = link.flood;
  fields.rtmp.value = rtmp;
  showRtmpQuirks(fields, rtmp_quirks);
}

function watchPackets(player) {
  const list = new PacketList({
    list: $("packets"), count: $("count"), filter: $("filter"), keepalives: $("keepalives"),
    pause: $("pause"), clear: $("clear"), save: $("export"), file: $("import"),
  }, code);
  const badge = (text, on) => {
    $("online").textContent = text;
    $("online").className = `badge ${on ? "on" : "off"}`;
  };
  let newest = { number: 0, time_ms: 0 };
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/feed?login_code=${encodeURIComponent(code)}`);
    socket.onmessage = ({ data }) => {
      const { packet, online, lost } = JSON.parse(data);
      if (online !== undefined) badge(online ? "online" : "offline", online);
      if (lost) list.lose(lost);
      if (!packet) return;
      if (packet.number <= newest.number && packet.time_ms > newest.time_ms) list.restart();
      newest = packet;
      if (list.add(packet)) follow(packet, player);
    };
    socket.onclose = () => {
      badge("no connection to the simulator", false);
      setTimeout(connect, 1000);
    };
  };
  connect();
}

// A stream is shown, whether the page or a script asked for it.
function follow({ direction, text }, player) {
  if (direction !== "to_device" || !text.includes("RTMPPublish")) return;
  try {
    const { req, params } = JSON.parse(text);
    const key = req === "RTMPPublish" && /\/live\/([^/?]+)/.exec(params.url)?.[1];
    if (key && key !== player.key) player.open(decodeURIComponent(key));
  } catch { /* The text was malformed on purpose. */ }
}
