// How hard a password is to guess.

/** Words and rows of keys that guessers try first. */
const COMMON = /passw[o0]rd|admin|qwert|asdf|letmein|welcome|abc123|camera|hikvision|dahua|woaini|iloveyou/gi;
/** What is repeated, and runs of digits. */
const RUNS = /(.{1,8}?)\1{2,}|0?12345\d*|9?87654\d*|(?:19|20)\d\d/gu;

/**
 * 0 to 3: nothing, weak, fair, strong. What guessers try first counts as one character.
 * @param {string} password
 */
export function strength(password) {
  const rest = Array.from(password.replace(COMMON, "x").replace(RUNS, "1"));
  if (!password.length) return 0;
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /\p{Lo}/u, /[^\p{L}\p{Nd}]/u].filter((kind) => kind.test(password)).length;
  const points = rest.length + 2 * (kinds - 1) + Math.min(0, new Set(rest).size - 5);
  return points < 10 ? 1 : points < 14 ? 2 : 3;
}
