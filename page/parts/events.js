// What the device tells by itself: server-sent events, and whether it is there at all.

const BASE = "/api/v1";
const AGAIN_MS = 2000;
const CHECK_MS = 5000;
const PATIENCE_MS = 3000;
/** A stream that lives says something within 5 s. One that is silent for so long is lost, and no browser notices: the phone was locked. */
const SILENCE_MS = 15000;

/** The streams that are open, each by what opens it again.
 * @type {Set<() => void>} */
const streams = new Set();
/** @type {() => Promise<void>} */
let explain = async () => {};
/** @type {() => void} */
let check = () => {};

/**
 * Listens to the events of a path below `/api/v1` until the returned function is called; opens the stream again when it
 * breaks. `handlers` are called by the name of the event, with its data.
 * @param {string} path
 * @param {Record<string, (data: any) => void>} handlers
 * @returns {() => void}
 */
export function listen(path, handlers) {
  /** @type {EventSource | null} */
  let source = null;
  let timer = 0;
  let heard = 0;
  /** @type {Record<string, (data: any) => void>} */
  const all = { alive: () => {}, ...handlers };
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const connect = () => {
    close();
    const mine = new EventSource(BASE + path);
    source = mine;
    heard = Date.now();
    for (const [name, handle] of Object.entries(all)) {
      mine.addEventListener(name, (event) => {
        if (mine !== source || !("data" in event)) return;
        heard = Date.now();
        handle(JSON.parse(String(event.data)));
      });
    }
    // An error of the browser has no data: the stream has broken, or was refused.
    mine.addEventListener("error", (event) => {
      if ("data" in event || mine !== source) return;
      close();
      check();
      timer = window.setTimeout(again, AGAIN_MS);
    });
  };
  const again = async () => {
    await explain().catch(() => {});
    if (streams.has(connect)) connect();
  };
  const watch = setInterval(() => {
    if (source && Date.now() - heard > SILENCE_MS) connect();
  }, CHECK_MS);
  connect();
  streams.add(connect);
  return () => {
    close();
    clearInterval(watch);
    streams.delete(connect);
  };
}

/**
 * Has `ask` called after a stream has broken and before it is opened again, such as to log in.
 * @param {() => Promise<void>} ask
 */
export function onBroken(ask) {
  explain = ask;
}

/**
 * Watches whether the device answers; `tell` is called with `true` when it is lost, and `false` when it is there again.
 * @param {(lost: boolean) => void} tell
 */
export function watchDevice(tell) {
  let lost = false;
  let checking = false;
  // A device that is nobody's answers with 401.
  const answers = () => fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) })
    .then((answer) => answer.ok || answer.status === 401, () => false);
  check = async () => {
    if (checking || document.hidden) return;
    checking = true;
    // One call may fail by chance.
    const found = await answers() || await answers();
    checking = false;
    if (found !== lost) return;
    lost = !found;
    tell(lost);
    // A stream of before may hang for minutes.
    if (found) for (const connect of streams) connect();
  };
  setInterval(() => check(), CHECK_MS);
  document.addEventListener("visibilitychange", () => check());
}
