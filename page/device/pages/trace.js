// The protocol trace: packets to and from the cloud and the server of the hosted service, as they come.

import { fill, make, makePanel } from "/parts/dom.js";
import { clock } from "/parts/format.js";
import { buildForm } from "/parts/form.js";
import { register, t } from "/parts/text.js";
import { makeDownload } from "../download.js";
import texts from "../texts/trace.js";

register(texts);

/** Packets that the page keeps, and that it shows of them. */
const KEPT = 2000;
const SHOWN = 200;
/** Bytes that the device keeps of one packet. */
const LONGEST = 2048;

/**
 * @typedef {object} Packet
 * @property {number} number
 * @property {string} time
 * @property {"cloud" | "tlss"} peer
 * @property {"from_device" | "to_device" | "note"} direction
 * @property {string} text
 * @property {number} bytes
 */

/** @type {import("../page.js").Page} */
const page = {
  name: "trace",
  show(element, context) {
    /** @type {Packet[]} */
    let packets = [];
    let paused = false;
    /** The numbers of the keepalives of the device, whose answers are hidden with them. @type {Set<string>} */
    const keepalives = new Set();
    const list = make("ol", { className: "packets" });
    const count = make("p", { className: "hint", role: "status" });
    const pause = make("button", { type: "button", textContent: t("trace.pause"), "aria-pressed": false });
    const save = makeDownload(t("trace.download"), "/api/v1/trace/download", "trace.jsonl");
    const form = buildForm({
      fields: [
        { name: "peer", kind: "choice", label: t("trace.peer"), of: [["", t("trace.both")], ["cloud", t("trace.cloud")], ["tlss", t("trace.tlss")]] },
        { name: "filter", kind: "text", label: t("trace.filter"), optional: true },
        { name: "keepalives", kind: "switch", label: t("trace.keepalives") },
      ],
      buttons: [pause, save],
      send: () => {},
    });
    form.element.querySelector("button.go")?.remove();
    element.append(makePanel(t("trace.packets"), make("p", { className: "hint", textContent: t("trace.hint") }), form.element, count, list));

    const draw = () => {
      const { peer, filter = "", keepalives: shown } = form.read();
      const wanted = packets.filter((packet) => (!peer || packet.peer === peer) && (shown || !isKeepalive(packet, keepalives))
        && packet.text.toLowerCase().includes(filter.toLowerCase()));
      count.textContent = t(paused ? "trace.count_paused" : "trace.count", { shown: Math.min(wanted.length, SHOWN), all: packets.length });
      if (!paused) fill(list, ...wanted.slice(-SHOWN).reverse().map(rowOf));
    };
    let due = false;
    const soon = () => {
      if (due) return;
      due = true;
      setTimeout(() => {
        due = false;
        draw();
      }, 100);
    };
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      draw();
    });
    form.element.addEventListener("input", draw);
    form.element.addEventListener("submit", draw);
    draw();
    context.listen("/trace/events", {
      packet: (/** @type {Packet} */ packet) => {
        const last = packets.at(-1);
        const known = packets.find(({ number }) => number === packet.number);
        if (known?.time === packet.time) return;
        // The numbers begin again where the device's program was started anew.
        if (last && packet.number <= last.number) packets = [];
        packets.push(packet);
        packets = packets.slice(-KEPT);
        soon();
      },
    });
  },
};

export default page;

/**
 * @param {Packet} packet
 * @param {Set<string>} keepalives
 */
function isKeepalive({ peer, direction, text }, keepalives) {
  if (peer !== "cloud" || direction === "note") return false;
  const seq = /"seq"\s*:\s*(\d+)/.exec(text)?.[1] ?? "";
  if (direction === "from_device" && /"req"\s*:\s*"Keepalive"/.test(text)) {
    keepalives.add(seq);
    return true;
  }
  return direction === "to_device" && !/"(req|event|err)"\s*:/.test(text) && keepalives.has(seq);
}

/** @type {WeakMap<Packet, HTMLElement>} */
const rows = new WeakMap();

/** @param {Packet} packet */
function rowOf(packet) {
  const there = rows.get(packet);
  if (there) return there;
  const { direction, time, peer, text, bytes } = packet;
  const head = `${clock(time)} ${t(`trace.way.${peer}.${direction}`)}`;
  const row = make("li", { className: direction });
  if (direction === "note") row.append(make("p", { textContent: `${head} ${text}` }));
  else {
    const title = titleOf(text);
    const cut = bytes > LONGEST ? ` (${t("trace.cut", { bytes })})` : "";
    row.append(make("details", {}, make("summary", { textContent: `${head} ${title}${cut}` }), make("pre", { tabIndex: 0, textContent: pretty(text) })));
  }
  rows.set(packet, row);
  return row;
}

/** @param {string} text */
function titleOf(text) {
  const name = /"(req|event)"\s*:\s*"([^"]*)"/.exec(text);
  if (name) return `${name[1] === "event" ? `${t("trace.event")} ` : ""}${name[2]}`;
  if (/"err"\s*:/.test(text)) return t("trace.error");
  if (/"resp"\s*:/.test(text)) return t("trace.answer");
  return text.split("\n", 1)[0]?.slice(0, 80) ?? "";
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
