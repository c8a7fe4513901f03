// Looks at the device again and again, while somebody is there: a page that was left open must not keep its session alive.

const AWAY_MS = 5 * 60 * 1000;
let active = Date.now();
for (const name of ["pointerdown", "keydown", "scroll", "touchstart"]) {
  window.addEventListener(name, () => { active = Date.now(); }, { passive: true, capture: true });
}

/**
 * Has something looked at every few seconds while the page is shown and used. What fails in between is tried again; the shell says
 * when the device is lost. `look` is given how it is to call: in the background while nobody has touched the page since the last look.
 * @param {import("./page.js").Context} context
 * @param {number} seconds
 * @param {(options: import("/parts/api.js").Options) => Promise<unknown>} look
 */
export function poll(context, seconds, look) {
  active = Date.now();
  let last = -1;
  context.every(seconds, () => {
    const now = Date.now();
    if (document.hidden || now - active >= AWAY_MS) return;
    const options = { signal: context.signal, background: active <= last };
    last = now;
    look(options).catch(() => {});
  });
}
