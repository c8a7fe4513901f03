// Work of the device that is asked for and reports while it goes on.

import { CallError, logIn, needsLogin, refusal, unreachable } from "./api.js";

/** The device says something every few seconds. Without a word for so long, it is lost. */
const SILENCE_MS = 30_000;
/** Events of which one is the last of any work. */
const LAST = ["end", "result", "failed"];

/**
 * Asks the device by POST, and calls `handlers` by the name of each event that it reports, with its data, until the work has
 * ended. Aborting `signal` ends the work.
 * @param {string} path below `/api/v1`
 * @param {any} body
 * @param {Record<string, (data: any) => void>} handlers
 * @param {AbortSignal} [signal]
 * @throws {CallError} it was refused, or the device was lost before the work had ended
 */
export async function follow(path, body, handlers, signal) {
  for (;;) {
    try {
      return await run(path, body, handlers, signal);
    } catch (error) {
      if (!(error instanceof CallError) || !needsLogin(error)) throw error;
    }
    await logIn();
  }
}

/**
 * @param {string} path
 * @param {any} body
 * @param {Record<string, (data: any) => void>} handlers
 * @param {AbortSignal} [signal]
 */
async function run(path, body, handlers, signal) {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  /** Waits for what the device does next. @type {<T>(next: Promise<T>) => Promise<T>} */
  const heard = async (next) => {
    const late = setTimeout(stop, SILENCE_MS);
    try {
      return await next;
    } catch (error) {
      throw signal?.aborted ? error : unreachable();
    } finally {
      clearTimeout(late);
    }
  };
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const headers = { "content-type": "application/json" };
    const response = await heard(fetch(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body), signal: attempt.signal }));
    if (!response.ok) throw await refusal(response);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let ended = false;
    for (;;) {
      const { done = true, value = "" } = await heard(reader?.read() ?? Promise.resolve({ done: true, value: "" }));
      text += value;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const [, name = "", data = "null"] = /^event: (.*)\ndata: (.*)$/s.exec(event) ?? [];
        ended ||= LAST.includes(name);
        handlers[name]?.(JSON.parse(data));
      }
      if (done && !ended) throw unreachable();
      if (done) return;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}
