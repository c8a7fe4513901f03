// A button that does something, once at a time.

import { make } from "./dom.js";
import { explain, say } from "./notice.js";

/**
 * A button. While `run` is under way, a further press does nothing; why it failed is shown.
 * @param {string} label
 * @param {() => Promise<unknown> | unknown} run
 * @param {{ kind?: "go" | "danger" | "plain", title?: string }} [options]
 */
export function makeButton(label, run, { kind = "plain", title } = {}) {
  const button = make("button", { type: "button", className: kind, textContent: label, title });
  let busy = false;
  button.addEventListener("click", async () => {
    if (busy) return;
    busy = true;
    button.setAttribute("aria-busy", "true");
    try {
      await run();
    } catch (error) {
      say(explain(error), true);
    } finally {
      busy = false;
      button.removeAttribute("aria-busy");
    }
  });
  return button;
}
