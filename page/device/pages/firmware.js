// The firmware: what runs, an image that is uploaded, the trial of a new one, and what came of attempts.

import { call, CallError } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { confirm } from "/parts/dialog.js";
import { fill, freshId, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { dateTime, duration, size } from "/parts/format.js";
import { explain, explainTold, makeNotice, say } from "/parts/notice.js";
import { buildTable } from "/parts/table.js";
import { register, t } from "/parts/text.js";
import { poll } from "../poll.js";
import texts from "../texts/firmware.js";
import { upload } from "../upload.js";

register(texts);

const LOOK_SECONDS = 2;

/** @type {import("../page.js").Page} */
const page = {
  name: "firmware",
  async show(element, context) {
    const [running, trial, attempts] = [make("div"), make("div"), make("div")];
    let shown = "";
    const look = async (/** @type {import("/parts/api.js").Options} */ options = { signal: context.signal }) => {
      const seen = await call("GET", "/firmware", undefined, options);
      const now = JSON.stringify(seen);
      if (now !== shown) {
        shown = now;
        fill(running, ...makeRunning(seen));
        // Buttons stay where they are while nothing else is to be decided.
        if (seen.task?.state !== "trial") fill(trial);
        else if (!trial.childElementCount) fill(trial, makeTrial(seen, look));
        fill(attempts, buildAttempts(seen.task?.attempts ?? []));
      }
      return seen;
    };
    const seen = await look();
    element.append(makePanel(t("firmware.running"), trial, running));
    if (!seen.task) return;
    const ask = makeButton(t("firmware.ask"), async () => {
      await call("POST", "/firmware/check");
      say(t("firmware.asked"));
      await look();
    });
    element.append(makePanel(t("firmware.upload"), buildUpload(seen, context, look)),
      makePanel(t("firmware.attempts"), attempts, make("div", { className: "buttons" }, ask)));
    poll(context, LOOK_SECONDS, look);
  },
};

export default page;

/** @param {any} seen */
function makeRunning({ version, agent_version: agent, model, backend, slot, keys, allow_unsigned: unsigned, task }) {
  const place = backend === "command" ? t("firmware.commands") : slot ? t("firmware.slots_of", { slot }) : t("firmware.slots");
  const share = task?.state === "uploading" ? Math.floor((task.bytes / Math.max(1, task.of_bytes)) * 100) : 0;
  const kind = task?.state === "idle" ? "good" : "warn";
  const failed = task?.installed?.failed;
  return [
    backend === "none" && makeNotice("info", t("firmware.no_place")),
    task && !keys && !unsigned && makeNotice("warn", t("firmware.no_keys")),
    unsigned && makeNotice("warn", t("firmware.unsigned")),
    failed && makeNotice("bad", t("firmware.failed_before", { version: task.installed.version })),
    makeFacts([
      [t("firmware.version"), version],
      [t("firmware.agent"), agent],
      [t("firmware.model"), model],
      ...(task ? /** @type {[string, import("/parts/dom.js").Child][]} */ ([
        [t("firmware.state"), makeBadge(kind, t(`firmware.state_${task.state}`, { percent: share }))],
        [t("firmware.place"), place],
        [t("firmware.counter"), String(task.running?.counter ?? "–")],
        [t("firmware.keys"), String(keys)],
      ]) : []),
    ]),
  ];
}

/**
 * @param {any} seen
 * @param {() => Promise<unknown>} look
 */
function makeTrial({ commit_seconds: commit, rollback_seconds: rollback }, look) {
  const decide = (/** @type {"keep" | "roll_back"} */ what, /** @type {string} */ path, danger = false) => makeButton(t(`firmware.${what}`), async () => {
    const sure = await confirm({ title: t(`firmware.${what}_title`), text: t(`firmware.${what}_text`), yes: t(`firmware.${what}`), danger });
    if (!sure) return;
    await call("POST", path);
    say(t("firmware.wished"));
    await look();
  }, { kind: danger ? "danger" : "go" });
  return make("div", { className: "notice warn" },
    make("p", { textContent: t("firmware.on_trial", { commit: duration(commit), rollback: duration(rollback) }) }),
    make("div", { className: "buttons" }, decide("keep", "/firmware/keep"), decide("roll_back", "/firmware/rollback", true)));
}

/**
 * The form of an upload. The signature is judged first: what the device would refuse is not sent.
 * @param {any} seen
 * @param {import("../page.js").Context} context
 * @param {() => Promise<unknown>} look
 */
function buildUpload({ max_bytes: most, allow_unsigned: unsigned }, context, look) {
  const image = buildFile("image", t("firmware.image"), t("firmware.image_hint", { size: size(most) }));
  const signature = buildFile("signature", t("firmware.signature"), t("firmware.signature_hint"));
  const result = make("p", { className: "result", role: "status" });
  const bar = make("progress", { max: 1, value: 0, "aria-label": t("firmware.upload"), hidden: true });
  let ending = new AbortController();
  const stop = makeButton(t("firmware.stop"), () => ending.abort());
  const go = make("button", { className: "go", textContent: t("firmware.upload_go") });
  stop.hidden = true;
  context.onLeave(() => ending.abort());

  const tell = (/** @type {string} */ text, bad = false) => {
    result.textContent = text;
    result.classList.toggle("bad", bad);
  };
  const send = async () => {
    const [file, signed] = [image.input.files?.[0], signature.input.files?.[0]];
    if (!file || (!signed && !unsigned)) return tell(t("firmware.choose"), true);
    tell("");
    const text = signed ? await signed.text() : "";
    const sure = text ? await call("POST", "/firmware/signature", new Blob([text])) : { version: "–", model: "–", bytes: file.size };
    // A file of another size would be refused in the middle of its way.
    if (file.size !== sure.bytes) return tell(t("error.firmware_size"), true);
    const words = t("firmware.install_text", { version: sure.version, model: sure.model, size: size(sure.bytes) });
    if (!await confirm({ title: t("firmware.install_title"), text: words, yes: t("firmware.install") })) return;
    ending = new AbortController();
    stop.hidden = bar.hidden = false;
    const progress = (/** @type {number} */ share) => {
      bar.value = share;
      tell(t("firmware.sending", { percent: Math.floor(share * 100) }));
    };
    progress(0);
    const { version } = await upload(`/firmware/image?signature=${encodeURIComponent(text)}`, file, progress, ending.signal);
    tell(t("firmware.received", { version }));
    image.input.value = signature.input.value = "";
  };
  const form = make("form", { noValidate: true },
    make("div", { className: "fields" }, image.element, signature.element), make("div", { className: "buttons" }, go, stop), bar, result);
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    form.setAttribute("aria-busy", "true");
    try {
      await send();
    } catch (error) {
      tell(error instanceof DOMException ? t("firmware.stopped") : await reason(error), true);
    } finally {
      busy = false;
      stop.hidden = bar.hidden = true;
      form.removeAttribute("aria-busy");
      await look().catch(() => {});
    }
  });
  return form;
}

