// Who uses the page: nobody yet, somebody who has to log in, or a technician.

import { call } from "/parts/api.js";

/**
 * What the device says to everyone.
 * @typedef {object} Session
 * @property {boolean} claimed whether the device has a password
 * @property {boolean} logged_in
 * @property {boolean} [first_password] whether the password is still the one that the device came with
 * @property {string} [name] name of the device, for who is logged in
 * @property {string} [version] of the firmware, for who is logged in
 */

/** @returns {Promise<Session>} */
export function askSession() {
  return call("GET", "/session");
}

/** Ends the session. */
export async function logOut() {
  await call("DELETE", "/session");
}
