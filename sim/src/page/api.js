// The JSON API of the simulator.

/** Asks `/api/…`, by POST when there is a body. Throws the simulator's error text. */
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
  } catch { /* The error is plain text. */ }
  throw new Error(why || `HTTP status ${response.status}`);
}
