// Segments on an axis of time, as SVG: one lane for segments, another for overlaps and repetitions. A pointer picks one of them, and
// so do the arrow keys, as on a slider.

/**
 * @typedef {object} Segment
 * @property {string} name
 * @property {number} start_us microseconds since 1970
 * @property {number} duration_us
 * @property {string} state the class of its box, which has the colour
 * @property {string} [title] what a pointer is told; name, time and state where there is none
 */

/**
 * A stretch of time with something to say.
 * @typedef {object} Span
 * @property {string} kind `gap` is drawn in the segments' lane, all others below it; it is the class of its box
 * @property {number} from_us
 * @property {number} to_us
 * @property {string[]} [names] the segments that it is about; the second of them goes into the second lane
 * @property {string} [title]
 */

const NS = "http://www.w3.org/2000/svg";
const LANE = { y: 18, height: 26 };
const SECOND_LANE = { y: 48, height: 14 };
const HEIGHT = 66;
const LEAST = 14; // Pixels of the shortest segment, so that a finger hits it.
const MOST = 30000;
const TICK = 90;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/** How far a key goes among the segments. @type {Record<string, number>} */
const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -Infinity, End: Infinity };

export class Timeline {
  #svg = node("svg", { height: HEIGHT, role: "slider", tabindex: 0, "aria-valuemin": 0 });
  #head = node("line", { class: "playhead", y1: LANE.y - 4, y2: HEIGHT, visibility: "hidden" });
  #begin = 0;
  #scale = 1;
  #label = "";
  /** The boxes of the segments, in the order of time. @type {SVGRectElement[]} */
  #boxes = [];
  #picked = "";

