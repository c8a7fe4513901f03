import { make } from "/parts/dom.js";

/** @type {[string, string, boolean?][]} */
const faults = [
  ["reboot", "Reboot"], ["freeze", "Freeze"], ["parameters", "Change parameters"],
  ["jump", "Jump timestamps"], ["garbage", "Send garbage"],
  ["silence", "Silent after DESCRIBE", true], ["silence", "Answer again", false],
  ["refuse", "Refuse logins", true], ["refuse", "Accept logins", false],
];
/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const list = $("channels");

function say(id, text, wrong) {
  const line = $(id);
  line.textContent = text;
  line.classList.toggle("wrong", wrong);
}

function addButtons(box, channel) {
  for (const [name, label, on] of faults) {
    const button = document.createElement("button");
    button.textContent = label;
    button.onclick = () => inject(label, name, channel, on);
    box.append(button);
  }
}

async function inject(label, name, channel, on) {
  const query = new URLSearchParams();
  if (channel !== "") query.set("channel", channel);
  const seconds = $("seconds").value;
  if (["reboot", "freeze", "jump"].includes(name) && seconds) query.set("seconds", seconds);
  if (on !== undefined) query.set("on", String(on));
  const answer = await fetch(`/fault/${name}?${query}`, { method: "POST" }).catch(() => null);
  const what = `${new Date().toLocaleTimeString()} ${label}, ${channel === "" ? "all channels" : "channel " + channel}: `;
  say("result", what + (answer?.ok ? "done" : answer ? await answer.text() : "no answer"), !answer?.ok);
  refresh();
}

function addTriggers(box, number) {
  for (const name of ["motion", "line", "input"]) {
    const button = make("button", { textContent: `Trigger ${name}` });
    button.dataset.name = name;
    button.onclick = async () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      await fetch(`/trigger/${number}/${name}?on=${on}`, { method: "POST" }).catch(() => null);
      refresh();
    };
    const pulse = make("button", { textContent: `Pulse ${name}` });
    pulse.onclick = async () => {
      await fetch(`/trigger/${number}/${name}?seconds=2`, { method: "POST" }).catch(() => null);
      refresh();
    };
    box.append(button, pulse);
  }
}

const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);
const described = ({ enable, from, to, sensitivity, delay }) => enable
  ? `on, ${clock(from)} to ${to === 86400 ? "24:00" : clock(to)}, sensitivity ${sensitivity}, delay ${delay} s` : "off";

function drawCamera(section, camera) {
  const area = section.querySelector("polygon");
  area.setAttribute("points", camera.area.map((point) => point.join(",")).join(" "));
  area.classList.toggle("off", !camera.line.enable);
  const runs = camera.tour !== null ? `tour ${camera.tour}` : camera.patrol ? "patrol" : camera.moving ? "moving" : "at rest";
  const at = ["pan", "tilt", "zoom"].map((axis) => `${axis} ${camera[axis].toFixed(2)}`).join(" · ");
  section.querySelector(".camera").textContent = [
    camera.away ? "Away: the camera restarts" : `${at} · ${runs}`,
    `Presets: ${camera.presets.join(", ") || "none"}`,
    `Motion detection: ${described(camera.motion)}`,
    `Tripwire: ${described(camera.line)}`,
    `Wi-Fi: ${camera.wifi ? `${camera.wifi.ssid}, ${camera.wifi.status}` : "away"}`,
    `Last orders: ${camera.orders.slice(-5).reverse().join(" · ") || "none"}`,
  ].join("\n");
  for (const button of section.querySelectorAll(".triggers [data-name]")) {
    const on = camera.triggers[button.dataset.name];
    button.setAttribute("aria-pressed", on);
    button.textContent = `${on ? "End" : "Trigger"} ${button.dataset.name}`;
  }
}

