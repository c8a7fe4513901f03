// The form of the server's faults.

import { api } from "/page/api.js";
import { make } from "/parts/dom.js";

// For each fault its name, the label of its value and an example of the value.
const WIRE = {
  "": ["no fault"],
  refuse: ["close at once"],
  silence: ["silence"],
  length: ["another length", "Length", 4294967295],
  drip_ms: ["one byte at a time", "Milliseconds a byte", 60000],
  garbage: ["garbage"],
  close_mid_command: ["half of it, and close"],
  stop_reading: ["the command, and read no more"],
};
const SWITCHES = ["no_slash", "pipelined", "never_done", "done_nul", "mortal"];
/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

/** Wires the form; `report(text, bad)` tells what went wrong. */
export function startFaults(report) {
  const form = $("faults");
  const fields = form.elements;
  fields.wire.append(...Object.entries(WIRE).map(([value, [textContent]]) =>
    make("option", { value, textContent })));
  const describe = () => {
    const [, label, example] = WIRE[fields.wire.value];
    $("value-label").hidden = !label;
    $("value-label").firstChild.textContent = `${label ?? "Value"} `;
    fields.value.value = example ?? "";
  };
  const show = (faults) => {
    const { wire } = faults;
    const [name, value] = typeof wire === "object" && wire ? Object.entries(wire)[0] : [wire ?? "", null];
    fields.wire.value = name;
    describe();
    if (value !== null) fields.value.value = value;
    fields.after.value = faults.after;
    fields.ending.value = faults.ending;
    for (const name of SWITCHES) fields[name].checked = faults[name];
    const on = [
      wire && `${WIRE[name][0]}${value === null ? "" : `: ${value}`}${faults.after ? `, after ${faults.after}` : ""}`,
      faults.ending !== "none" && `commands end with ${faults.ending.replace("_", " ")}`,
      ...SWITCHES.map((name) => faults[name] && name.replace("_", " ")),
    ].filter(Boolean);
    $("faults-on").textContent = on.length ? `On: ${on.join("; ")}` : "no fault is on";
  };
  const apply = async (faults) => {
    try {
      show(await api("faults", faults));
    } catch (error) {
      report(`faults: ${error.message}`, true);
    }
  };
  fields.wire.addEventListener("change", describe);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = fields.wire.value;
    const wire = WIRE[name][1] ? { [name]: Number(fields.value.value) } : name || null;
    const switches = Object.fromEntries(SWITCHES.map((name) => [name, fields[name].checked]));
    apply({ wire, after: Number(fields.after.value), ending: fields.ending.value, ...switches });
  });
  $("end-faults").addEventListener("click", () => apply({}));
  api("faults").then(show).catch((error) => report(`faults: ${error.message}`, true));
}
