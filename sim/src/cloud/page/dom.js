// Elements of the page. Text of a device is never read as HTML.

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** `text` with the values of all passwords hidden, in JSON that may be cut short. */
export function masked(text) {
  return text.replace(/("password"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|$)/gs, '$1"•••"');
}
