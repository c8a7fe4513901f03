// A form: fields, a button that sends them, and what became of it.

import { CallError } from "./api.js";
import { make } from "./dom.js";
import { buildField, fault } from "./fields.js";
import { explain } from "./notice.js";
import { t } from "./text.js";

/**
 * @typedef {object} FormOptions
 * @property {import("./fields.js").FieldOptions[]} fields
 * @property {string} [submit] label of the button that sends; "Save" by default
 * @property {(values: Record<string, any>) => Promise<string | void> | string | void} send is given the values; a text that it
 *   returns is shown as what became of it. A refusal of the device is shown at the field that it names, or below the form.
 * @property {HTMLElement[]} [buttons] further buttons
 * @property {string} [draft] a name under which what was typed is kept until it has been sent: it outlasts the page's being left
 *   and a change of the language
 * @property {(values: Record<string, any>) => Record<string, string | undefined>} [verify] what is wrong with the values beside what each field
 *   says of itself, by the field's name; the device is not asked then
 * @property {Record<string, string>} [names] what the device calls a field in its refusals, by the field's name, where it differs
 */

/**
 * @typedef {object} Form
 * @property {HTMLFormElement} element
 * @property {() => Record<string, any>} read the values; what is left out is not among them
 * @property {(values: Record<string, any>) => void} write shows values of the device; what a person has typed stays
 * @property {(error: unknown) => void} refuse shows why it was not carried out
 * @property {(name: string) => import("./fields.js").Field} field
 * @property {() => boolean} check whether the fields are filled in well; shows what is not
 * @property {() => Promise<void>} submit
 */

/** What was typed and not sent yet, by draft and field.
 * @type {Map<string, Map<string, any>>} */
const drafts = new Map();

/**
 * Builds a form.
 * @param {FormOptions} options
 * @returns {Form}
 */
export function buildForm({ fields, submit = t("part.save"), send, buttons = [], draft, verify, names = {} }) {
  const list = fields.map(buildField);
  const go = make("button", { className: "go", textContent: submit });
  const result = make("p", { className: "result", role: "status" });
  const element = make("form", { noValidate: true, autocomplete: "off" },
    make("div", { className: "fields" }, ...list.map((field) => field.element)),
    make("div", { className: "buttons" }, go, ...buttons), result);
  const typed = draft === undefined ? new Map() : drafts.get(draft) ?? new Map();
  for (const { name, write } of list) if (typed.has(name)) write(typed.get(name));
  element.addEventListener("input", ({ target }) => {
    const field = list.find(({ input }) => input === target);
    if (!field) return;
    // A secret is not written back: it stays on the device.
    if (!field.sent) typed.set(field.name, field.read());
    if (draft !== undefined) drafts.set(draft, typed);
    say("", false);
  });

  const say = (/** @type {string} */ text, /** @type {boolean} */ bad) => {
    result.textContent = text;
    result.classList.toggle("bad", bad);
  };
  const read = () => Object.fromEntries(list.map((field) => [field.name, field.read()]).filter(([, value]) => value !== undefined));
  const write = (/** @type {Record<string, any>} */ values) => {
    for (const field of list) if (field.name in values && !typed.has(field.name)) field.write(values[field.name]);
  };
  const check = () => {
    const found = verify?.(read()) ?? {};
    for (const { name, input, refuse } of list) refuse(input.closest("[hidden]") ? "" : fault(input) || (found[name] ?? ""));
    const wrong = list.find(({ input }) => input.hasAttribute("aria-invalid"));
    wrong?.input.focus();
    return !wrong;
  };
  const refuse = (/** @type {unknown} */ error) => {
    const named = error instanceof CallError ? error.field : "";
    const field = named ? list.find(({ name }) => (names[name] ?? name) === named) : undefined;
    say(field ? "" : explain(error), true);
    if (!field) return;
    field.refuse(explain(error));
    field.input.focus();
  };
  let busy = false;
  const run = async () => {
    if (busy || !check()) return;
    busy = true;
    element.setAttribute("aria-busy", "true");
    go.setAttribute("aria-disabled", "true");
    say("", false);
    try {
      const done = await send(read());
      typed.clear();
      if (draft !== undefined) drafts.delete(draft);
      for (const { sent } of list) sent?.();
      say(done ?? "", false);
    } catch (error) {
      refuse(error);
    } finally {
      busy = false;
      element.removeAttribute("aria-busy");
      go.removeAttribute("aria-disabled");
    }
  };
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  const field = (/** @type {string} */ name) => {
    const found = list.find((one) => one.name === name);
    if (!found) throw new RangeError(`the form has no field ${name}`);
    return found;
  };
  return { element, read, write, refuse, field, check, submit: run };
}
