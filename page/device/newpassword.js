// The fields by which a password is chosen: typed twice, with its strength.

import { make } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { register, t } from "/parts/text.js";
import { strength } from "./strength.js";
import texts from "./texts/claim.js";

register(texts);

/** Fewest and most characters of a password; the device counts them too. */
const SHORTEST = 8;
const LONGEST = 128;
const WORDS = ["", "claim.weak", "claim.fair", "claim.strong"];

/**
 * A form that asks for a new password.
 * @param {{ submit: string, old?: boolean, send: (values: Record<string, any>) => Promise<string | void> }} options `old`: asks for the
 *   password that holds, too; `send` is given `new`, and `old`
 */
export function buildNewPassword({ submit, old = false, send }) {
  /** @type {import("/parts/fields.js").FieldOptions[]} */
  const known = old ? [{ name: "old", kind: "password", label: t("claim.old"), autocomplete: "current-password", wide: true }] : [];
  const form = buildForm({
    fields: [
      ...known,
      { name: "new", kind: "password", label: t("claim.password"), hint: t("claim.rule"), wide: true },
      { name: "again", kind: "password", label: t("claim.again"), wide: true },
    ],
    names: old ? {} : { new: "password" },
    submit,
    verify: ({ new: chosen, again }) => {
      const length = Array.from(chosen).length;
      if (length < SHORTEST) return { new: t("claim.short") };
      if (length > LONGEST) return { new: t("claim.long") };
      return chosen === again ? {} : { again: t("claim.differ") };
    },
    send,
  });
  const meter = make("meter", { min: 0, max: 3, low: 1.5, high: 2.5, optimum: 3, value: 0, "aria-label": t("claim.strength") });
  const word = make("span");
  const { element, input } = form.field("new");
  element.append(make("p", { className: "strength", "aria-live": "polite" }, meter, word));
  input.addEventListener("input", () => {
    meter.value = strength(input.value);
    word.textContent = t(WORDS[meter.value] ?? "");
  });
  return form;
}
