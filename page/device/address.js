// Where the page itself is served.

import { makePanel, make } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import texts from "./texts/address.js";
import { lookAtTrial } from "./trial.js";

register(texts);

/**
 * A panel with the page's address and its encryption.
 * @param {import("./page.js").Context} context
 */
export async function buildAddress(context) {
  const settings = await loadSettings(context.signal);
  const form = buildForm({
    fields: [
      { name: "web.listen", kind: "text", label: t("address.listen"), hint: t("address.listen_hint"), longest: 64, value: settings.get("web.listen") },
      { name: "web.https", kind: "switch", label: t("address.https"), hint: t("address.https_hint"), value: settings.get("web.https") === "on" },
    ],
    submit: t("address.save"),
    send: async (values) => {
      const saved = await settings.save({ "web.listen": values["web.listen"].trim(), "web.https": values["web.https"] ? "on" : "off" });
      await lookAtTrial(5);
      return saved ? t("address.saved") : t("address.theirs");
    },
  });
  return makePanel(t("address.title"), make("p", { className: "hint", textContent: t("address.text") }), form.element);
}
