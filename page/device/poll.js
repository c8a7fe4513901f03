// Looks at the device again and again, while somebody is there: a page that was left open must not keep its session alive.

const AWAY_MS = 5 * 60 * 1000;
let active = Date.now();
for (const name of ["pointerdown", "keydown", "scroll", "touchstart"]) {
  window.addEventListener(name, () => { active = Date.now(); }, { passive: true, capture: true });
}

/**
 * Has something looked at every few seconds while the page is shown and used. What fails in between is tried again; the shell says
 * when the device is lost.
 * @param {import("./page.js").Context} context
 * @param {number} seconds
 * @param {() => Promise<unknown>} look
 */
export function poll(context, seconds, look) {
  active = Date.now();
  context.every(seconds, () => {
    if (!document.hidden && Date.now() - active < AWAY_MS) look().catch(() => {});
  });
}
