// The pad that moves a camera: while it is held, by pointer or by key, the camera moves; let go, it stops.

import { make } from "./dom.js";

/** @type {[string, string][]} The buttons, row by row: the direction, as the documents spell it, and a sign. */
const BUTTONS = [
  ["upleft", "↖"], ["up", "↑"], ["upright", "↗"],
  ["left", "←"], ["stop", "■"], ["right", "→"],
  ["downleft", "↙"], ["down", "↓"], ["downright", "↘"],
  ["zoomout", "−"], ["zoomin", "+"],
];
/** @type {Record<string, string>} */
const KEYS = {
  ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right",
  "+": "zoomin", "=": "zoomin", "-": "zoomout", _: "zoomout",
};

/**
 * What a pad is made of.
 * @typedef {object} PadOptions
 * @property {(op: string, speed: number) => Promise<unknown>} move moves into a direction, at a speed from 0 to 100; again and
 *   again while the pad is held. Where it fails, the pad lets go.
 * @property {() => Promise<unknown>} stop
 * @property {number} repeat milliseconds after which a movement that goes on is asked for again
 * @property {{ keys: string, speed: string, name: (op: string) => string }} labels of the group of buttons, of the speed, and of
 *   each button
 * @property {AbortSignal} [signal] ends the pad
 */

/**
 * Builds a pad. Fields may be added to its last child.
 * @param {PadOptions} options
 */
export function buildPad({ move, stop, repeat, labels, signal }) {
  const speed = make("input", { type: "range", name: "speed", min: 0, max: 100, value: 50 });
  const shown = make("output", { textContent: speed.value });
  const hold = new Hold({ move: (op) => move(op, Number(speed.value)), stop, repeat });
  speed.addEventListener("input", () => { shown.textContent = speed.value; });
  speed.addEventListener("change", () => hold.again());

  const keys = make("div", { className: "keys", tabIndex: 0, role: "group", "aria-label": labels.keys },
    ...BUTTONS.map(([op, sign]) => buildButton(op, sign, labels.name(op), hold)));
  listenToKeys(keys, hold, signal);
  // A pointer that slides off its button still ends the movement where it is lifted.
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => hold.release(), { signal });
  document.addEventListener("visibilitychange", () => document.hidden && hold.release(), { signal });
  signal?.addEventListener("abort", () => hold.release(), { once: true });
  return make("div", { className: "pad", id: "ptz" }, keys, make("div", { className: "fields" },
    make("label", {}, make("span", {}, `${labels.speed} `, shown), speed)));
}

/**
 * @param {string} op
 * @param {string} sign
 * @param {string} name
 * @param {Hold} hold
 */
function buildButton(op, sign, name, hold) {
  const button = make("button", { type: "button", textContent: sign, title: name, "aria-label": name, "data-op": op });
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

/**
 * Two arrows together are a diagonal.
 * @param {HTMLElement} keys
 * @param {Hold} hold
 * @param {AbortSignal} [signal]
 */
function listenToKeys(keys, hold, signal) {
  /** @type {Set<string>} */
  const down = new Set();
  const apply = () => {
    const axis = (/** @type {string} */ one, /** @type {string} */ other) =>
      (down.has(one) === down.has(other) ? "" : down.has(one) ? one : other);
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
    const op = KEYS[event.key];
    if (op && down.delete(op)) apply();
  });
  keys.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && keys.contains(event.relatedTarget)) return;
    down.clear();
    hold.release();
  });
  window.addEventListener("blur", () => down.clear(), { signal });
}

/** What is held at present. A browser may send calls in another order than they were made in: one is made at a time. */
class Hold {
  /** @type {string | null} */
  #op = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {(() => Promise<unknown>) | null} The newest order that waits for the one under way. */
  #waiting = null;
  #busy = false;

  /** @param {{ move: (op: string) => Promise<unknown>, stop: () => Promise<unknown>, repeat: number }} options */
  constructor({ move, stop, repeat }) {
    this.move = move;
    this.stop = stop;
    this.repeat = repeat;
  }

  /** @param {string} op */
  press(op) {
    if (op === this.#op) return;
    this.#op = op;
    this.again();
  }

  /** Sends what is held once more, such as at another speed. */
  again() {
    clearInterval(this.#timer);
    const op = this.#op;
    if (!op) return;
    const move = () => this.#send(() => this.move(op));
    move();
    this.#timer = setInterval(move, this.repeat);
  }

  release() {
    if (this.#op) this.halt();
  }

  halt() {
    this.#forget();
    this.#send(this.stop);
  }

  #forget() {
    clearInterval(this.#timer);
    this.#op = null;
  }

  /** @param {() => Promise<unknown>} order */
  async #send(order) {
    this.#waiting = order;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#waiting) {
      const next = this.#waiting;
      this.#waiting = null;
      try {
        await next();
      } catch {
        // Whoever gave the order has told why it failed.
        this.#forget();
      }
    }
    this.#busy = false;
  }
}
