// Faults of the recording service, and the "not now" of pre-recording. Faults of other parts stay.

import { api } from "/page/api.js";
import { rows } from "/page/rows.js";
import { make } from "/parts/dom.js";
import { FAULTS, describeStepFault } from "./stepfault.js";

const STEPS = ["create", "put", "save", "fail", "stat", "getcurrenttime", "next_dts"];
/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

/** Wires the panel; `report(text)` shows an error. */
export function startFaults(report) {
  const form = $("faults").elements;
  form.fault.append(...Object.keys(FAULTS).map((name) =>
    make("option", { value: name, textContent: name.replace("_", " ") })));
  const describe = () => {
    const needs = FAULTS[form.fault.value];
    $("value-label").hidden = !needs;
    $("value-label").firstChild.textContent = `${needs?.[0] ?? "Value"} `;
    form.value.value = needs?.[1] ?? "";
  };
  form.fault.addEventListener("change", describe);
  describe();

  // One change after the other: each reads the faults that the change before wrote.
  let queue = Promise.resolve();
  const change = (edit) => { queue = queue.then(() => apply(edit)); };
  const apply = async (edit) => {
    try {
      const all = await api("faults");
      edit(all.record);
      draw(await api("faults", all));
      report("");
    } catch (error) {
      report(`faults: ${error.message}`);
    }
  };
  $("not-now").addEventListener("click", () => change((record) => { record.not_now = !record.not_now; }));
  $("faults").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = form.fault.value;
    const needs = FAULTS[name];
    const fault = needs ? { [name]: needs[2](form.value.value) } : name;
    const times = form.times.value ? Number(form.times.value) : null;
    change((record) => { record[form.step.value] = { fault, times }; });
  });
  $("end-faults").addEventListener("click", () => change((record) => {
    for (const step of STEPS) record[step] = null;
    Object.assign(record, { url_seconds: null, bom: false, stored_again: null, odd_query: null });
  }));
  $("quirks").addEventListener("submit", (event) => {
    event.preventDefault();
    const { bom, again, query } = event.target.elements;
    change((record) => Object.assign(record, {
      bom: bom.checked,
      stored_again: again.value === "" ? null : Number(again.value),
      odd_query: query.value === "" ? null : query.value,
    }));
  });
  $("expiry").addEventListener("submit", (event) => {
    event.preventDefault();
    const { value } = event.target.elements.seconds;
    change((record) => { record.url_seconds = value === "" ? null : Number(value); });
  });
  const poll = () => api("faults").then(draw).catch(() => {});
  poll();
  setInterval(poll, 2000);
}

function draw({ record }) {
  $("not-now").setAttribute("aria-pressed", record.not_now);
  const on = STEPS.filter((step) => record[step]).map((step) => `${step}: ${describeStepFault(record[step])}`);
  if (record.url_seconds !== null) on.push(`upload addresses are good for ${record.url_seconds} s`);
  if (record.bom) on.push("answers begin with a byte order mark");
  if (record.stored_again !== null) on.push(`a PUT of what is stored is answered ${record.stored_again}`);
  if (record.odd_query !== null) on.push(`upload addresses end with ${record.odd_query}`);
  rows("faults-on", on, "no fault is on", (text) => [text]);
}
