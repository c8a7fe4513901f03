// The pad that moves a camera: while it is held, by pointer or by key, the camera moves; let go, it stops.

import { make } from "./dom.js";

// The buttons, row by row.
const BUTTONS = [
  ["upleft", "↖"], ["up", "↑"], ["upright", "↗"],
  ["left", "←"], ["stop", "■"], ["right", "→"],
  ["downleft", "↙"], ["down", "↓"], ["downright", "↘"],
  ["zoomout", "−"], ["zoomin", "+"],
];
const KEYS = {
  ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right",
  "+": "zoomin", "=": "zoomin", "-": "zoomout", _: "zoomout",
};
// A device stops a movement that nobody asked for again in 30 s.
const REPEAT_MS = 10000;

/** The pad, which sends its events by `notify(event, params)`. */
export function buildPad(notify) {
  const channel = make("input", { type: "number", name: "channel", min: 0, value: 0, required: true });
  const speed = make("input", { type: "range", name: "speed", min: 0, max: 100, value: 50 });
  const shown = make("output", { textContent: speed.value });
  const send = newestFirst((params) => notify("CtrlPTZ", params));
  const hold = new Hold({
    move: (op) => send({ channel: Number(channel.value), op, value: Number(speed.value) }),
    // Deployed devices drop a stop without a value too.
    stop: () => send({ channel: Number(channel.value), op: "stop", value: 0 }),
  });
  speed.addEventListener("input", () => { shown.textContent = speed.value; });
  speed.addEventListener("change", () => hold.again());

  const keys = make("div", { className: "keys", tabIndex: 0 }, ...BUTTONS.map(([op, sign]) => buildButton(op, sign, hold)));
  keys.setAttribute("role", "group");
  keys.setAttribute("aria-label", "Pan, tilt, zoom: hold to move, also by the arrow keys, + and −");
  listenToKeys(keys, hold);
  // A pointer that slides off its button still ends the movement where it is lifted.
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => hold.release());
  document.addEventListener("visibilitychange", () => document.hidden && hold.release());
  return make("div", { className: "pad", id: "ptz" }, keys, make("div", { className: "fields" },
    make("label", {}, "channel", channel), make("label", {}, make("span", {}, "speed ", shown), speed)));
}

function buildButton(op, sign, hold) {
  const button = make("button", { type: "button", textContent: sign, title: op });
  button.dataset.op = op;
  button.setAttribute("aria-label", op);
  const press = () => (op === "stop" ? hold.halt() : hold.press(op));
  button.addEventListener("pointerdown", (event) => {
    if (event.button === 0) press();
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && !event.repeat) press();
  });
  button.addEventListener("keyup", (event) => {
    if (event.key === "Enter" || event.key === " ") hold.release();
  });
  return button;
}

// Two arrows together are a diagonal.
function listenToKeys(keys, hold) {
  const down = new Set();
  const apply = () => {
    const axis = (one, other) => (down.has(one) === down.has(other) ? "" : down.has(one) ? one : other);
    const op = axis("zoomin", "zoomout") || axis("up", "down") + axis("left", "right");
    if (op) hold.press(op);
    else hold.release();
  };
  keys.addEventListener("keydown", (event) => {
    const op = KEYS[event.key];
    if (!op || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (event.repeat) return;
    down.add(op);
    apply();
  });
  keys.addEventListener("keyup", (event) => {
    if (down.delete(KEYS[event.key])) apply();
  });
  keys.addEventListener("focusout", (event) => {
    if (keys.contains(event.relatedTarget)) return;
    down.clear();
    hold.release();
  });
  window.addEventListener("blur", () => down.clear());
}

// What is held at present.
class Hold {
  #op = null;
  #timer = null;

  constructor({ move, stop }) {
    this.move = move;
    this.stop = stop;
  }

  press(op) {
    if (op === this.#op) return;
    this.#op = op;
    this.again();
  }

  /** Sends what is held once more, such as at another speed. */
  again() {
    clearInterval(this.#timer);
    if (!this.#op) return;
    this.move(this.#op);
    this.#timer = setInterval(() => this.move(this.#op), REPEAT_MS);
  }

  release() {
    if (this.#op) this.halt();
  }

  halt() {
    clearInterval(this.#timer);
    this.#op = null;
    this.stop();
  }
}

// A browser may send requests in another order than they were made in: one is sent at a time, and of those that
// wait only the newest counts.
function newestFirst(send) {
  let waiting = null;
  let busy = false;
  return async (params) => {
    waiting = params;
    if (busy) return;
    busy = true;
    while (waiting) {
      const next = waiting;
      waiting = null;
      await send(next);
    }
    busy = false;
  };
}
