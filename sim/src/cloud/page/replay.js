// Replay of a recording: segments as MP4, one request each, on one axis of time. Segments follow each
// other without a seam; over gaps it jumps; at the end it waits for the next.

const AHEAD = 15;
const BEHIND = 30;
const EDGE = 0.12;
/** @type {typeof MediaSource} */
const Source = Reflect.get(window, "ManagedMediaSource") ?? window.MediaSource;

export class Replay {
  #session = null;
  #origin = null; // Second 0 of the video, in microseconds since 1970.
  #segments = []; // In the order of time, in seconds of the video.
  #there = new Set();
  #hopeless = new Map();
  #source = null;
  #buffer = null;
  #mime = null;
  #wanted = 0; // Position to begin at while nothing is loaded.
  #problem = "";
  #fetched = null; // A segment that waits for those before it to be played.
  #busy = false;

  /** `show(state, notice)` draws. */
  constructor(video, show) {
    this.video = video;
    this.show = show;
    video.disableRemotePlayback = true;
    video.addEventListener("error", () => {
      if (this.#source) this.#start(null, 0, `the browser cannot decode this: ${video.error?.message || "no reason given"}`);
    });
    setInterval(() => this.#step(), 200);
  }

  /** The moment that is played, in microseconds since 1970; `null` while nothing is. */
  get position() {
    return this.#buffer ? this.#origin + this.video.currentTime * 1e6 : null;
  }

  /** Takes the stored segments, as the simulator lists them. */
  update(session, segments) {
    const first = Math.min(...segments.map(({ start_us }) => start_us));
    if (session !== this.#session || (segments.length && (this.#origin === null || first < this.#origin))) {
      const shift = session === this.#session && this.#origin !== null ? (this.#origin - first) / 1e6 : 0;
      const at = this.video.currentTime + shift;
      this.#session = session;
      this.#origin = segments.length ? first : null;
      this.#start(null, shift ? at : 0);
    }
    this.#segments = segments.map(({ name, start_us, duration_us }) => {
      const from = (start_us - this.#origin) / 1e6;
      return { name, from, to: from + duration_us / 1e6 };
    }).sort((a, b) => a.from - b.from);
  }

  /** Plays from the beginning of a segment. */
  seek(name) {
    const segment = this.#segments.find((one) => one.name === name);
    if (!segment) return;
    this.#hopeless.delete(name);
    if (this.#buffer) this.#jump(segment.from);
    else this.#start(null, segment.from);
    this.video.play().catch(() => {}); // A browser may refuse this until a person uses the controls.
  }

  // Begins anew at a position, with another type or with none yet.
  #start(mime, at, problem = "") {
    this.#there.clear();
    if (!mime) this.#fetched = null; // Its place on the timeline may have changed.
    this.#mime = mime;
    this.#buffer = null;
    this.#wanted = at;
    this.#problem = problem;
    if (this.#source) {
      this.#source = null;
      this.video.removeAttribute("src");
      this.video.load();
    }
    if (!mime) return null;
    const source = new Source();
    this.#source = source;
    this.video.src = URL.createObjectURL(source);
    return new Promise((resolve) => {
      source.addEventListener("sourceopen", () => {
        URL.revokeObjectURL(this.video.src);
        if (source !== this.#source) return resolve(false);
        this.#buffer = source.addSourceBuffer(mime);
        this.#jump(at);
        this.video.play().catch(() => {});
        resolve(true);
      }, { once: true });
    });
  }

  #jump(at) {
    this.#extend();
    this.video.currentTime = at + 0.001;
  }

  // A position behind the end would be cut back to it.
  #extend() {
    const end = this.#segments.at(-1)?.to ?? 0;
    if (this.#source?.readyState === "open" && !this.#buffer?.updating && !(this.#source.duration >= end)) this.#source.duration = end;
  }

  async #step() {
    this.#tell();
    if (this.#busy || this.#problem || !this.#segments.length) return;
    this.#busy = true;
    try {
      this.#extend();
      await this.#forget();
      const next = this.#next();
      if (next) await this.#load(next);
      this.#skipHole();
    } catch (error) {
      this.#problem = `replay: ${error.message}`;
    } finally {
      this.#busy = false;
    }
  }

  get #at() {
    return this.#buffer ? this.video.currentTime : this.#wanted ?? 0;
  }

