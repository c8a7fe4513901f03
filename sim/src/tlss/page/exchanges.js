// The list of requests and replies, newest first. Text of a device is never read as HTML.

import { api } from "/page/api.js";
import { facts } from "/page/rows.js";
import { make } from "/parts/dom.js";

const KEPT = 200;
const OPEN = 3; // Number of new rows that stay open; older rows fold.
const RAW = 64 << 10;

export class Exchanges {
  #last = 0;
  #sessions = 0;

  /** `picture(url, exchange)` is called for each new picture. */
  constructor(list, count, picture) {
    this.list = list;
    this.count = count;
    this.picture = picture;
  }

  /** Fetches the new exchanges of a device. */
  async update({ mac, sessions, replies }) {
    if (sessions < this.#sessions) { // The simulator was started anew, and numbers begin again.
      this.#last = 0;
      this.list.replaceChildren();
    }
    this.#sessions = sessions;
    const news = await api(`exchanges?mac=${encodeURIComponent(mac)}&after=${this.#last}`);
    for (const exchange of news) {
      this.#last = exchange.number;
      this.list.prepend(buildRow(exchange));
      if (exchange.reply?.kind === "jpeg") this.picture(bodyUrl(exchange), exchange);
    }
    if (news.length) {
      [...this.list.children].slice(KEPT).forEach((row) => row.remove());
      [...this.list.children].slice(OPEN).forEach((row) => { row.firstChild.open = row.classList.contains("kept"); });
    }
    this.count.textContent = `${this.list.children.length} shown, ${replies} replies`;
  }
}

function bodyUrl({ number }) {
  return `/api/exchanges/${number}/body`;
}

function buildRow(exchange) {
  const { reply, error, stored, unstored } = exchange;
  const good = reply && (reply.status === 200 || reply.bare) && !unstored;
  const row = document.createElement("li");
  const details = document.createElement("details");
  details.open = true;
  const summary = document.createElement("summary");
  summary.append(
    make("time", { dateTime: new Date(exchange.time_ms).toISOString(), textContent: clock(exchange.time_ms) }),
    span(`went${good ? "" : " bad"}`, reply ? String(reply.status ?? (reply.bare ? "bare" : "no status")) : "no reply"),
    span("title", exchange.command));
  summary.title = exchange.command;
  // A row that a person opened or closed stays as it is.
  summary.addEventListener("click", () => row.classList.toggle("kept", !details.open));
  details.append(summary, line([
    `session ${exchange.session}`, `${exchange.took_ms} ms`, ...(reply ? tell(reply) : []), stored && `a deployed server stores ${stored}`]));
  if (error) details.append(Object.assign(line([error]), { className: "facts wrong" }));
  if (reply) {
    const wrong = complaints(reply, unstored);
    if (wrong.length) details.append(Object.assign(line(wrong), { className: "facts wrong" }));
    details.append(...content(exchange), rawButton(exchange));
  }
  row.append(details);
  return row;
}

function tell({ status_line, headers, body_bytes }) {
  return [status_line, ...headers.map(([name, value]) => `${name}: ${value}`), `${body_bytes} bytes of body`];
}

// The parts of a reply that a deployed server would stumble over.
function complaints({ declared, received, blank_line, bare, longest_pause_ms, status }, unstored) {
  return [
    unstored && `a deployed server stores nothing: ${unstored}`,
    declared !== received && `declares ${declared} bytes, has ${received}`,
    !blank_line && !bare && "no blank line: a deployed server finds no body",
    status === null && !bare && "no status line",
    longest_pause_ms > 100 && `paused for ${longest_pause_ms} ms`,
  ].filter(Boolean);
}

function content(exchange) {
  const { kind, parameters, text } = exchange.reply;
  if (kind === "jpeg") return [Object.assign(new Image(), { src: bodyUrl(exchange), alt: "Picture from the device", loading: "lazy" })];
  if (kind === "parameters") return [table(parameters)];
  if (kind === "text") return [make("pre", { textContent: text })];
  return [];
}

function table(parameters) {
  const box = make("div", { className: "parameters", tabIndex: 0 });
  const made = document.createElement("table");
  for (const pair of parameters) {
    const row = made.insertRow();
    for (const text of pair) row.insertCell().textContent = text;
  }
  box.append(made);
  return box;
}

function rawButton({ number }) {
  const box = document.createElement("div");
  const button = make("button", { type: "button", textContent: "Raw" });
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", async () => {
    const shown = button.nextSibling;
    button.setAttribute("aria-pressed", String(!shown));
    if (shown) return shown.remove();
    const pre = make("pre", { className: "raw" });
    box.append(pre);
    try {
      const response = await fetch(`/api/exchanges/${number}/raw`);
      pre.textContent = response.ok ? escaped(new Uint8Array(await response.arrayBuffer())) : "no longer kept";
    } catch (error) {
      pre.textContent = error.message;
    }
  });
  box.append(button);
  return box;
}

/** Bytes as text: unprintable ones are escaped, line breaks are kept. */
function escaped(bytes) {
  let text = "";
  for (const byte of bytes.subarray(0, RAW)) {
    if (byte === 10) text += "\\n\n";
    else if (byte === 13) text += "\\r";
    else if (byte === 92) text += "\\\\";
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return bytes.length > RAW ? `${text}\n… ${bytes.length - RAW} bytes more` : text;
}

function line(texts) {
  const made = make("p", { className: "facts" });
  made.append(...facts(...texts));
  return made;
}

function span(className, textContent) {
  return make("span", { className, textContent });
}

function clock(ms) {
  const date = new Date(ms);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
