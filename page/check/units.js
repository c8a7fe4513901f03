// Tests of what needs no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, duration, size } from "/parts/format.js";
import { register, t } from "/parts/text.js";
import { strength } from "../device/strength.js";

test("a length of time has its two largest units", () => {
  const told = [0, 59.6, 61, 3600, 3661, 86400, 90061, 86460, -5].map(duration);
  assert.deepEqual(told, ["0 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 d", "1 d 1 h", "1 d", "0 s"]);
  assert.equal(ago(Date.now() - 7_200_000), "2 h ago");
});

test("a number of bytes has three digits or four", () => {
  assert.deepEqual([0, 1, 1023, 1024, 1536, 1048575, 1048576, 5e9].map(size),
    ["0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "1024 KiB", "1.0 MiB", "4.7 GiB"]);
});

test("a text takes its values, and a key without a text stays", () => {
  register({ en: { "unit.text": "{a} of {b}, {c}" }, zh: { "unit.text": "" } });
  assert.equal(t("unit.text", { a: 1, b: "{a}" }), "1 of {a}, {c}");
  assert.equal(t("unit.none"), "unit.none");
});

test("what guessers try first is weak, and length is strong in any language", () => {
  const weak = ["a", "12345678", "password", "Passw0rd1", "aaaaaaaaaaaaaaaa", "qwertyui", "20242024", "abcabcabcabc"];
  const strong = ["correct horse battery", "gate 3 Straße 电池-Q7x", "T4k!x9_pQ2mz", "今天北门的摄像机又坏了吗明天再看"];
  assert.equal(strength(""), 0);
  assert.deepEqual(weak.filter((password) => strength(password) !== 1), []);
  assert.deepEqual(strong.filter((password) => strength(password) !== 3), []);
  assert.equal(strength("wintergarten"), 2);
});
