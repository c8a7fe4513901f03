// The third step: the account at the cloud.

import { make, makePanel } from "/parts/dom.js";
import { register, t } from "/parts/text.js";
import texts from "../texts/wizard.js";

register(texts);

/**
 * @param {HTMLElement} element
 * @param {import("../page.js").Context} context
 */
export async function showCloud(element, context) {
  const { buildCloudForm } = await import("../pages/cloud.js");
  const form = await buildCloudForm(context, { done: () => context.go("wizard/done") });
  const back = make("a", { className: "button", href: "#/wizard/picture", textContent: t("wizard.back") });
  element.append(makePanel(t("wizard.account"), form.element), make("div", { className: "buttons" }, back));
}
