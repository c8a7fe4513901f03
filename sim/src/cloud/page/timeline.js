// Segments on an axis of time, as SVG: one lane for segments, another for overlaps and repetitions.

const NS = "http://www.w3.org/2000/svg";
const LANE = { y: 18, height: 26 };
const SECOND_LANE = { y: 48, height: 14 };
const HEIGHT = 66;
const LEAST = 14; // Pixels of the shortest segment, so that a finger hits it.
const MOST = 30000;
const TICK = 90;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

export class Timeline {
  #svg = node("svg", { height: HEIGHT, role: "img" });
  #head = node("line", { class: "playhead", y1: LANE.y - 4, y2: HEIGHT, visibility: "hidden" });
  #begin = 0;
  #scale = 1;

  /** `pick(name)` is called for a segment that was clicked. */
  constructor(root, pick) {
    this.root = root;
    root.append(this.#svg);
    this.#svg.addEventListener("click", ({ target }) => {
      if (target.dataset?.name) pick(target.dataset.name);
    });
  }

  /** Draws segments and spans; times are microseconds since 1970. */
  draw(segments, spans, label) {
    const begin = Math.min(...segments.map((segment) => segment.start_us));
    const end = Math.max(...segments.map((segment) => segment.start_us + segment.duration_us));
    const shortest = Math.max(1e5, Math.min(...segments.map((segment) => segment.duration_us)));
    const room = this.root.clientWidth || 600;
    const width = Math.min(MOST, Math.max(room, Math.ceil(((end - begin) / shortest) * LEAST)));
    const atEnd = this.root.scrollLeft + room >= this.#svg.clientWidth - 4;
    this.#begin = begin;
    this.#scale = width / Math.max(1, end - begin);
    const second = new Set(spans.filter(({ kind }) => kind !== "gap").map(({ names }) => names[1]));
    const step = 1e6 * (STEPS.find((seconds) => seconds * 1e6 * this.#scale >= TICK) ?? STEPS.at(-1));
    const first = Math.ceil(begin / step) * step;
    const ticks = Array.from({ length: Math.max(0, Math.ceil((end - first) / step)) }, (_, n) => first + n * step);
    this.#svg.replaceChildren(
      ...ticks.flatMap((us) => this.#tick(us)),
      ...spans.filter(({ kind }) => kind === "gap").map((span) => this.#span(span, LANE)),
      ...segments.map((segment) => this.#segment(segment, second.has(segment.name) ? SECOND_LANE : LANE)),
      ...spans.filter(({ kind }) => kind !== "gap").map((span) => this.#span(span, { y: SECOND_LANE.y + 15, height: 3 })),
      this.#head);
    this.#svg.setAttribute("width", width);
    this.#svg.setAttribute("aria-label", label);
    if (atEnd) this.root.scrollLeft = width;
  }

  /** Marks the moment that is played; `null` removes the mark. */
  mark(us) {
    const x = us === null ? 0 : this.#x(us);
    this.#head.setAttribute("visibility", us === null ? "hidden" : "visible");
    this.#head.setAttribute("x1", x);
    this.#head.setAttribute("x2", x);
  }

  #x(us) {
    return ((us - this.#begin) * this.#scale).toFixed(2);
  }

  #box(from, to, { y, height }, className) {
    const width = Math.max(1.5, (to - from) * this.#scale).toFixed(2);
    return node("rect", { x: this.#x(from), width, y, height, class: className });
  }

  #segment(segment, lane) {
    const { name, start_us: start, duration_us: duration, state } = segment;
    const box = this.#box(start, start + duration, lane, `segment ${state}`);
    box.dataset.name = name;
    const title = node("title", {});
    title.textContent = `${name}: ${clock(start)}, ${(duration / 1e6).toFixed(3)} s, ${state}`;
    box.append(title);
    return box;
  }

  #span({ kind, from_us: from, to_us: to }, lane) {
    return this.#box(from, to, lane, kind);
  }

  #tick(us) {
    const x = this.#x(us);
    const text = node("text", { x: Number(x) + 3, y: 11 });
    text.textContent = clock(us);
    return [node("line", { class: "tick", x1: x, x2: x, y1: 0, y2: HEIGHT }), text];
  }
}

/** Time of day, in the browser's zone, of a time in microseconds since 1970. */
export function clock(us) {
  return new Date(us / 1000).toTimeString().slice(0, 8);
}

function node(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
