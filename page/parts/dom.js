// Elements of the page. Text of a device is never read as HTML.

/** @typedef {Node | string | null | undefined | false} Child Contents of an element; what is false is left out. */

/**
 * Makes an element. Properties with a hyphen, `role` and `for` become attributes, all others properties: also handlers, as
 * `onclick`.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, String(value));
    else if (value !== undefined) Object.assign(element, { [name]: value });
  }
  element.append(...kept(children));
  return element;
}

/**
 * Puts other contents into an element.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...kept(children));
}

/**
 * A part of a page with a heading of its own.
 * @param {string} title
 * @param {...Child} children
 */
export function makePanel(title, ...children) {
  const id = freshId();
  return make("section", { className: "panel", "aria-labelledby": id }, make("h2", { id, textContent: title }), ...children);
}

/**
 * Names and values, side by side.
 * @param {[string, Child][]} pairs
 */
export function makeFacts(pairs) {
  return make("dl", { className: "facts" }, ...pairs.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", {}, value))));
}

/**
 * A state in a word or two, told by colour and by sign.
 * @param {"good" | "warn" | "bad" | "off"} kind
 * @param {string} text
 */
export function makeBadge(kind, text) {
  return make("span", { className: `badge ${kind}`, textContent: text });
}

let ids = 0;

/** An identifier that no other element has. */
export function freshId() {
  ids += 1;
  return `e${ids}`;
}

/** @param {Child[]} children */
function kept(children) {
  return /** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined && child !== false));
}
