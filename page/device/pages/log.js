// The log: the newest lines, and each further one as it comes.

import { fill, make, makePanel } from "/parts/dom.js";
import { makeButton } from "/parts/button.js";
import { listen } from "/parts/events.js";
import { clock } from "/parts/format.js";
import { explain, say } from "/parts/notice.js";
import { loadSettings } from "/parts/settings.js";
import { register, t } from "/parts/text.js";
import { makeDownload } from "../download.js";
import texts from "../texts/log.js";

register(texts);

const LEVELS = ["error", "warn", "info", "debug", "trace"];
/** Most lines that are shown. */
const MOST = 1000;

/** @type {import("../page.js").Page} */
const page = {
  name: "log",
  async show(element, context) {
    const box = make("div", { className: "log-lines", tabIndex: 0, role: "log", "aria-label": t("log.lines"), "aria-live": "off" });
    const shown = choose("shown", "info");
    const download = makeDownload(t("log.download"), "");
    let last = -1;
    let paused = false;
    /** @param {any} told */
    const add = ({ lines, next }) => {
      // The numbers begin anew with the program.
      if (next <= last) {
        fill(box);
        last = -1;
      }
      const wasAtEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 30;
      for (const line of lines) if (line.number > last) box.append(draw(line));
      last = next - 1;
      while (box.childElementCount > MOST) box.firstElementChild?.remove();
      if (wasAtEnd) box.scrollTop = box.scrollHeight;
    };
    let close = () => {};
    const open = () => {
      close();
      fill(box);
      last = -1;
      download.href = `/api/v1/log/download?level=${shown.value}`;
      close = paused ? () => {} : listen(`/log/events?level=${shown.value}`, { lines: add });
    };
    const pause = makeButton(t("log.pause"), () => {
      paused = !paused;
      pause.textContent = t(paused ? "log.go_on" : "log.pause");
      if (paused) close();
      else open();
    });
    shown.addEventListener("change", () => {
      paused = false;
      pause.textContent = t("log.pause");
      open();
    });
    context.onLeave(() => close());
    const settings = await loadSettings(context.signal);
    const kept = choose("kept", String(settings.get("log.level") ?? "info"));
    kept.addEventListener("change", async () => {
      try {
        const answer = await settings.save({ "log.level": kept.value });
        if (answer) say(t("log.saved"));
        else kept.value = String(settings.get("log.level") ?? "info");
      } catch (error) {
        say(explain(error), true);
      }
    });
    if (context.signal.aborted) return;
    element.append(makePanel(t("log.newest"),
      make("div", { className: "fields" }, field(shown), field(kept)),
      make("div", { className: "buttons" }, pause, download), box));
    open();
  },
};

export default page;

/**
 * A list of the levels.
 * @param {"shown" | "kept"} name
 * @param {string} value
 */
function choose(name, value) {
  const select = make("select", { name, "aria-label": t(`log.${name}`) },
    ...LEVELS.map((level) => make("option", { value: level, textContent: t(`log.level.${level}`) })));
  select.value = value;
  return select;
}

/** @param {HTMLSelectElement} select */
function field(select) {
  return make("label", { className: "field" }, select.getAttribute("aria-label"), select);
}

/** @param {{ at: string, level: string, target: string, text: string }} line */
function draw({ at, level, target, text }) {
  return make("p", { className: level }, make("span", { className: "at", textContent: clock(at) }), `${t(`log.level.${level}`)} ${target}: ${text}`);
}
