// The page of all devices, and the page of one.

import { api } from "/page/api.js";
import { facts, link, rows } from "/page/rows.js";
import { make } from "/parts/dom.js";
import { Exchanges } from "./exchanges.js";
import { startFaults } from "./tlssfaults.js";

const KNOWN = [
  "/uapi-cgi/param.fcgi?action=list",
  "/uapi-cgi/param.fcgi?action=list&group=VERSION",
  "/uapi-cgi/param.fcgi?action=list&group=BRAND",
  "/uapi-cgi/param.fcgi?action=list&group=NETWORK",
  "/uapi-cgi/param.fcgi?action=list&group=SYSTEM.Datetime",
  "/nvc-cgi/operator/snapshot.fcgi",
  "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=now-06:00&to=now&counter=active&sampling=600&order=Descending&value=diff",
  "/uapi-cgi/reporthm.cgi?reportfmt=csv&from=yesterday&to=today&table=3&individual=no",
  "/cgi-bin/operator/countreport.cgi?reportfmt=csv&to=now-600&counter=active&sampling=600&order=Ascending&value=diff&from=2018/11/12%2000:00",
  "/uapi-cgi/reporthm.cgi?reportfmt=csv&to=now&table=3&individual=yes&from=1970/01/01%2001:00",
  "/uapi-cgi/network.cgi",
  "/cgi-bin/admin/network.cgi",
  "/cgi-bin/operator/param.cgi",
  "/nvc-cgi/admin/debug.cgi",
  "/nvc-cgi/admin/vca.fcgi?action=list",
  "/uapi-cgi/netinfo.cgi",
  "/uapi-cgi/param.fcgi?action=update&group=SYSTEM.Datetime.Tz&name=Asia/Shanghai&posixrule=CST-8",
  "/nvc-cgi/admin/timezone.cgi?action=set",
];
/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const mac = new URLSearchParams(location.search).get("mac");

if (mac) work();
else home();

function report(text, bad) {
  $("report").textContent = text;
  $("report").classList.toggle("bad", Boolean(bad));
}

/** Repeats `refresh` every second, and tells when the simulator is away. */
function follow(refresh) {
  let down = false;
  const turn = async () => {
    try {
      await refresh();
      if (down) report("");
      down = false;
    } catch (error) {
      down = true;
      report(`the simulator does not answer: ${error.message}`, true);
    }
    setTimeout(turn, 1000);
  };
  turn();
}

// ---- the page of all devices

function home() {
  $("home").hidden = false;
  startScript(document.querySelector("#home .script"), null);
  startFaults(report);
  follow(async () => {
    const [info, devices] = await Promise.all([api("info"), api("devices")]);
    $("address").textContent = `${location.hostname}:${info.port}`;
    $("reading").textContent = info.silence_ms === null
      ? "Replies are read by their length."
      : `A reply ends after ${info.silence_ms / 1000} s of silence, whatever its length says.`;
    $("connections").textContent = `Connections: ${info.connections}, of which ${info.rejected} without a session.`;
    rows("devices", devices.filter(({ sessions }) => sessions), "none yet", (device) => [
      link(`/?mac=${device.mac}`, device.mac),
      ...facts(device.brand, device.model, device.address, device.open && "session open", `sessions: ${device.sessions}`,
        `replies: ${device.replies}`, `last seen ${time(device.last_seen_ms)}`),
    ]);
  });
}

// ---- the page of one device

function work() {
  $("work").hidden = false;
  $("device").hidden = false;
  $("mac").textContent = mac;
  document.title = `${mac} – TLSS simulator`;
  startScript(document.querySelector("#work .script"), mac);
  startSending();
  const list = new Exchanges($("packets"), $("count"), showPicture);
  follow(async () => {
    const device = (await api("devices")).find((one) => one.mac === mac);
    if (!device) return report(`${mac} has not called yet`);
    if ($("report").textContent.startsWith(mac)) report("");
    badge(device);
    tell(device);
    await list.update(device);
  });
}

function badge({ open, sessions }) {
  $("online").textContent = open ? "in a session" : sessions ? "not connected" : "never called";
  $("online").className = `badge ${open ? "on" : "off"}`;
}

function tell(device) {
  const list = [
    ["Brand", device.brand], ["Model", device.model], ["Address", device.address ?? ""],
    ["Sessions", device.sessions], ["ended by done", device.done], ["Replies", device.replies],
    ["Last seen", time(device.last_seen_ms)],
    ["Last session", device.last_end && `${device.last_end}, ${(device.last_silence_ms / 1000).toFixed(1)} s after the last word`],
  ];
  $("facts").replaceChildren(...list.map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(
      make("dt", { textContent: name }),
      make("dd", { textContent: value }));
    return pair;
  }));
}

function showPicture(url, exchange) {
  $("snapshot").hidden = false;
  $("snapshot").querySelector("img").src = url;
  $("snapshot").querySelector("figcaption").textContent = `${time(exchange.time_ms)}, session ${exchange.session}`;
}

function startSending() {
  $("known").append(...KNOWN.map((value) => make("option", { value })));
  const say = (text, bad) => {
    $("result").textContent = text;
    $("result").classList.toggle("bad", Boolean(bad));
  };
  const send = async (command) => {
    try {
      const { open } = await api("command", { mac, command });
      say(open ? `${command}: sent` : `${command}: waits until the device calls`);
    } catch (error) {
      say(`${command}: ${error.message}`, true);
    }
  };
  $("send").addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.target.elements.command.value);
  });
  $("done").addEventListener("click", () => send("done"));
  $("hang-up").addEventListener("click", () => api("hang_up", { mac })
    .then(() => say("closed"), (error) => say(error.message, true)));
}

/** Wires the editor of one device's script; with `null`, of the script of all devices. */
function startScript(form, mac) {
  const { script } = form.elements;
  const about = mac ? { mac } : {};
  const load = async () => {
    const answer = await api(mac ? `script?mac=${encodeURIComponent(mac)}` : "script");
    script.value = answer.script;
  };
  const save = async (text, done) => {
    try {
      await api("script", { ...about, script: text });
      await load();
      report(done);
    } catch (error) {
      report(`script: ${error.message}`, true);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(script.value, "script saved");
  });
  form.querySelector(".reset").addEventListener("click", () => save(null, "script reset"));
  load().catch(() => {});
}

function time(ms) {
  return ms ? new Date(ms).toTimeString().slice(0, 8) : "never";
}
