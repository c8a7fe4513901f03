// The firmware that the cloud offers: hosted here, or named elsewhere.

import { api } from "/page/api.js";
import { make } from "/parts/dom.js";
import { buildFaults } from "./switches.js";

const FAULTS = [
  ["refuse", "number", "Answer GetFirmware by an error of code"],
  ["ignore_range", "bool", "ignore Range"],
  ["cut_after", "number", "Cut each answer after bytes"],
  ["bytes_per_second", "number", "Bytes a second"],
  ["length_off", "count", "Content-Length is off by bytes"],
  ["chunked", "bool", "send no Content-Length"],
  ["range_off", "count", "Parts begin off by bytes"],
  ["new_etag", "bool", "another ETag in each answer"],
  ["damage_at", "number", "Damage the byte at offset"],
  ["image", "step", "Fault of the image"],
  ["signature", "step", "Fault of the signature"],
];

/** Wires the form; `notify(event)` sends an event to the device, `report(text, bad)` tells what became of it. */
export function startFirmware({ form, hosted, requests, faults }, notify, report) {
  const { firmware_model, url, image, signature } = form.elements;
  const show = (info) => {
    const size = info.bytes === null ? "no image is hosted" : `${info.name}, ${info.bytes} bytes, SHA-256 ${info.sha256}`;
    const signed = info.signature_bytes === null ? "no signature" : `signature of ${info.signature_bytes} bytes`;
    hosted.textContent = info.bytes === null ? size : `${size}; ${signed}; ${location.origin}${info.path}`;
    requests.replaceChildren(...info.requests.slice(-20).reverse().map((request) => make("li", {
      textContent: `${new Date(request.time_ms).toLocaleTimeString()} ${request.signature ? "signature" : "image"}`
        + ` ${request.range} → ${request.status || "cut"}, ${request.sent} bytes`,
    })));
  };
  const attempt = async (what, work) => {
    report(`${what} …`);
    try {
      show(await work());
      report(`${what}: done`);
    } catch (error) {
      report(`${what}: ${error.message}`, true);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("firmware", async () => {
      const [file] = image.files;
      if (file) await put(`image?name=${encodeURIComponent(file.name)}`, file);
      const [signed] = signature.files;
      if (signed) await put("signature", signed);
      return api("firmware", { firmware_model: firmware_model.value, url: url.value });
    });
  });
  form.querySelector(".upgrade").addEventListener("click", () => notify("UpgradeFirmware"));
  form.querySelector(".withdraw").addEventListener("click", () => attempt("withdrawing", () => send("DELETE", "")));
  faults.append(buildFaults("firmware", FAULTS, report));
  const poll = () => api("firmware").then(show).catch(() => {});
  api("firmware").then((info) => {
    firmware_model.value = info.firmware_model;
    url.value = info.url;
    show(info);
  }).catch(() => {});
  setInterval(poll, 2000);
}

const put = (path, body) => send("PUT", `/${path}`, body);

async function send(method, path, body) {
  const response = await fetch(`/api/firmware${path}`, { method, body });
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  throw new Error(text || `HTTP status ${response.status}`);
}
