// Whether a technician is led through the setup.

import { call } from "/parts/api.js";

/** Whether the wizard was finished or skipped, or cannot be asked for. */
export async function isSkipped() {
  const { finished = true } = await call("GET", "/wizard", undefined, { seconds: 5 }).catch(() => ({}));
  return finished;
}
