// A four-cornered area, drawn over a picture or over a blank frame.

import { make } from "./dom.js";
import { register, t } from "./text.js";
import texts from "./texts.js";

register(texts);

/** The corners in the order of a line around the area, with their place at the beginning, in percent.
 * @type {["ul" | "ur" | "dr" | "dl", number, number][]} */
const CORNERS = [["ul", 20, 20], ["ur", 80, 20], ["dr", 80, 80], ["dl", 20, 80]];
/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SVG = "http://www.w3.org/2000/svg";
const PICTURE_MS = 200;

/**
 * @typedef {object} AreaOptions
 * @property {() => HTMLVideoElement | HTMLImageElement | null} [picture] what lies under the area; it may be hidden, and change
 * @property {string} [label] what the switch says that decides whether the area is sent; always sent without one
 * @property {string} [name] name of that switch
 * @property {AbortSignal} [signal] ends the drawing of the picture
 */

/**
 * An area to draw. `read()` is `{ ulx, uly, urx, ury, dlx, dly, drx, dry }` in percent, and `undefined` where the camera's own is
 * to stay; `write` takes the same.
 * @param {AreaOptions} options
 */
export function buildArea({ picture, label, name = "", signal }) {
  const change = make("input", { type: "checkbox", name, checked: true });
  const frame = make("div", { className: "area" });
  const canvas = make("canvas", { width: 640, height: 360 });
  const shape = document.createElementNS(SVG, "svg");
  shape.setAttribute("viewBox", "0 0 100 100");
  shape.setAttribute("preserveAspectRatio", "none");
  const line = document.createElementNS(SVG, "polygon");
  shape.append(line);
  const told = make("output");
  /** @type {Map<string, [number, number]>} */
  const places = new Map();
  const at = (/** @type {string} */ corner) => places.get(corner) ?? [0, 0];
  const handles = CORNERS.map(([corner]) => {
    const handle = make("button", { type: "button", className: "corner", title: t(`area.${corner}`) });
    handle.dataset.corner = corner;
    return { corner, handle };
  });
  frame.append(canvas, shape, ...handles.map(({ handle }) => handle));

  const draw = () => {
    line.setAttribute("points", CORNERS.map(([corner]) => at(corner).join(",")).join(" "));
    for (const { corner, handle } of handles) {
      const [x, y] = at(corner);
      handle.style.left = `${x}%`;
      handle.style.top = `${y}%`;
      handle.setAttribute("aria-label", t("area.corner", { corner: t(`area.${corner}`), x, y }));
    }
    told.textContent = CORNERS.map(([corner]) => `${corner} ${at(corner).join(",")}`).join(" · ");
  };
  const put = (/** @type {string} */ corner, /** @type {number} */ x, /** @type {number} */ y) => {
    const [left, top] = [x, y].map((percent) => Math.round(Math.min(100, Math.max(0, percent))));
    places.set(corner, [left ?? 0, top ?? 0]);
  };
  const reset = () => {
    for (const [corner, x, y] of CORNERS) put(corner, x, y);
    draw();
  };
  const write = (/** @type {Record<string, number>} */ rect) => {
    for (const [corner, x, y] of CORNERS) put(corner, rect[`${corner}x`] ?? x, rect[`${corner}y`] ?? y);
    draw();
  };
  for (const { corner, handle } of handles) {
    holdCorner(handle, frame, () => at(corner), (x, y) => {
      put(corner, x, y);
      draw();
    });
  }
  reset();
  const timer = setInterval(() => show(canvas, picture?.() ?? null), PICTURE_MS);
  signal?.addEventListener("abort", () => clearInterval(timer), { once: true });
  change.addEventListener("change", () => { frame.hidden = !change.checked; });

  const again = make("button", { type: "button", textContent: t("area.reset") });
  again.addEventListener("click", reset);
  const element = make("div", { className: "wide" }, label !== undefined && make("label", { className: "check" }, change, label),
    frame, make("p", { className: "hint" }, told), again);
  const read = () => {
    if (!change.checked) return undefined;
    const pairs = [...places].flatMap(([corner, [x, y]]) => [[`${corner}x`, x], [`${corner}y`, y]]);
    return /** @type {Record<string, number>} */ (Object.fromEntries(pairs));
  };
  return { element, read, write };
}

/**
 * A corner follows the pointer that holds it, and the arrow keys: one percent, or ten with Shift.
 * @param {HTMLElement} handle
 * @param {HTMLElement} frame
 * @param {() => [number, number] | number[]} at
 * @param {(x: number, y: number) => void} move
 */
function holdCorner(handle, frame, at, move) {
  handle.addEventListener("pointerdown", ({ button }) => {
    if (button !== 0) return;
    // Wherever the pointer goes and is lifted.
    const held = new AbortController();
    const { signal } = held;
    window.addEventListener("pointermove", (event) => {
      const box = frame.getBoundingClientRect();
      move((100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height);
    }, { signal });
    for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => held.abort(), { signal });
  });
  handle.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    const [x = 0, y = 0] = at();
    move(x + far * step[0], y + far * step[1]);
  });
}

/**
 * Draws the picture of this moment; without one the frame stays as it was.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLVideoElement | HTMLImageElement | null} picture
 */
function show(canvas, picture) {
  if (!canvas.offsetParent || !picture) return;
  const isVideo = picture instanceof HTMLVideoElement;
  if (isVideo ? picture.readyState < 2 : !picture.complete || !picture.naturalWidth) return;
  const [width, height] = isVideo ? [picture.videoWidth, picture.videoHeight] : [picture.naturalWidth, picture.naturalHeight];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d")?.drawImage(picture, 0, 0, width, height);
}
