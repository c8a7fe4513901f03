// Pictures that the page loads by itself.

import { fetchFile } from "/parts/api.js";

/** How far from sight a picture is loaded. */
const NEAR = "1000px";

/**
 * Loads a picture into an image, whose former picture stays until then.
 * @param {HTMLImageElement} image
 * @param {string} path below `/api/v1`
 */
export async function loadPicture(image, path) {
  const local = URL.createObjectURL(await fetchFile(path, { seconds: 10, background: true }));
  try {
    image.src = local;
    await image.decode();
  } finally {
    URL.revokeObjectURL(local);
  }
}

/**
 * Loads a picture into an image once its place is about to come into sight.
 * @param {Element} place
 * @param {HTMLImageElement} image
 * @param {string} path below `/api/v1`
 */
export function loadInSight(place, image, path) {
  const sight = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    sight.disconnect();
    // A picture that is gone leaves its place empty.
    loadPicture(image, path).catch(() => {});
  }, { rootMargin: NEAR });
  // An image without a picture has no place of its own.
  sight.observe(place);
}
