// Who uses the page: nobody yet, somebody who has to log in, or a technician.

import { call } from "/parts/api.js";

/**
 * What the device says to everyone.
 * @typedef {object} Session
 * @property {boolean} claimed whether the device has a password
 * @property {boolean} logged_in
 * @property {boolean} [first_password] whether the password is still the one that the device came with
 */

/** @returns {Promise<Session>} */
export function askSession() {
  return call("GET", "/session", undefined, { background: true });
}

/** The device's model, and which program serves this page. Only who is logged in is told. */
export async function askDevice() {
  const { hardware_model: model, version, built } = await call("GET", "/system", undefined, { background: true });
  return { model: String(model ?? ""), program: `${version} ${built}` };
}

/** Ends the session. */
export async function logOut() {
  await call("DELETE", "/session");
}
