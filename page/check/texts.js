// Compares the texts of both languages, and looks for keys without a text, texts that nobody asks for, and refusals without a text.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Texts that are there for every page: those of the shell, which is loaded first. */
const ALWAYS = ["parts/errors.js", "parts/texts.js", "device/texts/shell.js"];
/** Where the device's refusals get their codes. */
const REFUSING = ["../agent/src/web", "../agent/src/firmware"];
/** How a code is given to a refusal: by its constructor, in its place, or chosen from several. */
const GIVEN = [/\b(?:conflict|failed|unavailable|lacking)\(\s*"(\w+)"/g, /::new\(\s*StatusCode::\w+,\s*"(\w+)"/g, /\bcode: "(\w+)"/g];
const CHOSEN = /let (?:code|\(status, code\)) = match .*?\n {4,}\};|fn code\(&self\).*?\n {4}\}/gs;

const problems = [];
const sources = new Map(["parts", "device"].flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true })
  .filter((name) => name.endsWith(".js"))
  .map((name) => [`${folder}/${name}`, readFileSync(join(ROOT, folder, name), "utf8")])));
const isText = (name) => ["parts/errors.js", "parts/texts.js"].includes(name) || name.startsWith("device/texts/");

const texts = new Map();
for (const name of sources.keys()) {
  if (!isText(name)) continue;
  const { default: languages } = await import(join(ROOT, name));
  texts.set(name, languages);
  compare(name, languages);
}
const owners = new Map();
for (const [name, { en, zh }] of texts) {
  for (const key of Object.keys(en)) {
    const before = owners.get(key);
    if (before && (texts.get(before).en[key] !== en[key] || texts.get(before).zh[key] !== zh[key])) {
      problems.push(`${name}: ${key} differs from that of ${before}`);
    }
    owners.set(key, name);
  }
}

const wanted = new Set();
const prefixes = new Set();
for (const [name, source] of sources) {
  if (isText(name)) continue;
  const there = [...ALWAYS, ...reached(name)].flatMap((file) => Object.keys(texts.get(file)?.en ?? {}));
  for (const argument of firstArguments(source)) {
    for (const [, key] of argument.matchAll(/"([^"]+)"/g)) {
      if (key.includes(".") && !there.includes(key)) problems.push(`${name}: no text for t("${key}") in what it imports`);
    }
    for (const [, prefix] of argument.matchAll(/`([^`$]*)\$\{/g)) {
      prefixes.add(prefix);
      if (!there.some((key) => key.startsWith(prefix))) problems.push(`${name}: no text begins with ${prefix}`);
    }
  }
  for (const [, literal] of source.matchAll(/"([a-z][\w.]*)"/g)) wanted.add(literal);
  for (const [, prefix] of source.matchAll(/`([a-z][\w.]*\.)\$\{/g)) prefixes.add(prefix);
}
const codes = refusals();
for (const code of codes) {
  if (!owners.has(`error.${code}`)) problems.push(`parts/errors.js: no text for the refusal ${code}`);
}
for (const [key, name] of owners) {
  const isError = key.startsWith("error.");
  // Any page may be refused for any reason.
  if (isError && name !== "parts/errors.js") problems.push(`${name}: ${key} belongs into parts/errors.js`);
  const isAsked = isError ? codes.has(key.slice(6)) || wanted.has(key) : wanted.has(key) || [...prefixes].some((prefix) => prefix && key.startsWith(prefix));
  if (!isAsked) problems.push(`${name}: nobody asks for ${key}`);
}

for (const problem of problems) console.error(problem);
if (!texts.size || !wanted.size || codes.size < 50) throw new Error("there are no texts");
process.exitCode = problems.length ? 1 : 0;

/** The codes of the device's refusals. */
function refusals() {
  const found = new Set();
  for (const folder of REFUSING) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true })) {
      if (!name.endsWith(".rs") || /test/.test(name)) continue;
      const [source] = readFileSync(join(ROOT, folder, name), "utf8").split("#[cfg(test)]\nmod tests");
      for (const rule of GIVEN) for (const [, code] of source.matchAll(rule)) found.add(code);
      for (const [block] of source.matchAll(CHOSEN)) for (const [, code] of block.matchAll(/"(\w+)"/g)) found.add(code);
    }
  }
  return found;
}

/** Reports what one language has and another has not. */
function compare(name, { en, zh }) {
  for (const key of new Set([...Object.keys(en), ...Object.keys(zh)])) {
    if (typeof en[key] !== "string" || !en[key].trim()) problems.push(`${name}: ${key} has no English text`);
    else if (typeof zh[key] !== "string" || !zh[key].trim()) problems.push(`${name}: ${key} has no Chinese text`);
    else if (values(en[key]) !== values(zh[key])) problems.push(`${name}: ${key} has other values in Chinese than in English`);
  }
}

function values(text) {
  return [...new Set(text.match(/\{\w+\}/g))].sort().join();
}

/** The files of texts that a module imports, also by others. */
function reached(name, seen = new Set()) {
  if (seen.has(name)) return [];
  seen.add(name);
  const imports = [...(sources.get(name) ?? "").matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";|^import "([^"]+)";/gm)]
    .map(([, from, alone]) => from ?? alone)
    .map((path) => (path.startsWith("/parts/") ? path.slice(1) : relative(ROOT, join(ROOT, dirname(name), path))));
  return imports.flatMap((path) => (isText(path) ? [path] : reached(path, seen)));
}

/** The first argument of each call of t(). */
function firstArguments(source) {
  return [...source.matchAll(/(?<![\w.#])t\(/g)].map(({ index }) => {
    const begin = index + 2;
    let depth = 0;
    for (let at = begin; at < source.length; at += 1) {
      const char = source[at];
      if ("([{".includes(char)) depth += 1;
      else if (depth === 0 && ",)".includes(char)) return source.slice(begin, at);
      else if (")]}".includes(char)) depth -= 1;
    }
    return "";
  });
}
