// From a blank device to a live picture in the cloud: four steps, each with an address of its own.

import { call } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { make } from "/parts/dom.js";
import { register, t } from "/parts/text.js";
import { showCamera } from "../setup/camera.js";
import { showCloud } from "../setup/cloud.js";
import { showDone } from "../setup/done.js";
import { showPicture } from "../setup/picture.js";
import texts from "../texts/wizard.js";

register(texts);

/** @type {Record<string, (element: HTMLElement, context: import("../page.js").Context) => void | Promise<void>>} */
const STEPS = { camera: showCamera, picture: showPicture, cloud: showCloud, done: showDone };

/** @type {import("../page.js").Page} */
const page = {
  name: "wizard",
  async show(element, context) {
    const [wanted = ""] = context.parameters;
    const step = wanted in STEPS ? wanted : "camera";
    const steps = make("ol", { className: "steps" }, ...Object.keys(STEPS).map((name) => {
      const link = make("a", { href: `#/wizard/${name}`, textContent: t(`wizard.${name}`) });
      if (name === step) link.setAttribute("aria-current", "step");
      return make("li", {}, link);
    }));
    const content = make("div", { className: "step" });
    element.append(make("nav", { className: "wizard", "aria-label": t("wizard.steps") }, steps), content);
    if (step !== "done") element.append(make("p", {}, makeButton(t("wizard.skip"), () => skip(context))));
    await STEPS[step]?.(content, context);
  },
};
export default page;

/** @param {import("../page.js").Context} context */
async function skip(context) {
  await call("POST", "/wizard", { skipped: true });
  context.go("overview");
}
