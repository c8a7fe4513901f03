// Lists of facts. Text of a device is never read as HTML.

import { make } from "/parts/dom.js";

/** Fills the list `id`; `parts(item)` are the contents of one row. */
export function rows(id, items, empty, parts) {
  const row = (contents) => {
    const item = document.createElement("li");
    item.append(...contents);
    return item;
  };
  document.getElementById(id).replaceChildren(...(items.length ? items.map((item) => row(parts(item))) : [row([empty])]));
}

export function facts(...list) {
  return list.filter(Boolean).map((text) => make("span", { className: "fact", textContent: text }));
}

export function link(href, textContent) {
  return make("a", { href, textContent });
}
