// The shell of the device's page: who may see it, the way from page to page, the language, and whether the device is there.

import { logIn, onLoggedOut } from "/parts/api.js";
import { fill, make } from "/parts/dom.js";
import { onBroken, watchDevice } from "/parts/events.js";
import { explain, makeNotice } from "/parts/notice.js";
import { chooseLanguage, language, register, setLanguage, t } from "/parts/text.js";
import { Context } from "./page.js";
import { askDevice, askSession, logOut } from "./session.js";
import shell from "./texts/shell.js";
import { lookAtTrial, trialPlace } from "./trial.js";
import { isSkipped } from "./wizard.js";

/** The pages, as they stand in the menu. */
const PAGES = ["overview", "live", "channels", "recording", "alarms", "cloud", "hosted", "network", "time", "firmware", "log", "trace",
  "system", "wizard"];

register(shell);
chooseLanguage();

const main = make("main");
const over = make("a", { className: "skip", href: "#main" });
const lost = make("p", { className: "lost", role: "alert", hidden: true });
const top = make("header", { className: "top" });
const nav = make("nav", { id: "menu" });
const frame = make("div", { className: "frame" }, nav, main);

/** @type {import("./session.js").Session} */
let session = { claimed: true, logged_in: false };
/** What is known of the device. */
let device = { model: "", program: "" };
/** @type {Context | null} */
let shown = null;
/** How many pages were asked for: one that is loaded late is not shown over a later one. */
let turn = 0;
/** Name of the page that is shown. */
let last = "";

fill(document.body, over, lost, top, trialPlace(), frame);
onLoggedOut(askLogin);
onBroken(checkSession);
watchDevice((isLost) => {
  lost.hidden = !isLost;
  if (!isLost) comeBack();
});
window.addEventListener("hashchange", () => show());
over.addEventListener("click", (event) => {
  event.preventDefault();
  main.querySelector("h1")?.focus();
});
start();

async function start() {
  draw();
  try {
    session = await askSession();
  } catch (error) {
    fill(main, makeNotice("bad", explain(error)));
    setTimeout(start, 3000);
    return;
  }
  if (session.claimed && session.logged_in && !location.hash && !await isSkipped()) history.replaceState(null, "", "#/wizard");
  if (session.logged_in) {
    lookAtTrial();
    askDevice().then(tellDevice, () => {});
  }
  await show();
}

/** Shows what the address names, to whom may see it. */
async function show() {
  const [name = "", ...parameters] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
  const wanted = !session.claimed ? "claim" : !session.logged_in ? "login" : PAGES.includes(name) ? name : "overview";
  shown?.end();
  delete main.dataset.page;
  const context = new Context(wanted === name ? parameters : [], session);
  shown = context;
  turn += 1;
  const mine = turn;
  draw(wanted);
  const title = make("h1", { tabIndex: -1, textContent: t(`nav.${wanted}`) });
  const element = make("div", { className: "page" });
  try {
    const { default: page } = /** @type {{ default: import("./page.js").Page }} */ (await import(`./pages/${wanted}.js`));
    if (mine !== turn) return;
    const urged = session.logged_in && session.first_password && wanted !== "system";
    if (wanted !== last) window.scrollTo(0, 0);
    last = wanted;
    fill(main, title, urged && makeNotice("warn", t("shell.first_password")), element);
    await page.show(element, context);
  } catch (error) {
    if (mine !== turn || context.signal.aborted) return;
    if (!element.isConnected) fill(main, title, element);
    element.append(makeNotice("bad", element.childElementCount || !(error instanceof TypeError) ? explain(error) : t("shell.missing")));
  }
  if (mine !== turn) return;
  // A page that has put the focus into one of its fields keeps it there.
  if (!element.contains(document.activeElement)) title.focus({ preventScroll: true });
  main.dataset.page = wanted;
  performance.mark("shown");
}

/**
 * Draws what stands around a page.
 * @param {string} [current]
 */
function draw(current) {
  const alone = !session.claimed || !session.logged_in;
  document.title = [current && t(`nav.${current}`), device.model || "IVT"].filter(Boolean).join(" – ");
  lost.textContent = t("shell.lost");
  over.textContent = t("shell.skip");
  nav.setAttribute("aria-label", t("shell.menu"));
  nav.hidden = true;
  main.classList.toggle("alone", alone);
  frame.classList.toggle("frame", !alone);
  const links = PAGES.map((page) => {
    const link = make("a", { href: `#/${page}`, textContent: t(`nav.${page}`) });
    if (page === current) link.setAttribute("aria-current", "page");
    return link;
  });
  const end = make("button", { type: "button", className: "log-out", textContent: t("shell.log_out") });
  end.addEventListener("click", () => logOut().catch(() => {}).then(() => location.reload()));
  fill(nav, !alone && make("ul", {}, ...[...links, end].map((entry) => make("li", {}, entry))));
  const menu = make("button", { type: "button", className: "menu", textContent: t("shell.menu"), "aria-expanded": false, "aria-controls": "menu" });
  menu.addEventListener("click", () => {
    nav.hidden = !nav.hidden;
    menu.setAttribute("aria-expanded", String(!nav.hidden));
  });
  const other = language() === "zh" ? "en" : "zh";
  const [lang, textContent] = other === "zh" ? ["zh-CN", "中文"] : ["en", "English"];
  const speak = make("button", { type: "button", className: "language", lang, textContent });
  speak.addEventListener("click", () => {
    setLanguage(other);
    show();
  });
  fill(top, !alone && menu, make("p", { className: "device", textContent: device.model || "IVT" }), speak);
}

/** Asks for the password above the page, which keeps what was typed into it. */
async function askLogin() {
  const { claimed } = await askSession().catch(() => session);
  if (!claimed) return leave();
  const { openLogin } = await import("./pages/login.js");
  await openLogin();
}

/** A stream of events broke: perhaps since the session has ended. */
async function checkSession() {
  if (!session.logged_in) return;
  const now = await askSession();
  if (!now.logged_in) await logIn();
}

/** Begins anew: with the page that sets the password. What waits meanwhile waits for ever. */
function leave() {
  location.reload();
  return /** @type {Promise<void>} */ (new Promise(() => {}));
}

/** @param {string} part of an address, which anyone may have typed */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The device is there again: with another firmware, its page is another one too. */
async function comeBack() {
  const { claimed, logged_in: isIn } = await askSession().catch(() => session);
  if (claimed !== session.claimed) location.reload();
  const { program } = isIn ? await askDevice().catch(() => device) : device;
  if (device.program && program !== device.program) location.reload();
}

/** @param {{ model: string, program: string }} told */
function tellDevice(told) {
  device = told;
  fill(top.querySelector(".device") ?? top, told.model || "IVT");
  document.title = document.title.replace(/IVT$/, told.model || "IVT");
}
