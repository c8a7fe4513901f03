// The cameras that were found on the network, each with its picture.

import { makeButton } from "/parts/button.js";
import { fill, make, makeBadge } from "/parts/dom.js";
import { follow } from "/parts/follow.js";
import { explain, explainTold, makeNotice } from "/parts/notice.js";
import { register, t } from "/parts/text.js";
import texts from "../texts/camera.js";

register(texts);

/**
 * A camera that was found.
 * @typedef {object} Found
 * @property {string} id
 * @property {string} address where it answers
 * @property {string} name
 * @property {string} [model]
 * @property {string} [maker]
 * @property {number | null} [channel] the channel that it is already
 * @property {string} [picture] JPEG in base64
 */

/**
 * Builds the list, and searches at once. `choose` is called with the camera that a person points at.
 * @param {{ choose: (camera: Found) => void, signal: AbortSignal, first?: HTMLElement[] }} options `first`: what can be chosen beside
 *   the cameras
 */
export function buildSearch({ choose, signal, first = [] }) {
  /** @type {Map<string, { button: HTMLButtonElement, camera: Found }>} */
  const rows = new Map();
  const list = make("ul", { className: "cameras" }, ...first.map((one) => make("li", {}, one)));
  const state = make("p", { className: "hint", role: "status" });
  const again = makeButton(t("camera.search_again"), () => search());
  const element = make("div", {}, list, state, make("div", { className: "buttons" }, again));
  const take = (/** @type {Found} */ told) => {
    const known = rows.get(told.id);
    const camera = { ...known?.camera, ...told };
    const button = known?.button ?? make("button", { type: "button", className: "camera" });
    button.dataset.address = camera.address;
    button.onclick = () => {
      for (const row of rows.values()) row.button.setAttribute("aria-pressed", String(row.button === button));
      choose(camera);
    };
    fill(button, ...draw(camera));
    if (!known) list.append(make("li", {}, button));
    rows.set(told.id, { button, camera });
  };
  const search = async () => {
    state.textContent = t("camera.searching");
    let failure = "";
    try {
      await follow("/discovery", {}, {
        camera: take,
        failed: (told) => { failure = explainTold(told); },
      }, signal);
    } catch (error) {
      if (signal.aborted) return;
      failure = explain(error);
    }
    if (failure) fill(state, makeNotice("bad", failure));
    else state.textContent = rows.size ? t("camera.found", { count: rows.size }) : t("camera.none_found");
  };
  search();
  return { element, search };
}

/** @param {Found} camera */
function draw({ address, name, model, maker, channel, picture }) {
  const title = [maker, model].filter(Boolean).join(" ") || name || t("camera.unnamed");
  const place = address.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return [
    makePicture(picture),
    make("span", { className: "told" },
      make("strong", { textContent: title }),
      name && name !== title ? make("span", { textContent: name }) : null,
      make("span", { className: "hint", textContent: place }),
      typeof channel === "number" ? makeBadge("good", t("camera.is_channel", { channel })) : null),
  ];
}

/**
 * A picture that came as base64, or the place of one.
 * @param {string} [picture]
 */
export function makePicture(picture) {
  if (!picture) return make("span", { className: "picture", "aria-hidden": "true" });
  return make("img", { className: "picture", alt: "", src: `data:image/jpeg;base64,${picture}` });
}
