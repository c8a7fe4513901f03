// The rules of the pages' scripts.

import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/node_modules/**"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-var": "error",
      "prefer-const": "error",
      "max-len": ["error", { code: 160 }],
      "no-restricted-properties": ["error",
        { property: "innerHTML", message: "Text of a device is never read as HTML: textContent, or make()." },
        { property: "outerHTML", message: "Text of a device is never read as HTML: textContent, or make()." },
        { property: "insertAdjacentHTML", message: "Text of a device is never read as HTML: textContent, or make()." }],
    },
  },
];
