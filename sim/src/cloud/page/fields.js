// The fields of a form: those that all pages have, and those of a cloud alone.

import { buildArea } from "/parts/area.js";
import { make } from "/parts/dom.js";
import { buildField as buildPart } from "/parts/fields.js";
import { buildPublishes } from "./publishes.js";

export const QUALITY = ["hd", "ld", "sd", "fhd"];

const BUILD = {
  area: ({ name }) => buildArea({ name, label: `${name}: change the area`, picture: playing }),
  password: buildPassword,
  publishes: () => buildPublishes(QUALITY),
};

/** Builds a field: `{ name, kind, value, hint, optional, wide }`, `of` for a choice. */
export function buildField(field) {
  // Whatever a person leaves empty is sent like that, since a device may be sent anything.
  const part = { ...field, required: ["number", "moment"].includes(field.kind) && !field.optional };
  return { whole: field.whole, ...(BUILD[field.kind]?.(field) ?? buildPart(part)), name: field.name };
}

function playing() {
  return /** @type {HTMLVideoElement} */ (document.getElementById("video"));
}

// A password is dropped from the page when it has been sent.
function buildPassword(field) {
  const { element, input, sent } = buildPart({ ...field, required: false });
  const open = make("input", { type: "checkbox", name: `no_${field.name}` });
  const read = () => (open.checked ? "" : input.value === "" ? undefined : input.value);
  return { element: [element, make("label", { className: "check" }, open, "open network: an empty password")], read, sent };
}