  /**
   * @param {HTMLElement} root
   * @param {(name: string) => void} pick is called for a segment that was clicked, or come to by keys
   */
  constructor(root, pick) {
    this.root = root;
    root.append(this.#svg);
    const choose = (/** @type {SVGElement | undefined} */ box) => {
      if (!box?.dataset.name) return;
      this.#picked = box.dataset.name;
      this.#tellPicked();
      box.scrollIntoView({ block: "nearest", inline: "nearest" });
      pick(this.#picked);
    };
    this.#svg.addEventListener("click", ({ target }) => {
      if (target instanceof SVGElement) choose(target);
    });
    this.#svg.addEventListener("keydown", (event) => {
      const step = KEYS[event.key];
      if (step === undefined || !this.#boxes.length) return;
      event.preventDefault();
      // The first key comes to the newest one.
      const [at, last] = [this.#place(), this.#boxes.length - 1];
      choose(this.#boxes[at < 0 && Number.isFinite(step) ? last : Math.min(last, Math.max(0, at + step))]);
    });
  }

  /**
   * Draws segments and spans.
   * @param {Segment[]} segments
   * @param {Span[]} spans
   * @param {string} label what a reader without eyes is told
   * @param {{ from_us?: number, to_us?: number, whole?: boolean }} [axis] the ends of the axis, else those of the segments; `whole`
   *   fits it into the page's width, else the shortest segment stays wide enough to be hit
   */
  draw(segments, spans, label, { from_us, to_us, whole = false } = {}) {
    const begin = from_us ?? Math.min(...segments.map((segment) => segment.start_us));
    const end = to_us ?? Math.max(...segments.map((segment) => segment.start_us + segment.duration_us));
    const shortest = Math.max(1e5, Math.min(...segments.map((segment) => segment.duration_us)));
    const room = this.root.clientWidth || 600;
    const width = whole ? room : Math.min(MOST, Math.max(room, Math.ceil(((end - begin) / shortest) * LEAST)));
    const atEnd = this.root.scrollLeft + room >= this.#svg.clientWidth - 4;
    this.#begin = begin;
    this.#scale = width / Math.max(1, end - begin);
    const second = new Set(spans.filter(({ kind }) => kind !== "gap").map(({ names }) => names?.[1]));
    const step = 1e6 * (STEPS.find((seconds) => seconds * 1e6 * this.#scale >= TICK) ?? 86400);
    const first = Math.ceil(begin / step) * step;
    const ticks = Array.from({ length: Math.max(0, Math.ceil((end - first) / step)) }, (_, n) => first + n * step);
    this.#boxes = [...segments].sort((one, other) => one.start_us - other.start_us)
      .map((segment) => this.#segment(segment, second.has(segment.name) ? SECOND_LANE : LANE));
    this.#svg.replaceChildren(
      ...ticks.flatMap((us) => this.#tick(us)),
      ...spans.filter(({ kind }) => kind === "gap").map((span) => this.#span(span, LANE)),
      ...this.#boxes,
      ...spans.filter(({ kind }) => kind !== "gap").map((span) => this.#span(span, { y: SECOND_LANE.y + 15, height: 3 })),
      this.#head);
    this.#svg.setAttribute("width", String(width));
    this.#label = label;
    this.#tellPicked();
    if (atEnd) this.root.scrollLeft = width;
  }

  /**
   * Marks the moment that is played; `null` removes the mark.
   * @param {number | null} us
   */
  mark(us) {
    const x = us === null ? "0" : this.#x(us);
    this.#head.setAttribute("visibility", us === null ? "hidden" : "visible");
    this.#head.setAttribute("x1", x);
    this.#head.setAttribute("x2", x);
  }

  #place() {
    return this.#boxes.findIndex(({ dataset }) => dataset.name === this.#picked);
  }

  /** Shows which segment is picked, also to a reader without eyes. */
  #tellPicked() {
    const place = this.#place();
    this.#boxes.forEach((box, n) => box.classList.toggle("picked", n === place));
    const last = Math.max(0, this.#boxes.length - 1);
    const text = this.#boxes[place]?.textContent || this.#label;
    const told = { "aria-label": this.#label, "aria-valuemax": last, "aria-valuenow": place < 0 ? last : place, "aria-valuetext": text };
    for (const [name, value] of Object.entries(told)) this.#svg.setAttribute(name, String(value));
  }

  /** @param {number} us */
  #x(us) {
    return ((us - this.#begin) * this.#scale).toFixed(2);
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {{ y: number, height: number }} lane
   * @param {string} className
   * @param {string} [title]
   */
  #box(from, to, { y, height }, className, title) {
    const width = Math.max(1.5, (to - from) * this.#scale).toFixed(2);
    const box = node("rect", { x: this.#x(from), width, y, height, class: className });
    if (title === undefined) return box;
    const told = node("title", {});
    told.textContent = title;
    box.append(told);
    return box;
  }

  /**
   * @param {Segment} segment
   * @param {{ y: number, height: number }} lane
   */
  #segment({ name, start_us: start, duration_us: duration, state, title }, lane) {
    const told = title ?? `${name}: ${clock(start)}, ${(duration / 1e6).toFixed(3)} s, ${state}`;
    const box = this.#box(start, start + duration, lane, `segment ${state}`, told);
    box.dataset.name = name;
    return box;
  }

  /**
   * @param {Span} span
   * @param {{ y: number, height: number }} lane
   */
  #span({ kind, from_us: from, to_us: to, title }, lane) {
    return this.#box(from, to, lane, kind, title);
  }

  /** @param {number} us */
  #tick(us) {
    const x = this.#x(us);
    const text = node("text", { x: Number(x) + 3, y: 11 });
    text.textContent = clock(us);
    return [node("line", { class: "tick", x1: x, x2: x, y1: 0, y2: HEIGHT }), text];
  }
}

/**
 * Time of day, in the browser's zone, of a time in microseconds since 1970.
 * @param {number} us
 */
export function clock(us) {
  return new Date(us / 1000).toTimeString().slice(0, 8);
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} name
 * @param {Record<string, string | number>} attributes
 * @returns {SVGElementTagNameMap[Tag]}
 */
function node(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
