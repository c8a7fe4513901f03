// Questions above the page.

import { freshId, make } from "./dom.js";
import { register, t } from "./text.js";
import texts from "./texts.js";

register(texts);

/**
 * Asks before something is done that cannot be taken back. The browser puts the focus back where it was.
 * @param {{ title: string, text: string, yes: string, danger?: boolean }} question `yes`: the button says what is done
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes, danger = false }) {
  const no = make("button", { type: "button", textContent: t("part.cancel") });
  const go = make("button", { type: "button", className: danger ? "danger" : "go", textContent: yes });
  const { dialog, closed } = open(title, make("p", { textContent: text }), make("div", { className: "buttons" }, no, go));
  let answer = false;
  no.addEventListener("click", () => dialog.close());
  go.addEventListener("click", () => {
    answer = true;
    dialog.close();
  });
  return closed.then(() => answer);
}

/**
 * Opens a dialog; `closed` is fulfilled when it is closed, also by the key Escape.
 * @param {string} title
 * @param {...import("./dom.js").Child} children
 */
export function open(title, ...children) {
  const id = freshId();
  const dialog = make("dialog", { "aria-labelledby": id }, make("h2", { id, textContent: title }), ...children);
  document.body.append(dialog);
  // The page that it belongs to may be left by the button Back.
  const left = () => dialog.close();
  window.addEventListener("hashchange", left);
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      window.removeEventListener("hashchange", left);
      dialog.remove();
      resolve(undefined);
    });
  });
  dialog.showModal();
  return { dialog, closed };
}
