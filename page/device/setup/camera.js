// The first step: which camera it is.

import { make } from "/parts/dom.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import { buildAdd } from "../camera/add.js";
import { backends, countChannels, isBuiltIn } from "../camera/save.js";
import texts from "../texts/wizard.js";

register(texts);

/**
 * @param {HTMLElement} element
 * @param {import("../page.js").Context} context
 */
export async function showCamera(element, context) {
  const settings = await loadSettings(context.signal);
  const first = countChannels(settings) > 0 ? [buildOwn(settings, context)] : [];
  const add = buildAdd(context, { number: 0, step: "camera", first, done: () => context.go("wizard/picture") });
  element.append(add.element);
}

/**
 * The camera that the device has already: its own, or the one that was configured.
 * @param {import("/parts/settings.js").Settings} settings
 * @param {import("../page.js").Context} context
 */
function buildOwn(settings, context) {
  const title = t(isBuiltIn(settings, 0) ? "wizard.built_in" : "wizard.configured");
  const button = make("button", { type: "button", className: "camera" },
    make("span", { className: "picture", "aria-hidden": "true" }),
    make("span", { className: "told" }, make("strong", { textContent: title }),
      make("span", { className: "hint", textContent: backends(settings, 0).join(", ") })));
  button.addEventListener("click", () => context.go("wizard/picture"));
  return button;
}
