// The page of a bad network: its lines, what goes over them, and what happened.

import { api } from "/page/api.js";
import { make } from "/parts/dom.js";
import { Way } from "./way.js";

/** Number of events that the page keeps. */
const MOST_EVENTS = 200;
/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const lines = new Map();
let profiles = [];
let newest = 0;

function report(text, bad) {
  $("report").textContent = text;
  $("report").classList.toggle("bad", Boolean(bad));
}

/** Sends an order, and shows what became of it. */
async function order(what, path, body) {
  try {
    await api(path, body);
    report(`${new Date().toLocaleTimeString()} ${what}`);
  } catch (error) {
    report(error.message, true);
  }
  await refresh();
}

/** The profile with these conditions; undefined if there is none. */
function inUse(conditions) {
  return profiles.find((profile) => JSON.stringify(profile.conditions) === JSON.stringify(conditions));
}

function makeLine(status) {
  const { name } = status;
  const element = $("line").content.cloneNode(true).firstElementChild;
  const find = (selector) => element.querySelector(selector);
  element.dataset.line = name;
  find(".name").textContent = name;
  find("h2").id = `line-${name}`;
  element.setAttribute("aria-labelledby", `line-${name}`);
  find(".cut").onclick = () => order(`${name}: cut`, "cut", { line: name, how: find(".how").value });
  find(".heal").onclick = () => order(`${name}: healed`, "heal", { line: name });
  find(".reset").onclick = () => order(`${name}: connections reset`, "reset", { line: name });
  const select = find(".profile");
  select.append(...profiles.map((profile) => new Option(profile.name, profile.name)));
  select.value = inUse(status.conditions)?.name ?? select.value;
  select.onchange = () => { find(".what").textContent = profiles.find((profile) => profile.name === select.value).what; };
  const up = new Way("Up: from the side that calls");
  const down = new Way("Down: to the side that calls");
  const form = find("form");
  const show = (conditions) => {
    up.show(conditions.up);
    down.show(conditions.down);
    form.elements.connect.value = conditions.connect;
    form.elements.outages.value = conditions.outages.join("\n");
  };
  find(".apply").onclick = async () => {
    await order(`${name}: ${select.value}`, "profile", { line: name, profile: select.value });
    show(profiles.find((profile) => profile.name === select.value).conditions);
  };
  find(".ways").append(up.element, down.element);
  form.onsubmit = (event) => {
    event.preventDefault();
    const outages = form.elements.outages.value.split("\n").map((text) => text.trim()).filter(Boolean);
    const conditions = { up: up.value(), down: down.value(), connect: form.elements.connect.value, outages };
    order(`${name}: new conditions`, "set", { line: name, conditions });
  };
  show(status.conditions);
  find("details").ontoggle = () => { if (find("details").open) show(lines.get(name).status.conditions); };
  $("lines").append(element);
  return { find };
}

const size = (bytes) => bytes < 10_000 ? `${bytes} B` : bytes < 10_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function counted(counters) {
  const { connections, open, failed, bytes_up, bytes_down, lost, overflowed, doubled, overtaken, resets, half_open } = counters;
  const rare = Object.entries({ failed, lost, "dropped by a full queue": overflowed, doubled, overtaken, reset: resets, "half-open": half_open });
  return [`${open} open of ${connections}`, `up ${size(bytes_up)}`, `down ${size(bytes_down)}`,
    ...rare.filter(([, count]) => count).map(([what, count]) => `${count} ${what}`)].join(" · ");
}

function drawLine(status) {
  if (!lines.has(status.name)) lines.set(status.name, makeLine(status));
  const line = lines.get(status.name);
  line.status = status;
  const badge = line.find("h2 .badge");
  const { cut, by_hand } = status;
  badge.textContent = cut ? `cut (${cut.replace("_", "-")}) ${by_hand ? "by hand" : "by an outage"}` : "open";
  badge.className = `badge ${cut ? "bad" : "good"}`;
  const profile = inUse(status.conditions);
  line.find(".now").textContent = profile ? `Now ${profile.name}: ${profile.what}` : "Now conditions of its own, see below";
  line.find(".heal").disabled = !by_hand;
  line.find(".links").replaceChildren(...status.links.map((link) => make("li", {},
    make("strong", { textContent: link.name }), ` ${link.transport} `, make("code", { textContent: link.listen }), " → ",
    make("code", { textContent: link.upstream }), make("div", { className: "counts", textContent: counted(link.counters) }))));
}

function drawEvents(events) {
  for (const { number, ms, line, link, connection, what } of events) {
    newest = number;
    const where = link === null ? line : connection === null ? link : `${link} ${connection}`;
    $("events").prepend(make("li", {}, make("span", { className: "at", textContent: `${(ms / 1000).toFixed(1)} s ` }), `${where}: ${what}`));
  }
  while ($("events").children.length > MOST_EVENTS) $("events").lastElementChild.remove();
}

async function refresh() {
  const [status, events] = await Promise.all([api("status"), api(`events?since=${newest}`)]);
  $("seed").textContent = status.seed;
  status.lines.forEach(drawLine);
  drawEvents(events.filter(({ number }) => number > newest));
}

/** Looks every second, and tells when the program is away. */
async function follow() {
  let down = false;
  for (;;) {
    try {
      if (!profiles.length) profiles = await api("profiles");
      await refresh();
      if (down) report("");
      down = false;
    } catch {
      report("badnet does not answer", true);
      down = true;
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

follow();
