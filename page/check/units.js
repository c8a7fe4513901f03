// Tests of what needs no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, duration, size } from "/parts/format.js";
import { missing, register, t } from "/parts/text.js";
import { cameraChanges, countChannels, isBuiltIn, shownAddress } from "../device/camera/save.js";
import { strength } from "../device/strength.js";

test("a length of time has its two largest units", () => {
  const told = [0, 59.6, 61, 3600, 3661, 86400, 90061, 86460, -5].map(duration);
  assert.deepEqual(told, ["0 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 d", "1 d 1 h", "1 d", "0 s"]);
  assert.equal(ago(Date.now() - 7_200_000), "2 h ago");
});

test("a number of bytes has three digits or four", () => {
  assert.deepEqual([0, 1, 1023, 1024, 1536, 1048575, 1048576, 5e9].map(size),
    ["0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "1024 KiB", "1.0 MiB", "4.7 GiB"]);
});

test("a text takes its values, and a key without a text stays", () => {
  register({ en: { "unit.text": "{a} of {b}, {c}" }, zh: { "unit.text": "" } });
  assert.equal(t("unit.text", { a: 1, b: "{a}" }), "1 of {a}, {c}");
  assert.equal(t("unit.none"), "unit.none");
  assert.deepEqual([...missing], ["unit.none"]);
});

test("what guessers try first is weak, and length is strong in any language", () => {
  const weak = ["a", "12345678", "password", "Passw0rd1", "aaaaaaaaaaaaaaaa", "qwertyui", "20242024", "abcabcabcabc"];
  const strong = ["correct horse battery", "gate 3 Straße 电池-Q7x", "T4k!x9_pQ2mz", "今天北门的摄像机又坏了吗明天再看"];
  assert.equal(strength(""), 0);
  assert.deepEqual(weak.filter((password) => strength(password) !== 1), []);
  assert.deepEqual(strong.filter((password) => strength(password) !== 3), []);
  assert.equal(strength("wintergarten"), 2);
});

/** What the settings of a device with these values say. */
function settingsOf(values, secrets = {}, hints = {}) {
  return { answer: { values, secrets, hints, defaults: {} }, get: (key) => values[key], has: (key) => secrets[key] === true, hint: (key) => hints[key] ?? "" };
}

test("another camera takes the place of one, and what only the one before needed goes", () => {
  const before = settingsOf({ "channel.0.backend": ["emulator", "linux"], "channel.0.command": ["x"], "channel.0.quality.hd": "sub", "cloud.url": "ws://h/" });
  const camera = { backend: "onvif", onvif: "http://192.0.2.1/d", username: "u" };
  assert.deepEqual(cameraChanges(before, 0, camera, "word"), {
    "channel.0.command": null, "channel.0.backend": ["onvif", "linux"], "channel.0.onvif": "http://192.0.2.1/d", "channel.0.username": "u",
    "channel.0.password": "word",
  });
  const secret = settingsOf({ "channel.0.backend": "rtsp", "channel.0.username": "u" }, { "channel.0.main": true, "channel.0.password": true });
  const open = cameraChanges(secret, 0, { backend: "cgi", web: "http://192.0.2.1", profile: "uapi" }, undefined);
  assert.equal(open["channel.0.main"], null);
  assert.equal(open["channel.0.password"], null);
  assert.equal(open["channel.0.username"], null);
  assert.equal(cameraChanges(secret, 0, camera, undefined)["channel.0.password"], undefined, "the login stays");
});

test("a second camera makes the device a recorder, and the first does not", () => {
  const none = settingsOf({ "web.enable": true });
  const one = settingsOf({ "channel.0.backend": "emulator" });
  assert.deepEqual([none, one].map(countChannels), [0, 1]);
  assert.equal(cameraChanges(none, 0, { backend: "emulator" }, null)["device.model"], undefined);
  assert.equal(cameraChanges(one, 1, { backend: "emulator" }, null)["device.model"], "nvr");
});

test("a camera of the device itself is told from one on the network", () => {
  const at = (main) => settingsOf({ "channel.0.backend": "rtsp", "channel.0.main": main });
  const own = [settingsOf({ "channel.0.backend": "emulator" }), at("rtsp://127.0.0.1/a"), at("rtsp://localhost:8554/a"), at("rtsp://[::1]/a")];
  const other = [at("rtsp://192.0.2.127/127.0"), at("rtsp://cam/localhost")];
  assert.deepEqual([...own, ...other].map((settings) => isBuiltIn(settings, 0)), [true, true, true, true, false, false]);
  const hidden = settingsOf({ "channel.0.backend": "rtsp" }, { "channel.0.main": true }, { "channel.0.main": "rtsp://***@192.0.2.1/a" });
  assert.equal(shownAddress(hidden, 0), "rtsp://***@192.0.2.1/a");
});

test("a page that was left open asks the device for nothing", async (context) => {
  let now = 0;
  context.mock.method(Date, "now", () => now);
  const window = new EventTarget();
  const document = { hidden: false };
  Object.assign(globalThis, { window, document });
  const { poll } = await import("../device/poll.js");
  let looks = 0;
  let inBackground;
  let tick = () => {};
  poll({ every: (_seconds, run) => { tick = run; } }, 3, async ({ background }) => {
    looks += 1;
    inBackground = background;
  });
  const asks = () => {
    const before = looks;
    tick();
    return looks - before;
  };
  assert.deepEqual([asks(), inBackground], [1, false], "the page was opened");
  now = 3000;
  assert.deepEqual([asks(), inBackground], [1, true], "nobody has touched it since");
  document.hidden = true;
  assert.equal(asks(), 0, "nobody sees it");
  document.hidden = false;
  now = 5 * 60 * 1000;
  assert.equal(asks(), 0, "nobody uses it");
  window.dispatchEvent(new Event("keydown"));
  assert.deepEqual([asks(), inBackground], [1, false], "somebody is back");
});

test("a stream of events that the network has forgotten is opened anew", async (context) => {
  let now = 0;
  context.mock.method(Date, "now", () => now);
  /** @type {(() => void)[]} */
  const ticks = [];
  context.mock.method(globalThis, "setInterval", (tick) => ticks.push(tick));
  context.mock.method(globalThis, "clearInterval", (number) => { ticks[number - 1] = () => {}; });
  /** @type {any[]} */
  const opened = [];
  class Source extends EventTarget {
    constructor() {
      super();
      opened.push(this);
    }
    close() { this.isClosed = true; }
    tell(name, data) { this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) })); }
  }
  Object.assign(globalThis, { EventSource: Source });
  const { listen } = await import("/parts/events.js");
  const seen = [];
  const stop = listen("/x", { state: (data) => seen.push(data) });
  const pass = (seconds) => {
    now += seconds * 1000;
    ticks.forEach((tick) => tick());
  };
  for (const name of ["state", "alive", "alive"]) {
    pass(10);
    opened[0].tell(name, 1);
  }
  assert.deepEqual([opened.length, seen], [1, [1]], "whoever says that it is alive is");
  pass(16);
  assert.deepEqual([opened.length, opened[0].isClosed], [2, true]);
  opened[0].tell("state", 2);
  opened[1].tell("state", 3);
  assert.deepEqual(seen, [1, 3]);
  stop();
  pass(60);
  assert.equal(opened.length, 2, "nobody listens any more");
});

