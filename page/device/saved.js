// What a page says of a change that was saved.

import { say } from "/parts/notice.js";
import { t } from "/parts/text.js";

/**
 * What became of a change, for its form to say; the page is drawn anew where it shows others' values.
 * @param {import("/parts/settings.js").Saved | null} saved
 * @param {{ plain: string, restarted: string }} texts by their keys: with `restarted`, the agent starts anew
 * @param {() => unknown} again draws the page anew
 */
export function told(saved, texts, again) {
  const text = saved ? t(saved.restarted ? texts.restarted : texts.plain) : "";
  if (saved && !saved.merged) return text;
  if (text) say(text);
  // The form first forgets what was typed.
  setTimeout(again);
}
