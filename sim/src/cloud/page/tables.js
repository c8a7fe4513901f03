// Answers as tables. Whatever a device answers is shown as text, and no more of it than fits a page.

import { make } from "./dom.js";

const MOST_ROWS = 256;
const HIDDEN = "•••";

/** A list of objects as a table with these columns; `actions(row)` are `[label, run]` of the buttons behind it. */
export function buildTable(list, columns, actions) {
  if (!Array.isArray(list)) return hint("the answer is not a list");
  if (!list.length) return hint("the list is empty");
  const rows = list.slice(0, MOST_ROWS).map((row) => make("tr", {},
    ...columns.map((name) => make("td", { textContent: told(name, row?.[name]) })),
    ...(actions ? [make("td", {}, make("div", { className: "buttons" }, ...actions(row ?? {}).map(buildAction)))] : [])));
  const names = actions ? [...columns, ""] : columns;
  const head = make("thead", {}, make("tr", {}, ...names.map((textContent) => make("th", { scope: "col", textContent }))));
  const table = scroll(make("table", {}, head, make("tbody", {}, ...rows)));
  return list.length > MOST_ROWS ? make("div", {}, table, hint(`the first ${MOST_ROWS} of ${list.length}`)) : table;
}

/** An object as a table of names and values. */
export function buildFacts(object) {
  if (object === null || typeof object !== "object" || Array.isArray(object)) return hint("the answer is not an object");
  const rows = Object.entries(object).slice(0, MOST_ROWS).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: told(name, value) })));
  return scroll(make("table", {}, make("tbody", {}, ...rows)));
}

function buildAction([textContent, run]) {
  const button = make("button", { type: "button", textContent });
  button.addEventListener("click", run);
  return button;
}

function told(name, value) {
  if (value === undefined || value === null) return "";
  if (name === "password") return HIDDEN;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function scroll(table) {
  return make("div", { className: "scroll" }, table);
}

function hint(textContent) {
  return make("p", { className: "hint", textContent });
}
