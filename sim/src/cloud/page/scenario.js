// Records what is done by hand as a scenario.

import { api } from "/page/api.js";

/** Serves the button that records for the device `code`, the link to the file, and the words on how much there is.
 * @param {string} code
 * @param {{ record: HTMLElement, file: HTMLAnchorElement, state: HTMLElement }} parts
 * @param {(text: string, bad?: boolean) => void} report */
export function startScenario(code, { record, file, state }, report) {
  const query = `login_code=${encodeURIComponent(code)}`;
  file.href = `/api/script.toml?${query}`;
  let on = false;
  const show = (kept) => {
    on = kept.on;
    record.setAttribute("aria-pressed", String(on));
    record.textContent = on ? "Stop recording" : "Record as scenario";
    file.hidden = kept.acts === 0;
    const left = kept.left_out ? `, ${kept.left_out} more left out` : "";
    const text = on || kept.acts ? `${on ? "recording: " : ""}${kept.acts} steps${left}` : "";
    if (state.textContent !== text) state.textContent = text;
  };
  const refresh = () => api(`script?${query}`).then(show).catch(() => {});
  record.addEventListener("click", async () => {
    try {
      show(await api("script", { login_code: code, on: !on }));
    } catch (error) {
      report(`scenario: ${error.message}`, true);
    }
  });
  refresh();
  setInterval(() => { if (on) refresh(); }, 1000);
}
