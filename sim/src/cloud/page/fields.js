// The fields of a form: each has an element and reads its own value, `undefined` where it is left out.

import { buildArea } from "/parts/area.js";
import { make } from "./dom.js";
import { buildPublishes } from "./publishes.js";

export const QUALITY = ["hd", "ld", "sd", "fhd"];

const BUILD = {
  area: ({ name }) => buildArea({ name, label: `${name}: change the area`, picture: playing }),
  bool: buildSwitch,
  choice: (field) => labelled(field, make("select", { name: field.name },
    ...field.of.map((value) => make("option", { value, textContent: value }))), (input) => input.value),
  int: buildNumber,
  password: buildPassword,
  publishes: () => buildPublishes(QUALITY),
  text: buildText,
  time: buildTime,
};

/** Builds a field: `{ name, kind, value, hint, optional, wide }`, `of` for a choice. */
export function buildField(field) {
  return { name: field.name, whole: field.whole, ...BUILD[field.kind](field) };
}

function playing() {
  return document.getElementById("video");
}

function buildSwitch({ name, value }) {
  const input = make("input", { type: "checkbox", name, checked: value });
  return { element: make("label", { className: "check" }, input, name), read: () => input.checked };
}

function buildNumber(field) {
  const input = make("input", { type: "number", name: field.name, autocomplete: "off", value: field.value ?? "" });
  input.required = !field.optional;
  return labelled(field, input, () => (input.value === "" ? undefined : Number(input.value)));
}

// Blanks are part of a text, such as the name of a network.
function buildText(field) {
  const input = make("input", { name: field.name, autocomplete: "off", value: field.value ?? "" });
  return labelled(field, input, () => (field.optional && input.value === "" ? undefined : input.value));
}

// A browser leaves out seconds that are 0; the protocol does not.
function buildTime(field) {
  const input = make("input", { type: "datetime-local", name: field.name, step: 1, required: true });
  return labelled(field, input, () => (input.value.length === 16 ? `${input.value}:00` : input.value));
}

// A password is dropped from the page when it has been sent.
function buildPassword(field) {
  const input = make("input", { type: "password", name: field.name, autocomplete: "new-password" });
  const open = make("input", { type: "checkbox", name: `no_${field.name}` });
  const { element } = labelled(field, input);
  const read = () => (open.checked ? "" : input.value === "" ? undefined : input.value);
  const label = make("label", { className: "check" }, open, "open network: an empty password");
  return { element: [element, label], read, sent: () => { input.value = ""; } };
}

function labelled({ name, hint, optional, wide }, input, read) {
  const text = optional ? `${name} (optional)` : name;
  const element = make("label", { className: wide ? "wide" : "" }, hint ? `${text}: ${hint}` : text, input);
  return { element, read: () => read(input) };
}