function draw(channels) {
  while (list.children.length < channels.length) {
    const number = list.children.length;
    const section = $("channel").content.cloneNode(true);
    section.querySelector("h2").textContent = `Channel ${number}`;
    for (let url of channels[number].urls) {
      url = url.replace("//0.0.0.0:", `//${location.hostname}:`);
      const line = document.createElement("div");
      line.append(make("code", { textContent: url }));
      section.querySelector(".urls").append(line);
    }
    addTriggers(section.querySelector(".triggers"), number);
    addButtons(section.querySelector(".stream"), number);
    const image = section.querySelector("img");
    const next = () => image.src = `/picture/${number}?${Date.now()}`;
    image.onload = () => setTimeout(next, 250);
    image.onerror = () => setTimeout(next, 2000);
    next();
    list.append(section);
  }
  channels.forEach(({ counters, camera }, i) => {
    drawCamera(list.children[i], camera);
    list.children[i].querySelector(".counts").textContent =
      `${counters.sessions} sessions now · ${counters.plays} plays · ${counters.describes} descriptions`;
  });
}

// For each fault of the web server the first value to try; null for a fault without a value.
const webFaults = {
  delay_ms: 3000, slow: 1000, hang: null, close: null, close_mid_body: null, chunked: null, huge: null, endless: null, gzip: null,
  length: -1, garbage: null, bomb: null, status: 500,
};
const webForm = $("web-faults").elements;

function describeWebFault() {
  const value = webFaults[webForm.fault.value];
  webForm.value.parentNode.hidden = value === null;
  webForm.value.value = value ?? 0;
}

async function setWebFaults(change) {
  const rules = change(await (await fetch("/web")).json());
  const answer = await fetch("/web", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(rules),
  });
  say("result", answer.ok ? `${new Date().toLocaleTimeString()} faults of the web server: done` : await answer.text(), !answer.ok);
  refresh();
}

async function drawWeb({ url, counters, requests }) {
  $("web-url").textContent = url.replace("//0.0.0.0:", `//${location.hostname}:`);
  $("web-counts").textContent = `${counters.connections} connections · ${counters.requests} requests · `
    + `${counters.unauthorized} without login · ${counters.not_found} not found · ${counters.malformed} malformed`;
  $("requests").replaceChildren(...requests.slice(-15).reverse().map((request) =>
    make("li", {
      textContent: `${new Date(request.time_ms).toLocaleTimeString()} ${request.status} ${request.method} ${request.target}`,
    })));
  const rules = await (await fetch("/web")).json();
  $("web-on").textContent = rules.length
    ? rules.map(({ path, fault }) => `${path || "any"}: ${typeof fault === "string" ? fault : Object.entries(fault)[0].join(" ")}`).join(" · ")
    : "no fault is on";
}

webForm.fault.append(...Object.keys(webFaults).map((name) => new Option(name.replaceAll("_", " "), name)));
webForm.fault.onchange = describeWebFault;
describeWebFault();
$("web-faults").onsubmit = (event) => {
  event.preventDefault();
  const name = webForm.fault.value;
  const fault = webFaults[name] === null ? name : { [name]: Number(webForm.value.value) };
  setWebFaults((rules) => [...rules, { path: webForm.path.value, fault }]);
};
$("end-web-faults").onclick = () => setWebFaults(() => []);

async function refresh() {
  const answer = await fetch("/status").catch(() => null);
  if (!answer?.ok) return say("state", "the simulator does not answer", true);
  const status = await answer.json();
  draw(status.channels);
  await drawWeb(status.web);
  say("state", `${status.connections} connections since the start`, false);
}

async function drawQuirks(box) {
  const quirks = await (await fetch(`${box.dataset.api}/all`)).json();
  box.replaceChildren(...quirks.map(({ name, what, on }) => {
    const input = make("input", { type: "checkbox", name, checked: on });
    input.onchange = async () => {
      const names = Array.from(box.querySelectorAll(":checked"), (checked) => checked.name);
      const answer = await fetch(box.dataset.api, {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(names),
      }).catch(() => null);
      say("result", answer?.ok ? `quirks: ${names.join(", ") || "none"}` : "the quirks were not set", !answer?.ok);
    };
    const label = document.createElement("label");
    label.append(input, ` ${name}: ${what}`);
    return label;
  }));
}

addButtons(document.querySelector("[data-channel]"), "");
document.querySelectorAll(".quirks").forEach(drawQuirks);
refresh();
setInterval(refresh, 2000);
