// The fields of a form. Each reads its own value: `undefined` where it is left out.

import { freshId, make } from "./dom.js";
import { register, t } from "./text.js";
import texts from "./texts.js";

register(texts);

/**
 * What a field is.
 * @typedef {object} FieldOptions
 * @property {string} name name of the value, as the device spells it
 * @property {"text" | "password" | "secret" | "number" | "choice" | "switch" | "time" | "moment"} kind
 *   `password`: typed anew, blanks kept. `secret`: write-only, `value` says whether one is set; reads `undefined` to keep it,
 *   and `null` to remove it where it is optional. `number`: may have `unit`. `time`: second of the day. `moment`: date and time
 *   to the second.
 * @property {string} [label] the name where there is none
 * @property {string} [hint] what to fill in
 * @property {any} [value]
 * @property {boolean} [optional] may be left empty, and reads `undefined` then
 * @property {boolean} [required] whether the form refuses to send it empty; what is not optional is required, unless it is told
 * @property {(string | [string, string])[]} [of] values of a choice, with their labels where they differ
 * @property {number} [min]
 * @property {number} [max]
 * @property {number | "any"} [step]
 * @property {string} [unit]
 * @property {number} [longest] most characters of a text
 * @property {boolean} [wide] takes a row of its own
 * @property {string} [autocomplete] what the browser may fill in; "off" where nothing
 * @property {string[]} [suggestions] values of a text to choose from
 */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {HTMLElement} element
 * @property {HTMLInputElement | HTMLSelectElement} input
 * @property {() => any} read
 * @property {(value: any) => void} write
 * @property {(message: string) => void} refuse shows what is wrong at the field; an empty text takes it away
 * @property {() => void} [sent] forgets what nobody is to see again
 */

/**
 * @typedef {object} Control
 * @property {HTMLInputElement | HTMLSelectElement} input
 * @property {HTMLElement} [element] what stands in the place of the input alone
 * @property {HTMLElement} [behind] what stands below it
 * @property {() => any} read
 * @property {(value: any) => void} write
 * @property {() => void} [sent]
 */

/** @type {Record<FieldOptions["kind"], (field: FieldOptions) => Control>} */
const BUILD = {
  text: buildText,
  password: buildPassword,
  secret: buildSecret,
  number: buildNumber,
  choice: buildChoice,
  switch: buildSwitch,
  time: buildTime,
  moment: buildMoment,
};

/**
 * Builds a field.
 * @param {FieldOptions} options
 * @returns {Field}
 */
export function buildField(options) {
  const { name, kind, label = name, hint, value, optional = false, wide } = options;
  const { input, element = input, behind, read, write, sent } = BUILD[kind](options);
  const [hintId, errorId] = [freshId(), freshId()];
  input.id = freshId();
  input.name = name;
  input.required = options.required ?? !(optional || kind === "switch" || kind === "secret");
  const note = make("p", { id: hintId, className: "hint", textContent: hint ?? "" });
  const error = make("p", { id: errorId, className: "error", role: "alert", hidden: true });
  input.setAttribute("aria-describedby", hint ? `${hintId} ${errorId}` : errorId);
  const text = optional && kind !== "switch" ? `${label} (${t("part.optional")})` : label;
  const title = make("label", { for: input.id, textContent: text });
  const whole = make("div", { className: `field ${kind}${wide ? " wide" : ""}` },
    ...(kind === "switch" ? [element, title] : [title, element]), behind, hint && note, error);
  const refuse = (/** @type {string} */ message) => {
    error.textContent = message;
    error.hidden = !message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => refuse(""));
  if (value !== undefined) write(value);
  return { name, element: whole, input, read, write, refuse, sent };
}

/**
 * What is wrong with what stands in an input; empty if nothing is.
 * @param {HTMLInputElement | HTMLSelectElement} input
 */
export function fault(input) {
  const { valid, valueMissing, badInput } = input.validity;
  if (valid) return "";
  if (badInput) return t("part.number");
  if (valueMissing) return t("part.required");
  if (!(input instanceof HTMLInputElement)) return input.validationMessage;
  const { min, max } = input;
  if (input.type === "number" && (input.validity.rangeUnderflow || input.validity.rangeOverflow)) {
    return t(min === "" ? "part.most" : max === "" ? "part.least" : "part.range", { min, max });
  }
  return input.validationMessage;
}