/**
 * Why an upload failed. A device that refuses in the middle of it ends the connection, and tells the reason afterwards.
 * @param {unknown} error
 */
async function reason(error) {
  if (!(error instanceof CallError) || error.status !== 0) return explain(error);
  const seen = await call("GET", "/firmware").catch(() => null);
  const last = seen?.task?.attempts[0];
  return last?.code ? explainTold(last) : explain(error);
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string} hint
 */
function buildFile(name, label, hint) {
  const [id, hintId] = [freshId(), freshId()];
  const input = make("input", { type: "file", id, name, "aria-describedby": hintId });
  const element = make("div", { className: "field" }, make("label", { for: id, textContent: label }), input,
    make("p", { id: hintId, className: "hint", textContent: hint }));
  return { input, element };
}

/** @param {any[]} attempts */
function buildAttempts(attempts) {
  return buildTable(attempts, [
    { name: "at", label: t("firmware.at"), show: ({ at }) => dateTime(at) },
    { name: "by", label: t("firmware.by"), show: ({ by }) => t(`firmware.by_${by}`) },
    { name: "version", label: t("firmware.version"), show: ({ version }) => version || "–" },
    { name: "outcome", label: t("firmware.outcome"), show: ({ outcome, code, message }) =>
      (code ? explainTold({ code, message }) : t(`firmware.outcome_${outcome}`)) },
  ], { empty: t("firmware.attempts_none") });
}
