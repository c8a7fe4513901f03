// Work of the device that is asked for and reports while it goes on.

import { CallError, logIn, needsLogin, refusal } from "./api.js";
import { t } from "./text.js";

/**
 * Asks the device by POST, and calls `handlers` by the name of each event that it reports, with its data, until the work has
 * ended. Aborting `signal` ends the work.
 * @param {string} path below `/api/v1`
 * @param {any} body
 * @param {Record<string, (data: any) => void>} handlers
 * @param {AbortSignal} [signal]
 * @throws {CallError}
 */
export async function follow(path, body, handlers, signal) {
  let response = await send(path, body, signal);
  while (!response.ok) {
    const error = await refusal(response);
    if (!needsLogin(error)) throw error;
    await logIn();
    response = await send(path, body, signal);
  }
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done = true, value = "" } = await reader?.read() ?? {};
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const [, name = "", data = "null"] = /^event: (.*)\ndata: (.*)$/s.exec(event) ?? [];
      handlers[name]?.(JSON.parse(data));
    }
    if (done) return;
  }
}

/**
 * @param {string} path
 * @param {any} body
 * @param {AbortSignal} [signal]
 */
async function send(path, body, signal) {
  try {
    const headers = { "content-type": "application/json" };
    return await fetch(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CallError(0, "unreachable", t("error.unreachable"), "");
  }
}
