// The login: as a page, and above a page whose session has ended.

import { CallError, call } from "/parts/api.js";
import { make } from "/parts/dom.js";
import { open } from "/parts/dialog.js";
import { buildForm } from "/parts/form.js";
import { register, t } from "/parts/text.js";
import texts from "../texts/login.js";

register(texts);

/** @type {import("../page.js").Page} */
const page = {
  name: "login",
  show(element) {
    const form = buildLogin(() => location.reload());
    element.append(make("section", { className: "panel" }, form.element, make("p", { className: "hint", textContent: t("login.forgotten") })));
    form.field("password").input.focus();
  },
};

export default page;

/** Asks for the password above the page until it was right. */
export async function openLogin() {
  /** @type {HTMLDialogElement | null} */
  let asked = null;
  let done = false;
  while (!done) {
    const form = buildLogin(() => {
      done = true;
      asked?.close();
    });
    const { dialog, closed } = open(t("login.go"), make("p", { textContent: t("login.again") }), form.element);
    asked = dialog;
    form.field("password").input.focus();
    await closed;
  }
}

/** @param {() => void} loggedIn */
function buildLogin(loggedIn) {
  return buildForm({
    fields: [{ name: "password", kind: "password", label: t("login.password"), autocomplete: "current-password", wide: true }],
    submit: t("login.go"),
    send: async ({ password }) => {
      try {
        await call("POST", "/session", { password });
      } catch (error) {
        // It was reset meanwhile, and asks for a new password.
        if (error instanceof CallError && error.code === "unclaimed") location.reload();
        throw error;
      }
      loggedIn();
    },
  });
}
