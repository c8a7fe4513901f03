// The first visit: the device gets its password.

import { call } from "/parts/api.js";
import { make } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { register, t } from "/parts/text.js";
import { strength } from "../strength.js";
import texts from "../texts/claim.js";

register(texts);

/** Fewest characters of a password; the device counts them too. */
const SHORTEST = 8;
const WORDS = ["", "claim.weak", "claim.fair", "claim.strong"];

/** @type {import("../page.js").Page} */
const page = {
  name: "claim",
  show(element) {
    const form = buildForm({
      fields: [
        { name: "password", kind: "password", label: t("claim.password"), hint: t("claim.rule"), wide: true },
        { name: "again", kind: "password", label: t("claim.again"), wide: true },
      ],
      submit: t("claim.go"),
      verify: ({ password, again }) => {
        if (Array.from(password).length < SHORTEST) return { password: t("claim.short") };
        return password === again ? {} : { again: t("claim.differ") };
      },
      send: async ({ password }) => {
        await call("POST", "/claim", { password });
        location.reload();
      },
    });
    const meter = make("meter", { min: 0, max: 3, low: 2, high: 3, optimum: 3, value: 0, "aria-label": t("claim.strength") });
    const word = make("span");
    const { element: field, input } = form.field("password");
    field.append(make("p", { className: "strength", "aria-live": "polite" }, meter, word));
    input.addEventListener("input", () => {
      meter.value = strength(input.value);
      word.textContent = meter.value ? t(WORDS[meter.value] ?? "") : "";
    });
    element.append(make("section", { className: "panel" }, make("p", { textContent: t("claim.text") }), form.element));
  },
};

export default page;
