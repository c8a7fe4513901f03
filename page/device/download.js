// A file of the device that is saved: who asks for it logs in first where the session has ended.

import { call } from "/parts/api.js";
import { make } from "/parts/dom.js";
import { explain, say } from "/parts/notice.js";

/**
 * A link that saves a file. A browser that is refused one says no more than that it failed, so the session is asked for before.
 * @param {string} label
 * @param {string} href
 * @param {string} [download] name of the file, where the device does not name it
 */
export function makeDownload(label, href, download) {
  const link = make("a", { className: "button", href, download, textContent: label });
  let isAllowed = false;
  link.addEventListener("click", async (event) => {
    if (isAllowed) return;
    event.preventDefault();
    try {
      await call("GET", "/system");
    } catch (error) {
      say(explain(error), true);
      return;
    }
    isAllowed = true;
    link.click();
    isAllowed = false;
  });
  return link;
}
