// A form for one group of faults: switches, numbers, texts, and the faults of single requests.

import { api } from "/page/api.js";
import { make } from "/parts/dom.js";
import { buildStepFault, describeStepFault } from "./stepfault.js";

/** A form for the group `group` of the faults; `fields` are `[name, kind, label]`, with the kinds `bool`, `count` (a
 * number, 0 for off), `number` (left out for off), `text` and `step`. `report(text, bad)` tells what became of it. */
export function buildFaults(group, fields, report) {
  const built = fields.map(([name, kind, label]) => ({ name, kind, ...BUILD[kind](name, label) }));
  const on = make("p", { className: "hint" });
  const form = make("form", {}, make("div", { className: "fields" }, ...built.flatMap(({ elements }) => elements)),
    make("button", { textContent: "Apply faults" }), on);
  form.dataset.faults = group;
  const show = (values) => {
    for (const { name, write } of built) write?.(values[name]);
    const steps = built.filter(({ name, kind }) => kind === "step" && values[name]);
    on.textContent = steps.map(({ name }) => `${name}: ${describeStepFault(values[name])}`).join("; ");
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const all = await api("faults");
      const values = Object.fromEntries(built.map(({ name, read }) => [name, read()]));
      show((await api("faults", { ...all, [group]: values }))[group]);
      report("faults applied");
    } catch (error) {
      report(`faults: ${error.message}`, true);
    }
  });
  api("faults").then((all) => show(all[group])).catch(() => {});
  return form;
}

const BUILD = {
  bool(name, label) {
    const input = make("input", { type: "checkbox", name });
    return {
      elements: [make("label", { className: "check" }, input, label)],
      read: () => input.checked,
      write: (value) => { input.checked = value; },
    };
  },
  count(name, label) {
    const input = make("input", { type: "number", name, value: 0, required: true });
    return { elements: [make("label", {}, label, input)], read: () => Number(input.value), write: (value) => { input.value = value; } };
  },
  number(name, label) {
    const input = make("input", { type: "number", name, placeholder: "no" });
    return {
      elements: [make("label", {}, label, input)],
      read: () => (input.value === "" ? null : Number(input.value)),
      write: (value) => { input.value = value ?? ""; },
    };
  },
  text(name, label) {
    const input = make("input", { name, autocomplete: "off", placeholder: "no" });
    return {
      elements: [make("label", {}, label, input)],
      read: () => (input.value === "" ? null : input.value),
      write: (value) => { input.value = value ?? ""; },
    };
  },
  step: (name, label) => buildStepFault(label),
};