  // The first segment from here on that is not loaded yet, unless enough is loaded.
  #next() {
    const at = this.#at;
    const coming = this.#segments.filter(({ name, to }) => to > at + 0.01 && !this.#hopeless.has(name));
    const next = coming.find(({ name }) => !this.#there.has(name));
    const enough = coming.some(({ name }) => this.#there.has(name)) && next && next.from > at + AHEAD;
    return enough ? null : next;
  }

  async #load({ name, from, to }) {
    if (this.#fetched?.name !== name) this.#fetched = await this.#fetch(name);
    if (!this.#fetched) return;
    const { mime, data } = this.#fetched;
    if (mime !== this.#mime) {
      // With another picture or codec, the part before is played to its end first.
      if (this.#buffer && this.#left() > EDGE) return;
      const at = this.#at;
      if (!await this.#start(mime, at > from && at < to ? at : from)) return;
    }
    this.#fetched = null;
    await this.#append(data);
    this.#there.add(name);
  }

  // Null when the segment cannot be had, or this browser cannot play it.
  async #fetch(name) {
    const session = this.#session;
    const path = [session, name].map(encodeURIComponent).join("/");
    const response = await fetch(`/replay/${path}?origin_us=${this.#origin}`);
    const mime = response.headers.get("content-type");
    if (session !== this.#session) return null;
    if (!response.ok) this.#hopeless.set(name, await response.text());
    else if (!Source) this.#hopeless.set(name, "this browser has no Media Source Extensions");
    else if (!Source.isTypeSupported(mime)) {
      this.#hopeless.set(name, `this browser cannot play ${mime.includes("hvc1") ? "H.265" : "this segment"} (${mime})`);
    } else return { name, mime, data: await response.arrayBuffer() };
    return null;
  }

  async #append(data) {
    try {
      this.#buffer.appendBuffer(data);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      await this.#remove(Math.max(0, this.video.currentTime - 1));
      this.#buffer.appendBuffer(data);
    }
    await this.#updated();
  }

  // Seconds that can be played from here without a hole.
  #left() {
    const { buffered, currentTime } = this.video;
    for (let n = 0; n < buffered.length; n++) {
      if (buffered.start(n) - EDGE <= currentTime && currentTime < buffered.end(n)) return buffered.end(n) - currentTime;
    }
    return 0;
  }

  // Goes on behind a hole, once the segment behind it is there.
  #skipHole() {
    const { buffered, currentTime, seeking } = this.video;
    if (!this.#buffer || seeking || this.#left() > EDGE) return;
    for (let n = 0; n < buffered.length; n++) {
      if (buffered.start(n) > currentTime) return this.#jump(buffered.start(n));
    }
  }

  async #forget() {
    const { buffered, currentTime } = this.video;
    if (this.#buffer && buffered.length && currentTime - buffered.start(0) > 2 * BEHIND) await this.#remove(currentTime - BEHIND);
  }

  async #remove(until) {
    if (until <= 0) return;
    this.#buffer.remove(0, until);
    await this.#updated();
    for (const { name, from } of this.#segments) if (from < until) this.#there.delete(name);
  }

  #updated() {
    const { updating } = this.#buffer;
    return updating && new Promise((resolve) => this.#buffer.addEventListener("updateend", resolve, { once: true }));
  }

  #tell() {
    const at = this.#at;
    const here = this.#segments.find(({ from, to }) => from - EDGE <= at && at < to - EDGE);
    const notice = [...this.#hopeless].slice(-1).map(([name, why]) => `${name}: ${why}`)[0] ?? "";
    this.show(this.#state(here), this.#problem ? "" : notice);
  }

  #state(here) {
    if (this.#problem) return this.#problem;
    if (!this.#segments.length) return "nothing stored yet";
    if (here && this.#hopeless.has(here.name)) return this.#hopeless.get(here.name);
    if (!this.#buffer || (here && this.#left() <= EDGE)) return "loading";
    if (this.video.paused) return "paused";
    return here ? "playing" : "waiting for the next segment";
  }
}
