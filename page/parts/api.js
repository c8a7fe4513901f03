// Calls to the device's interface.

import errors from "./errors.js";
import { register, t } from "./text.js";

register(errors);

const BASE = "/api/v1";
/** What a request says that no person has asked for: it does not prolong the session. */
export const BACKGROUND = { "x-background": "1" };
/** What a call is told whose session has ended; any other 401 is an answer to a password. */
const ENDED = ["logged_out", "unclaimed"];

/** Where a login is asked for: it waits for no other login. */
const LOGIN = "/session";

/** Why a call was not carried out. */
export class CallError extends Error {
  /**
   * @param {number} status 0 where the device did not answer
   * @param {string} code for programs
   * @param {string} message for people
   * @param {string} field name of the value that is wrong, or empty
   * @param {any} [answer] the whole answer
   * @param {number} [wait] after how many seconds it may be tried again
   */
  constructor(status, code, message, field, answer, wait = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
    this.answer = answer;
    this.wait = wait;
  }
}

/** @type {(() => Promise<void>) | null} */
let login = null;
/** @type {Promise<void> | null} */
let loggingIn = null;

/**
 * Has `ask` called when a session has ended; calls wait until it is done, and are then made again.
 * @param {() => Promise<void>} ask
 */
export function onLoggedOut(ask) {
  login = ask;
}

/**
 * How a call is made. `seconds`: how long it may take, 30 by default. `background`: the page asks by itself, which does not prolong the
 * session.
 * @typedef {{ signal?: AbortSignal, seconds?: number, background?: boolean }} Options
 */

/**
 * Asks the device: `call("PUT", "/settings", { … })`. The answer's JSON, `null` where it has none. A `Blob` is sent as
 * it is.
 * @param {string} method
 * @param {string} path below `/api/v1`
 * @param {any} [body]
 * @param {Options} [options]
 * @returns {Promise<any>}
 * @throws {CallError}
 */
export function call(method, path, body, options) {
  return ask(method, path, body, options, read);
}

/**
 * Fetches a file of the device, such as a picture.
 * @param {string} path below `/api/v1`
 * @param {Options} [options]
 * @returns {Promise<Blob>}
 * @throws {CallError}
 */
export function fetchFile(path, options) {
  return ask("GET", path, undefined, options, (response) => response.blob());
}

/**
 * @template Answer
 * @param {string} method
 * @param {string} path
 * @param {any} body
 * @param {Options | undefined} options
 * @param {(response: Response) => Promise<Answer>} read
 * @returns {Promise<Answer>}
 */
async function ask(method, path, body, options, read) {
  for (;;) {
    try {
      return await send(method, path, body, options ?? {}, read);
    } catch (error) {
      if (!(error instanceof CallError) || !needsLogin(error) || path === LOGIN) throw error;
    }
    await logIn();
  }
}

/**
 * Whether a call failed since the session has ended.
 * @param {CallError} error
 */
export function needsLogin({ status, code }) {
  return status === 401 && ENDED.includes(code) && login !== null;
}

/** Asks for the login, once for all who wait for it. */
export function logIn() {
  loggingIn ??= (login?.() ?? Promise.resolve()).finally(() => { loggingIn = null; });
  return loggingIn;
}

/** What is said of a device that does not answer, or whose answer breaks off. */
export function unreachable() {
  return new CallError(0, "unreachable", t("error.unreachable"), "");
}

/**
 * @template Answer
 * @param {string} method
 * @param {string} path
 * @param {any} body
 * @param {Options} options
 * @param {(response: Response) => Promise<Answer>} read
 */
async function send(method, path, body, { signal, seconds = 30, background = false }, read) {
  const late = AbortSignal.timeout(seconds * 1000);
  const either = new AbortController();
  for (const one of signal ? [signal, late] : [late]) {
    if (one.aborted) either.abort(one.reason);
    one.addEventListener("abort", () => either.abort(one.reason), { once: true, signal: either.signal });
  }
  /** @type {Record<string, string>} */
  const headers = background ? { ...BACKGROUND } : {};
  /** @type {RequestInit} */
  const request = { method, headers, signal: either.signal, cache: "no-store" };
  if (body instanceof Blob) {
    headers["content-type"] = "application/octet-stream";
    request.body = body;
  } else if (body !== undefined) {
    headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(BASE + path, request);
    if (!response.ok) throw await refusal(response);
    return await read(response);
  } catch (error) {
    if (signal?.aborted || error instanceof CallError) throw error;
    throw late.aborted ? new CallError(0, "timeout", t("error.timeout"), "") : unreachable();
  }
}

/** @param {Response} response */
async function read(response) {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw new CallError(response.status, "broken", t("error.broken"), "");
  }
}

/**
 * Why the device refuses, by its answer.
 * @param {Response} response
 */
export async function refusal(response) {
  const answer = await response.json().catch(() => null);
  const { code = "broken", message = `HTTP status ${response.status}`, field = "" } = answer?.error ?? {};
  return new CallError(response.status, code, message, field, answer, Number(response.headers.get("retry-after") ?? 0));
}
