// The JSON API of the simulator.

/** Asks `/api/…`; with a body it is a POST. Throws what the simulator says is wrong. */
export async function api(path, body) {
  const options = body && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(`/api/${path}`, options);
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  let why = text;
  try {
    why = JSON.parse(text).error ?? text;
  } catch { /* Plain text says it itself. */ }
  throw new Error(why || `HTTP status ${response.status}`);
}
