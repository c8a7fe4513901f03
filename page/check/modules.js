// Lets Node load the modules of the pages as a browser does: all are modules, and /parts/ is a folder beside the device's.

import { register } from "node:module";

const hooks = `
  const page = new URL("..", ${JSON.stringify(import.meta.url)});
  export function resolve(name, context, next) {
    return name.startsWith("/parts/") ? next(new URL(name.slice(1), page).href, context) : next(name, context);
  }
  export function load(url, context, next) {
    const isOurs = url.startsWith(page.href) && !url.includes("node_modules");
    return next(url, isOurs ? { ...context, format: "module" } : context);
  }
`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
