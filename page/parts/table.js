// Lists as tables. Whatever a device says is shown as text, and no more of it than fits a page.

import { makeButton } from "./button.js";
import { make } from "./dom.js";
import { register, t } from "./text.js";
import texts from "./texts.js";

register(texts);

const MOST_ROWS = 256;
const HIDDEN = "•••";

/**
 * A column: the name of a value in each row, or its label and what it shows.
 * @typedef {string | { name: string, label?: string, show?: (row: any) => import("./dom.js").Child }} Column
 */

/**
 * A list of objects as a table, which becomes a list of cards where there is little room.
 * @param {any[]} rows
 * @param {Column[]} columns
 * @param {{ empty?: string, actions?: (row: any) => [string, () => unknown][] }} [options] `empty`: what is said of a list without
 *   rows; `actions`: labels and deeds of the buttons behind a row
 */
export function buildTable(rows, columns, { empty = t("part.none"), actions } = {}) {
  if (!rows.length) return hint(empty);
  const known = columns.map((column) => (typeof column === "string" ? { name: column } : column));
  const labels = known.map(({ name, label }) => label ?? name);
  const body = rows.slice(0, MOST_ROWS).map((row) => make("tr", {},
    ...known.map((column, i) => make("td", { "data-label": labels[i] }, shown(column, row))),
    actions && make("td", {}, make("div", { className: "buttons" }, ...actions(row).map(([label, run]) => makeButton(label, run))))));
  const head = make("tr", {}, ...labels.map((textContent) => make("th", { scope: "col", textContent })), actions && make("td"));
  const table = scroll(make("table", { className: "list" }, make("thead", {}, head), make("tbody", {}, ...body)));
  return rows.length > MOST_ROWS ? make("div", {}, table, hint(t("part.more", { shown: MOST_ROWS, all: rows.length }))) : table;
}

/**
 * An object as a table of names and values.
 * @param {Record<string, unknown>} object
 */
export function buildFacts(object) {
  const rows = Object.entries(object).slice(0, MOST_ROWS).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: told(name, value) })));
  return scroll(make("table", {}, make("tbody", {}, ...rows)));
}

/**
 * @param {{ name: string, show?: (row: any) => import("./dom.js").Child }} column
 * @param {any} row
 */
function shown({ name, show }, row) {
  return show ? show(row) : told(name, row?.[name]);
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function told(name, value) {
  if (value === undefined || value === null) return "";
  if (name === "password") return HIDDEN;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {HTMLTableElement} table */
function scroll(table) {
  return make("div", { className: "scroll", tabIndex: 0 }, table);
}

/** @param {string} textContent */
function hint(textContent) {
  return make("p", { className: "hint", textContent });
}