/** Lets what waits for nothing more go on. */
const settle = () => new Promise((resolve) => { setImmediate(resolve); });

/** What becomes of work whose answer is this, as code of the error; and what it told. */
async function followed(context, answer) {
  context.mock.method(globalThis, "fetch", (_path, { signal }) => answer(signal));
  const { follow } = await import("/parts/follow.js");
  const told = [];
  const done = follow("/work", {}, { hop: (hop) => told.push(hop), end: (end) => told.push(end) }).then(() => "", (error) => error.code);
  // What was said has been read when the silence begins.
  await settle();
  await settle();
  context.mock.timers.tick(31_000);
  return [await done, told];
}

test("work whose answer breaks off, ends early or falls silent has lost the device", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const bytes = (text) => new TextEncoder().encode(text);
  const hop = "event: hop\ndata: 1\n\n";
  /** An answer that says something, and then what `then` does. */
  const says = (text, then) => async (signal) => new Response(new ReadableStream({
    start(controller) {
      controller.enqueue(bytes(text));
      signal.addEventListener("abort", () => controller.error(signal.reason));
      then(controller);
    },
  }));
  const silent = (signal) => new Promise((_resolve, reject) => { signal.addEventListener("abort", () => reject(signal.reason)); });
  assert.deepEqual(await followed(context, says(`${hop}event: end\ndata: 2\n\n`, (one) => one.close())), ["", [1, 2]]);
  assert.deepEqual(await followed(context, says(hop, (one) => one.close())), ["unreachable", [1]], "no end");
  assert.deepEqual(await followed(context, says(hop, () => {})), ["unreachable", [1]], "silence");
  const broken = await followed(context, says(hop, (one) => setImmediate(() => setImmediate(() => one.error(new TypeError("network error"))))));
  assert.equal(broken[0], "unreachable", "broken off");
  assert.deepEqual(await followed(context, silent), ["unreachable", []], "no answer");
});

test("what no person has asked for says so", async (context) => {
  const { call, fetchFile } = await import("/parts/api.js");
  const said = [];
  context.mock.method(globalThis, "fetch", async (_path, { headers }) => {
    said.push(headers["x-background"] ?? "");
    return new Response("null");
  });
  await call("GET", "/x");
  await call("GET", "/x", undefined, { background: true });
  await call("PUT", "/x", {}, { background: false });
  await fetchFile("/x", { background: true });
  assert.deepEqual(said, ["", "1", "", "1"]);
});

test("an answer that breaks off is none", async (context) => {
  const { call } = await import("/parts/api.js");
  const broken = async () => new Response(new ReadableStream({ start: (controller) => controller.error(new TypeError("network error")) }));
  context.mock.method(globalThis, "fetch", broken);
  await assert.rejects(call("GET", "/x"), { code: "unreachable" });
});
