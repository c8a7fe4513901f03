// The rules of the pages' scripts.

import js from "@eslint/js";
import globals from "globals";

const html = (property) => ({ property, message: "Text of a device is never read as HTML: textContent, or make()." });

export default [
  { ignores: ["**/node_modules/**"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "max-len": ["error", { code: 160 }],
      "no-console": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map(html)],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  { files: ["**/page/check/*.js"], languageOptions: { globals: globals.node }, rules: { "no-console": "off" } },
];
