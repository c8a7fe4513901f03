// The publishes that a device keeps by itself, as a table to edit: the whole list is replaced.

import { make } from "/parts/dom.js";

const FRESH = { enable: true, channel: 0, quality: "hd", url: "rtmp://" };

/** The field for a list of publishes. `read()` is the list, `write(list)` puts another in its place. */
export function buildPublishes(qualities) {
  const body = make("tbody");
  const add = (publish) => body.append(buildRow(publish, qualities));
  const write = (list) => {
    body.replaceChildren();
    for (const publish of Array.isArray(list) ? list : []) add({ ...FRESH, ...publish });
  };
  write([FRESH]);
  const more = make("button", { type: "button", className: "more", textContent: "Add a publish" });
  more.addEventListener("click", () => add(FRESH));
  const head = ["enable", "channel", "quality", "url", ""].map((textContent) => make("th", { scope: "col", textContent }));
  const table = make("table", { className: "edit" }, make("thead", {}, make("tr", {}, ...head)), body);
  const element = make("div", { className: "wide" }, make("div", { className: "scroll" }, table), more);
  return { element, write, read: () => [...body.rows].map(readRow) };
}

function buildRow({ enable, channel, quality, url }, qualities) {
  const row = make("tr");
  const remove = make("button", { type: "button", textContent: "Remove" });
  remove.addEventListener("click", () => row.remove());
  const choice = make("select", { name: "quality" }, ...qualities.map((value) => make("option", { value, textContent: value })));
  choice.value = quality;
  const cells = [
    make("input", { type: "checkbox", name: "enable", checked: enable }),
    make("input", { type: "number", name: "channel", min: 0, required: true, value: channel }),
    choice,
    make("input", { name: "url", autocomplete: "off", value: url }),
  ];
  for (const cell of cells) cell.setAttribute("aria-label", cell.name);
  row.append(...[...cells, remove].map((cell) => make("td", {}, cell)));
  return row;
}

function readRow(row) {
  const of = (name) => row.querySelector(`[name=${name}]`);
  return { enable: of("enable").checked, channel: Number(of("channel").value), quality: of("quality").value, url: of("url").value };
}
