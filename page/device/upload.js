// A file that is sent to the device, with its progress.

import { CallError, logIn, needsLogin, unreachable } from "/parts/api.js";

/**
 * Sends a file, as it is, and tells how much of it has left. The answer's JSON.
 * @param {string} path below `/api/v1`
 * @param {Blob} file
 * @param {(share: number) => void} progress from 0 to 1
 * @param {AbortSignal} signal ends it
 * @returns {Promise<any>}
 * @throws {CallError}
 */
export async function upload(path, file, progress, signal) {
  for (;;) {
    try {
      return await send(path, file, progress, signal);
    } catch (error) {
      if (!(error instanceof CallError) || !needsLogin(error)) throw error;
    }
    await logIn();
  }
}

/**
 * @param {string} path
 * @param {Blob} file
 * @param {(share: number) => void} progress
 * @param {AbortSignal} signal
 */
function send(path, file, progress, signal) {
  return new Promise((resolve, reject) => {
    // What fetch sends tells no progress.
    const request = new XMLHttpRequest();
    const fail = () => reject(unreachable());
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(loaded / Math.max(1, total)));
    request.addEventListener("error", fail);
    request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    request.addEventListener("load", () => {
      try {
        const answer = JSON.parse(request.responseText || "null");
        const { code = "broken", message = `HTTP status ${request.status}`, field = "" } = answer?.error ?? {};
        if (request.status < 300) resolve(answer);
        else reject(new CallError(request.status, code, message, field, answer));
      } catch {
        fail();
      }
    });
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", `/api/v1${path}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.send(file);
  });
}
