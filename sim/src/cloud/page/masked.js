/** `text` with the values of all passwords hidden, in JSON that may be cut short. */
export function masked(text) {
  return text.replace(/("password"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|$)/gs, '$1"•••"');
}
