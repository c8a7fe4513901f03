// A four-cornered area, drawn over the picture that plays or over a blank frame.

import { make } from "./dom.js";

// The corners in the order of a line around the area, with their place at the beginning, in percent.
const CORNERS = [["ul", 20, 20, "upper left"], ["ur", 80, 20, "upper right"], ["dr", 80, 80, "lower right"], ["dl", 20, 80, "lower left"]];
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SVG = "http://www.w3.org/2000/svg";
const PICTURE_MS = 200;

/** The field for an area. `read()` is its value, and `undefined` where the camera's own is to stay. */
export function buildArea(name) {
  const change = make("input", { type: "checkbox", name, checked: true });
  const frame = make("div", { className: "area" });
  const picture = make("canvas", { width: 640, height: 360 });
  const shape = document.createElementNS(SVG, "svg");
  shape.setAttribute("viewBox", "0 0 100 100");
  shape.setAttribute("preserveAspectRatio", "none");
  const line = document.createElementNS(SVG, "polygon");
  shape.append(line);
  const told = make("output");
  const places = {};
  const handles = CORNERS.map(([corner, , , label]) => {
    const handle = make("button", { type: "button", className: "corner", title: label });
    handle.dataset.corner = corner;
    return handle;
  });
  frame.append(picture, shape, ...handles);

  const draw = () => {
    line.setAttribute("points", CORNERS.map(([corner]) => places[corner].join(",")).join(" "));
    handles.forEach((handle, i) => {
      const [corner, , , label] = CORNERS[i];
      const [x, y] = places[corner];
      handle.style.left = `${x}%`;
      handle.style.top = `${y}%`;
      handle.setAttribute("aria-label", `${label} corner, at ${x}, ${y}; move it by the arrow keys`);
    });
    told.textContent = CORNERS.map(([corner]) => `${corner} ${places[corner].join(",")}`).join(" · ");
  };
  const move = (corner, x, y) => {
    places[corner] = [x, y].map((percent) => Math.round(Math.min(100, Math.max(0, percent))));
    draw();
  };
  const reset = () => {
    for (const [corner, x, y] of CORNERS) places[corner] = [x, y];
    draw();
  };
  for (const handle of handles) listen(handle, frame, places, move);
  reset();
  setInterval(() => show(picture), PICTURE_MS);
  change.addEventListener("change", () => { frame.hidden = !change.checked; });

  const again = make("button", { type: "button", textContent: "Reset area" });
  again.addEventListener("click", reset);
  const element = make("div", { className: "wide" },
    make("label", { className: "check" }, change, "rect: change the area"), frame,
    make("p", { className: "hint" }, told), again);
  const read = () => (change.checked
    ? Object.fromEntries(["ul", "ur", "dl", "dr"].flatMap((corner) => [[`${corner}x`, places[corner][0]], [`${corner}y`, places[corner][1]]]))
    : undefined);
  return { element, read };
}

// A corner follows the pointer that holds it, and the arrow keys: one percent, or ten with Shift.
function listen(handle, frame, places, move) {
  const { corner } = handle.dataset;
  let held = false;
  handle.addEventListener("pointerdown", (event) => { held = event.button === 0; });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    const box = frame.getBoundingClientRect();
    move(corner, (100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height);
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => { held = false; });
  handle.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    move(corner, places[corner][0] + far * step[0], places[corner][1] + far * step[1]);
  });
}

// Draws the picture that plays at this moment; without one the frame stays blank.
function show(canvas) {
  const video = document.getElementById("video");
  if (!canvas.offsetParent || video.readyState < 2) return;
  if (canvas.width !== video.videoWidth || canvas.height !== video.videoHeight) {
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  }
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
}