// Blanks are part of a text, such as the name of a network.
/** @param {FieldOptions} field @returns {Control} */
function buildText({ optional, longest, autocomplete = "off", suggestions }) {
  const input = make("input", { type: "text", autocomplete, spellcheck: false });
  input.setAttribute("autocapitalize", "off");
  if (longest !== undefined) input.maxLength = longest;
  let behind;
  if (suggestions) {
    const id = freshId();
    behind = make("datalist", { id }, ...suggestions.map((value) => make("option", { value })));
    input.setAttribute("list", id);
  }
  return {
    input,
    behind,
    read: () => (optional && input.value === "" ? undefined : input.value),
    write: (value) => { input.value = value ?? ""; },
  };
}

/** @param {FieldOptions} field @returns {Control} */
function buildPassword({ optional, longest, autocomplete = "new-password" }) {
  const input = make("input", { type: "password", autocomplete });
  if (longest !== undefined) input.maxLength = longest;
  const show = make("button", { type: "button", textContent: t("part.show"), "aria-pressed": false });
  const turn = (/** @type {boolean} */ shown) => {
    input.type = shown ? "text" : "password";
    show.textContent = t(shown ? "part.hide" : "part.show");
    show.setAttribute("aria-pressed", String(shown));
  };
  show.addEventListener("click", () => turn(input.type === "password"));
  return {
    input,
    element: make("div", { className: "beside" }, input, show),
    read: () => (optional && input.value === "" ? undefined : input.value),
    write: (value) => { input.value = value ?? ""; },
    sent: () => {
      input.value = "";
      turn(false);
    },
  };
}

/** @param {FieldOptions} field @returns {Control} */
function buildSecret({ optional, longest }) {
  const { input, element, sent } = buildPassword({ name: "", kind: "password", longest });
  const remove = make("input", { type: "checkbox" });
  const behind = make("label", { className: "check", hidden: true }, remove, t("part.remove"));
  if (!(input instanceof HTMLInputElement)) throw new TypeError("a password has an input");
  remove.addEventListener("change", () => { input.disabled = remove.checked; });
  const write = (/** @type {any} */ isSet) => {
    input.placeholder = isSet ? t("part.keep") : "";
    behind.hidden = !isSet || !optional;
    remove.checked = false;
    input.disabled = false;
  };
  const read = () => (remove.checked ? null : input.value === "" ? undefined : input.value);
  return { input, element, behind, read, write, sent };
}

/** @param {FieldOptions} field @returns {Control} */
function buildNumber({ min, max, step, unit, optional }) {
  const input = make("input", { type: "number", autocomplete: "off", min, max, step });
  input.inputMode = step === undefined && (min ?? -1) >= 0 ? "numeric" : "decimal";
  const element = unit ? make("div", { className: "beside" }, input, make("span", { textContent: unit })) : input;
  return {
    input,
    element,
    read: () => (input.value === "" ? (optional ? undefined : null) : Number(input.value)),
    write: (value) => { input.value = value ?? ""; },
  };
}

/** @param {FieldOptions} field @returns {Control} */
function buildChoice({ of = [] }) {
  const input = make("select", {}, ...of.map((one) => {
    const [value, textContent] = typeof one === "string" ? [one, one] : one;
    return make("option", { value, textContent });
  }));
  return { input, read: () => input.value, write: (value) => { input.value = value ?? ""; } };
}

/** @returns {Control} */
function buildSwitch() {
  const input = make("input", { type: "checkbox", className: "switch" });
  return { input, read: () => input.checked, write: (value) => { input.checked = Boolean(value); } };
}

// The end of a day is 86400, which a browser shows as 00:00: a maximum of 86400 says that 00:00 is the end.
/** @param {FieldOptions} field @returns {Control} */
function buildTime({ optional, max }) {
  const input = make("input", { type: "time" });
  return {
    input,
    read: () => {
      if (input.value === "") return optional ? undefined : null;
      const [hours = 0, minutes = 0, seconds = 0] = input.value.split(":").map(Number);
      const at = hours * 3600 + minutes * 60 + seconds;
      return at === 0 && max === 86400 ? max : at;
    },
    write: (value) => {
      const two = (/** @type {number} */ n) => String(Math.floor(n)).padStart(2, "0");
      input.value = value === undefined || value === null ? "" : `${two((value / 3600) % 24)}:${two((value / 60) % 60)}`;
    },
  };
}

// A browser leaves out seconds that are 0.
/** @returns {Control} */
function buildMoment() {
  const input = make("input", { type: "datetime-local", step: 1 });
  return {
    input,
    read: () => (input.value.length === 16 ? `${input.value}:00` : input.value),
    write: (value) => { input.value = value ?? ""; },
  };
}
