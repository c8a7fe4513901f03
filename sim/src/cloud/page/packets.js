// The list of packets: newest first, bounded, drawn at most once per frame. Text of a device is never
// read as HTML.

import { make } from "/parts/dom.js";
import { masked } from "./masked.js";

const KEPT = 2000;
const SHOWN = 300;
const WAYS = { from_device: "device →", to_device: "→ device", note: "" };

export class PacketList {
  #all = [];
  /** The packets of the device while those of a file are shown; null while there is none. */
  #live = null;
  #lost = 0;
  #paused = false;
  #drawing = false;

  constructor({ list, count, filter, keepalives, pause, clear, save, file }, code) {
    this.list = list;
    this.count = count;
    this.filter = filter;
    this.keepalives = keepalives;
    filter.addEventListener("input", () => this.#redraw());
    keepalives.addEventListener("change", () => this.#redraw());
    pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      pause.setAttribute("aria-pressed", this.#paused);
      pause.textContent = this.#paused ? "Resume" : "Pause";
      this.#redraw();
    });
    clear.addEventListener("click", () => {
      // Of a file, the packets of the device come back.
      this.#all = this.#live ?? [];
      if (!this.#live) this.#lost = 0;
      this.#live = null;
      this.list.replaceChildren();
      this.#redraw();
    });
    file.addEventListener("change", async () => {
      const text = await file.files[0]?.text();
      file.value = "";
      if (text !== undefined) this.#show(read(text));
    });
    save.addEventListener("click", () => this.#export(code));
  }

  /** Adds a packet unless it is there: after a reconnect the server repeats the packets that it keeps. Passwords in it
   * are hidden, also from what is exported. */
  add(packet) {
    const all = this.#live ?? this.#all;
    const last = all.at(-1);
    if (last && packet.number <= last.number) return false;
    all.push(complete(packet));
    if (all.length > KEPT) all.splice(0, all.length - KEPT);
    this.#redraw();
    return true;
  }

  /** Notes that the page was too slow for some packets. */
  lose(count) {
    this.#lost += count;
    this.#redraw();
  }

  /** Begins again, since numbers begin again when the simulator is started anew. */
  restart() {
    if (this.#live) {
      this.#live = [];
      return;
    }
    this.#all = [];
    this.list.replaceChildren();
  }

  #show(packets) {
    this.#live ??= this.#all;
    this.#all = packets.slice(-KEPT);
    this.list.replaceChildren();
    this.#redraw();
  }

  #redraw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const wanted = this.#wanted();
    const lost = this.#lost ? `, ${this.#lost} lost by this page` : "";
    const place = this.#live ? " of a file" : "";
    this.count.textContent = `${wanted.length} of ${this.#all.length}${place}${lost}${this.#paused ? ", paused" : ""}`;
    if (this.#paused) return;
    // Rows stay as they are, so that a folded or selected one does not change under the reader.
    const rows = new Map([...this.list.children].map((row) => [row.dataset.number, row]));
    const shown = wanted.slice(-SHOWN).reverse();
    const next = shown.map((packet) => rows.get(String(packet.number)) ?? buildRow(packet));
    const keep = new Set(next);
    for (const row of rows.values()) if (!keep.has(row)) row.remove();
    next.forEach((row, i) => {
      if (this.list.children[i] !== row) this.list.insertBefore(row, this.list.children[i] ?? null);
    });
  }

  #wanted() {
    const text = this.filter.value.trim().toLowerCase();
    return this.#all.filter((packet) =>
      (this.keepalives.checked || !packet.keepalive) && (!text || packet.text.toLowerCase().includes(text)));
  }

  #export(code) {
    const lines = this.#wanted().map(({ number, time_ms, direction, text }) =>
      JSON.stringify({ number, time: new Date(time_ms).toISOString(), direction, text }));
    const url = URL.createObjectURL(new Blob([lines.join("\n"), "\n"], { type: "application/x-ndjson" }));
    const link = make("a", { href: url, download: `packets-${code}.jsonl` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
}

/** The packets of a file: JSON lines, as this page and the page of a device export them. Other lines are left out. */
function read(text) {
  const packets = [];
  for (const line of text.split("\n")) {
    let packet;
    try {
      packet = JSON.parse(line);
    } catch {
      continue;
    }
    const time_ms = Date.parse(packet?.time);
    if (typeof packet?.text !== "string" || Number.isNaN(time_ms)) continue;
    const direction = packet.direction in WAYS ? packet.direction : "note";
    packets.push(complete({ number: packets.length + 1, time_ms, direction, text: packet.text }));
  }
  return packets;
}

/** A packet with what the list shows of it, and without its passwords. */
function complete(packet) {
  const shown = { ...packet, text: masked(packet.text) };
  return { ...shown, ...describe(shown) };
}

// The answer to a keepalive is known by the seq of the last keepalive.
let lastKeepalive;

function describe({ direction, text }) {
  let packet;
  try {
    packet = JSON.parse(text);
  } catch {
    return { title: direction === "note" ? text : "not JSON", pretty: text, keepalive: false };
  }
  const seq = packet?.seq === undefined ? "" : ` #${JSON.stringify(packet.seq)}`;
  let title = "JSON, but no packet";
  let keepalive = false;
  if (packet?.req !== undefined) {
    title = `${packet.req}${seq}`;
    keepalive = packet.req === "Keepalive";
    if (keepalive) lastKeepalive = packet.seq;
  } else if (packet?.event !== undefined) {
    title = `event ${packet.event}`;
  } else if (packet?.err !== undefined) {
    title = `error ${packet.err?.code}${seq}`;
  } else if (packet?.seq !== undefined) {
    title = `answer${seq}`;
    keepalive = direction === "to_device" && packet.seq === lastKeepalive;
  }
  return { title, pretty: JSON.stringify(packet, null, 2), keepalive };
}

function buildRow(packet) {
  const row = document.createElement("li");
  row.dataset.number = packet.number;
  row.className = packet.direction;
  if (packet.direction === "note") {
    row.textContent = `${clock(packet.time_ms)} ${packet.text}`;
    return row;
  }
  const details = document.createElement("details");
  details.open = !packet.keepalive;
  const summary = document.createElement("summary");
  const time = document.createElement("time");
  time.dateTime = new Date(packet.time_ms).toISOString();
  time.textContent = clock(packet.time_ms);
  summary.append(time, span("way", WAYS[packet.direction]), span("title", packet.title));
  const pretty = document.createElement("pre");
  pretty.textContent = packet.pretty;
  details.append(summary, pretty);
  row.append(details);
  return row;
}

function span(className, textContent) {
  return make("span", { className, textContent });
}

function clock(ms) {
  const date = new Date(ms);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
