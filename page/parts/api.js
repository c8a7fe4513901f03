// Calls to the device's interface.

import errors from "./errors.js";
import { register, t } from "./text.js";

register(errors);

const BASE = "/api/v1";
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
 * Asks the device: `call("PUT", "/settings", { … })`. The answer's JSON, `null` where it has none. A `Blob` is sent as
 * it is.
 * @param {string} method
 * @param {string} path below `/api/v1`
 * @param {any} [body]
 * @param {{ signal?: AbortSignal, seconds?: number }} [options] `seconds`: how long it may take, 30 by default
 * @returns {Promise<any>}
 * @throws {CallError}
 */
export async function call(method, path, body, options = {}) {
  for (;;) {
    try {
      return await read(await send(method, path, body, options));
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

/**
 * @param {string} method
 * @param {string} path
 * @param {any} body
 * @param {{ signal?: AbortSignal, seconds?: number }} options
 */
async function send(method, path, body, { signal, seconds = 30 }) {
  const late = AbortSignal.timeout(seconds * 1000);
  const either = new AbortController();
  for (const one of signal ? [signal, late] : [late]) {
    if (one.aborted) either.abort(one.reason);
    one.addEventListener("abort", () => either.abort(one.reason), { once: true, signal: either.signal });
  }
  /** @type {RequestInit} */
  const request = { method, signal: either.signal };
  if (body instanceof Blob) {
    request.headers = { "content-type": "application/octet-stream" };
    request.body = body;
  } else if (body !== undefined) {
    request.headers = { "content-type": "application/json" };
    request.body = JSON.stringify(body);
  }
  try {
    return await fetch(BASE + path, request);
  } catch (error) {
    if (signal?.aborted) throw error;
    if (late.aborted) throw new CallError(0, "timeout", t("error.timeout"), "");
    throw new CallError(0, "unreachable", t("error.unreachable"), "");
  }
}

/** @param {Response} response */
async function read(response) {
  if (!response.ok) throw await refusal(response);
  const text = await response.text().catch(() => "");
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
