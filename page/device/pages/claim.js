// The first visit: the device gets its password.

import { call } from "/parts/api.js";
import { make } from "/parts/dom.js";
import { t } from "/parts/text.js";
import { buildNewPassword } from "../newpassword.js";
import { forget } from "../setup/state.js";

/** @type {import("../page.js").Page} */
const page = {
  name: "claim",
  show(element) {
    // What was typed before was for another owner, or for another device at this address.
    forget();
    const form = buildNewPassword({
      submit: t("claim.go"),
      send: async ({ new: password }) => {
        await call("POST", "/claim", { password });
        // Its new owner is led through the setup, whichever page stood here before.
        history.replaceState(null, "", location.pathname);
        location.reload();
      },
    });
    element.append(make("section", { className: "panel" }, make("p", { textContent: t("claim.text") }), form.element));
    form.field("new").input.focus();
  },
};

export default page;
