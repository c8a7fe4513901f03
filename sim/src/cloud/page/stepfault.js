// The faults that a request for a file, or with one, may meet.

import { make } from "/parts/dom.js";

// For each fault the label of its value and an example of the value; `null` for a fault without a value.
export const FAULTS = {
  status: ["HTTP status", "503", Number],
  redirect: ["Address", "http://127.0.0.1:9/elsewhere", String],
  hop: ["HTTP status", "307", Number],
  busy: ["HTTP status and Retry-After", "503 5", (text) => {
    const [status, ...rest] = text.trim().split(" ");
    return { status: Number(status), retry_after: rest.join(" ") };
  }],
  xml: ["HTTP status, code, seconds that Date is off, message", "403 RequestTimeTooSkewed -5400 too large", (text) => {
    const [status, code, off, ...rest] = text.trim().split(" ");
    return { status: Number(status), code, date_off: Number(off), message: rest.join(" ") };
  }],
  body: ["Answer in its place", '{"code":0,"data":{}}', String],
  odd: ["Answer when it is done", "OK", String],
  beside: ["Members before its own", '"fee":1e400,"city":"K\u00f6ln"', String],
  delay_ms: ["Milliseconds", "3000", Number],
  slow: ["Bytes a second", "20000", Number],
  stall: null,
  reset: null,
  close: null,
  lose_answer: null,
  not_json: null,
  empty_object: null,
  huge: null,
  no_uri: null,
  uri: ["Address given", "ftp://127.0.0.1/x", String],
};

/** Fields for the fault of one kind of request. `read()` is the fault, or null for none. */
export function buildStepFault(text) {
  const name = make("select", {}, ...["none", ...Object.keys(FAULTS)].map((value) =>
    make("option", { value, textContent: value.replace("_", " ") })));
  const value = make("input", { autocomplete: "off" });
  const label = make("label", {}, "Value", value);
  const times = make("input", { type: "number", min: 1, placeholder: "until it is ended" });
  const describe = () => {
    const needs = FAULTS[name.value];
    label.hidden = !needs;
    label.firstChild.textContent = needs?.[0] ?? "Value";
    value.value = needs?.[1] ?? "";
  };
  name.addEventListener("change", describe);
  describe();
  const read = () => {
    if (name.value === "none") return null;
    const needs = FAULTS[name.value];
    const fault = needs ? { [name.value]: needs[2](value.value) } : name.value;
    return { fault, times: times.value ? Number(times.value) : null };
  };
  return { elements: [make("label", {}, text, name), label, make("label", {}, "Times", times)], read };
}

/** What a fault is, in words. */
export function describeStepFault(step) {
  if (!step) return "none";
  const [name, value] = typeof step.fault === "string" ? [step.fault, ""] : Object.entries(step.fault)[0];
  const what = `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`.trim().replace("_", " ");
  return `${what}, ${step.times === null ? "until it is ended" : `${step.times} more`}`;
}
