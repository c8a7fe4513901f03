// The fields of one direction of a line.

import { freshId, make } from "/parts/dom.js";

/** Name, what it is, highest value of the slider, and step. A field may take more than its slider. */
const SLIDERS = [
  ["delay_ms", "Delay, ms", 1000, 5],
  ["jitter_ms", "Jitter, ms at most", 500, 5],
  ["rate_kbit", "Rate, kbit/s (0: no limit)", 10000, 50],
  ["rate_low_kbit", "Lowest rate, kbit/s (0: steady)", 10000, 50],
  ["queue_ms", "Queue, ms", 2000, 50],
  ["loss", "Loss, share of packets", 0.2, 0.001],
  ["burst", "Packets lost in a row, on average", 20, 0.5],
  ["reset", "Reset, share of packets", 0.01, 0.0001],
  ["half_open", "Half-open, share of packets", 0.01, 0.0001],
  ["duplicate", "Doubled, share of UDP packets", 0.2, 0.001],
  ["reorder", "Overtaken, share of UDP packets", 0.2, 0.001],
];
const SHAPES = ["uniform", "normal", "pareto"];

/** The fields of one direction, in a frame with this title. */
export class Way {
  /** @param {string} title */
  constructor(title) {
    this.fields = {};
    this.shape = make("select", {}, ...SHAPES.map((name) => new Option(name, name)));
    this.element = make("fieldset", {}, make("legend", { textContent: title }),
      make("div", { className: "fields" }, ...SLIDERS.map(([name, label, most, step]) => this.#slider(name, label, most, step)),
        make("label", { textContent: "Shape of the jitter " }, this.shape)));
  }

  #slider(name, label, most, step) {
    const id = freshId();
    const number = make("input", { id, type: "number", min: "0", step: "any", required: true });
    const range = make("input", { type: "range", min: 0, max: most, step, "aria-label": label });
    range.oninput = () => { number.value = range.value; };
    number.oninput = () => { range.value = number.value; };
    this.fields[name] = (value) => {
      number.value = value;
      range.value = value;
    };
    this.fields[name].number = number;
    return make("div", { className: "slider" }, make("span", {}, make("label", { for: id, textContent: label })), range, number);
  }

  /** Shows the values of the interface. */
  show(way) {
    for (const [name, field] of Object.entries(this.fields)) field(way[name]);
    this.shape.value = way.jitter;
  }

  /** The values for the interface. */
  value() {
    const numbers = Object.entries(this.fields).map(([name, field]) => [name, Number(field.number.value)]);
    return { ...Object.fromEntries(numbers), jitter: this.shape.value };
  }
}
