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
 * @property {boolean} [upright] the area is kept a rectangle when a corner is moved, and can be drawn anew and moved as a whole
 * @property {() => void} [onchange] is called when a person has changed the area
 * @property {AbortSignal} [signal] ends the drawing of the picture
 */

/**
 * An area to draw. `read()` is `{ ulx, uly, urx, ury, dlx, dly, drx, dry }` in percent, and `undefined` where the camera's own is
 * to stay; `write` takes the same.
 * @param {AreaOptions} options
 */
export function buildArea({ picture, label, name = "", upright = false, onchange, signal }) {
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
  const whole = make("button", { type: "button", className: "corner whole", hidden: !upright, title: t("area.whole") });
  frame.append(canvas, shape, ...handles.map(({ handle }) => handle), whole);

  const draw = () => {
    line.setAttribute("points", CORNERS.map(([corner]) => at(corner).join(",")).join(" "));
    for (const { corner, handle } of handles) {
      const [x, y] = at(corner);
      handle.style.left = `${x}%`;
      handle.style.top = `${y}%`;
      handle.setAttribute("aria-label", t("area.corner", { corner: t(`area.${corner}`), x, y }));
    }
    const [left, top, right, bottom] = bounds(places);
    whole.style.left = `${(left + right) / 2}%`;
    whole.style.top = `${(top + bottom) / 2}%`;
    whole.setAttribute("aria-label", t("area.all", { left, top, right, bottom }));
    told.textContent = upright ? t("area.told", { left, top, right, bottom }) : CORNERS.map(([corner]) => `${corner} ${at(corner).join(",")}`).join(" · ");
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
  const changed = () => {
    draw();
    onchange?.();
  };
  for (const { corner, handle } of handles) {
    hold(handle, frame, () => at(corner), (x, y) => {
      put(corner, x, y);
      if (upright) square(places, corner);
      changed();
    });
  }
  const moveTo = (/** @type {number} */ x, /** @type {number} */ y) => {
    const [left, top, right, bottom] = bounds(places);
    const by = [clamp(Math.round(x - (left + right) / 2), -left, 100 - right), clamp(Math.round(y - (top + bottom) / 2), -top, 100 - bottom)];
    for (const [corner, [px, py]] of places) put(corner, px + by[0], py + by[1]);
    changed();
  };
  const middle = () => {
    const [left, top, right, bottom] = bounds(places);
    return [(left + right) / 2, (top + bottom) / 2];
  };
  hold(whole, frame, middle, moveTo);
  if (upright) {
    drawAnew(frame, (x, y, toX, toY) => {
      const [left, top, right, bottom] = [Math.min(x, toX), Math.min(y, toY), Math.max(x, toX), Math.max(y, toY)];
      put("ul", left, top);
      put("dr", right, bottom);
      square(places, "ul");
      square(places, "dr");
      changed();
    });
  }
  reset();
  const timer = setInterval(() => show(canvas, picture?.() ?? null), PICTURE_MS);
  signal?.addEventListener("abort", () => clearInterval(timer), { once: true });
  change.addEventListener("change", () => { frame.hidden = !change.checked; });

  const again = make("button", { type: "button", textContent: t("area.reset") });
  again.addEventListener("click", () => {
    reset();
    onchange?.();
  });
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
 * Left, top, right and bottom of all corners.
 * @param {Map<string, [number, number]>} places
 * @returns {[number, number, number, number]}
 */
function bounds(places) {
  const [xs, ys] = [[...places.values()].map(([x]) => x), [...places.values()].map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/**
 * Has the neighbours of a corner follow it, so that the area stays a rectangle.
 * @param {Map<string, [number, number]>} places
 * @param {string} corner its first letter names its row, the second one its column
 */
function square(places, corner) {
  const [x, y] = places.get(corner) ?? [0, 0];
  for (const [other, [otherX, otherY]] of places) {
    places.set(other, [other[1] === corner[1] ? x : otherX, other[0] === corner[0] ? y : otherY]);
  }
}

/** @param {number} value @param {number} least @param {number} most */
function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/**
 * Where a pointer is in the frame, in percent.
 * @param {PointerEvent} event
 * @param {HTMLElement} frame
 * @returns {[number, number]}
 */
function place(event, frame) {
  const box = frame.getBoundingClientRect();
  const percent = (/** @type {number} */ way, /** @type {number} */ length) => clamp(Math.round((100 * way) / length), 0, 100);
  return [percent(event.clientX - box.left, box.width), percent(event.clientY - box.top, box.height)];
}

/**
 * A mouse or a pen that is drawn across the frame draws the area anew. A finger scrolls the page there.
 * @param {HTMLElement} frame
 * @param {(x: number, y: number, toX: number, toY: number) => void} put
 */
function drawAnew(frame, put) {
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    const [x, y] = place(event, frame);
    follow((moved) => {
      const [toX, toY] = place(moved, frame);
      if (toX !== x && toY !== y) put(x, y, toX, toY);
    });
  });
}

/**
 * Follows the pointer, wherever it goes, until it is lifted.
 * @param {(event: PointerEvent) => void} moved
 */
function follow(moved) {
  const held = new AbortController();
  const { signal } = held;
  window.addEventListener("pointermove", moved, { signal });
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => held.abort(), { signal });
}

/**
 * A handle follows the pointer that holds it, and the arrow keys: one percent, or ten with Shift.
 * @param {HTMLElement} handle
 * @param {HTMLElement} frame
 * @param {() => [number, number] | number[]} at
 * @param {(x: number, y: number) => void} move
 */
function hold(handle, frame, at, move) {
  handle.addEventListener("pointerdown", ({ button }) => {
    if (button === 0) follow((event) => move(...place(event, frame)));
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
  if (canvas.width !== width || canvas.height !== height) {
    [canvas.width, canvas.height] = [width, height];
    if (canvas.parentElement) canvas.parentElement.style.aspectRatio = `${width} / ${height}`;
  }
  canvas.getContext("2d")?.drawImage(picture, 0, 0, width, height);
}
