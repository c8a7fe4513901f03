// Plays fragmented MP4 as it comes, close to now, by Media Source Extensions. Where it comes from is a feed's business.

/** Seconds behind the newest picture: what is aimed at, from where on the play is faster, and from where on it jumps. */
const TARGET_BEHIND = 0.2;
const FAST_BEHIND = 0.45;
const MAX_BEHIND = 1;
const MAX_BEHIND_PAUSED = 30;
const FAST_RATE = 1.15;
/** Seconds of shown pictures that are kept. */
const KEEP_BEHIND = 15;
const MAX_QUEUED = 32 << 20;
const FOLLOW_MS = 200;
const Source = /** @type {typeof MediaSource | undefined} */ (/** @type {any} */ (window).ManagedMediaSource ?? window.MediaSource);

/**
 * What a player does. `idle`: nothing is to be played. `waiting`: no picture has come. `unsupported`: the browser has no Media
 * Source Extensions. `unplayable`: the browser does not know this type. `undecodable`: the browser gave up.
 * @typedef {"idle" | "waiting" | "playing" | "paused" | "unsupported" | "unplayable" | "undecodable"} PlayerState
 */

/** A stream in a `video` element. */
export class Player {
  /** @type {MediaSource | null} */
  #source = null;
  /** @type {SourceBuffer | null} */
  #buffer = null;
  /** @type {Uint8Array[]} */
  #queue = [];
  #queued = 0;
  /** @type {PlayerState | null} */
  #problem = null;
  /** @type {() => void} */
  #overflow;

  /**
   * @param {HTMLVideoElement} video
   * @param {{ change: () => void, overflow: () => void, signal?: AbortSignal }} options `change` is called often: the state may
   *   be another one. `overflow`: the browser takes no more, so that the stream has to begin anew.
   */
  constructor(video, { change, overflow, signal }) {
    this.video = video;
    this.change = change;
    this.#overflow = overflow;
    /** Why the browser gave up, in its own words. */
    this.reason = "";
    video.disableRemotePlayback = true;
    video.addEventListener("error", () => {
      if (!this.#source) return;
      this.reason = video.error?.message ?? "";
      this.#fail("undecodable");
    });
    const timer = setInterval(() => this.#follow(), FOLLOW_MS);
    signal?.addEventListener("abort", () => {
      clearInterval(timer);
      this.stop();
    }, { once: true });
  }

  /** @returns {PlayerState} */
  get state() {
    if (this.#problem) return this.#problem;
    if (!this.#source) return "idle";
    if (!this.video.buffered.length) return "waiting";
    return this.video.paused ? "paused" : "playing";
  }

  /** When the newest picture that came ends, on the player's time; `null` without a picture. */
  get newest() {
    const { buffered } = this.video;
    return buffered.length ? buffered.end(buffered.length - 1) : null;
  }

  /** How many seconds the picture is behind the newest one that came; `null` without a picture. */
  get behind() {
    const end = this.newest;
    return end === null ? null : Math.max(0, end - this.video.currentTime);
  }

  /**
   * Begins a stream of this type, such as `video/mp4; codecs="avc1.640028"`. False if the browser cannot play it.
   * @param {string} type
   */
  begin(type) {
    this.stop();
    if (!Source) this.#problem = "unsupported";
    else if (!Source.isTypeSupported(type)) this.#problem = "unplayable";
    else this.#attach(new Source(), type);
    this.change();
    return this.#problem === null;
  }

  /**
   * Takes the next bytes of the stream.
   * @param {Uint8Array} bytes
   */
  take(bytes) {
    if (!this.#source) return;
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
    if (this.#queued > MAX_QUEUED) this.#overflow();
    else this.#pump();
  }

  /** Ends the stream; the last picture goes. */
  stop() {
    this.#queue = [];
    this.#queued = 0;
    this.#buffer = null;
    this.#problem = null;
    if (!this.#source) return;
    this.#source = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  /**
   * @param {MediaSource} source
   * @param {string} type
   */
  #attach(source, type) {
    this.#source = source;
    const address = URL.createObjectURL(source);
    this.video.src = address;
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(address);
      if (source !== this.#source) return;
      this.#buffer = source.addSourceBuffer(type);
      this.#buffer.addEventListener("updateend", () => this.#pump());
      this.#pump();
    }, { once: true });
    this.video.play().catch(() => {}); // A browser may refuse this until a person uses the controls.
  }

  /** @param {PlayerState} problem */
  #fail(problem) {
    this.stop();
    this.#problem = problem;
    this.change();
  }

  #pump() {
    if (!this.#buffer || this.#buffer.updating || !this.#queue.length) return;
    const whole = new Uint8Array(this.#queued);
    let at = 0;
    for (const part of this.#queue) {
      whole.set(part, at);
      at += part.byteLength;
    }
    try {
      this.#buffer.appendBuffer(whole);
      this.#queue = [];
      this.#queued = 0;
    } catch (error) {
      if (error instanceof DOMException && error.name === "QuotaExceededError") this.#trim(1);
      else this.#overflow();
    }
  }

  /**
   * Removes the pictures shown; the rest of the queue is appended when that is done.
   * @param {number} keep seconds
   */
  #trim(keep) {
    const { buffered, currentTime } = this.video;
    if (!this.#buffer || this.#buffer.updating || !buffered.length) return;
    if (currentTime - buffered.start(0) > keep) this.#buffer.remove(0, currentTime - keep / 2);
  }

  /** Stays near the live edge, and jumps over the holes of lost frames. */
  #follow() {
    const { buffered, currentTime, seeking, paused } = this.video;
    const end = this.newest;
    if (this.#source && end !== null && !seeking) {
      const start = buffered.start(buffered.length - 1);
      const behind = end - currentTime;
      if (currentTime < start || behind > (paused ? MAX_BEHIND_PAUSED : MAX_BEHIND)) {
        this.video.currentTime = Math.max(start, end - TARGET_BEHIND);
      }
      this.video.playbackRate = behind > FAST_BEHIND ? FAST_RATE : behind < TARGET_BEHIND ? 1 : this.video.playbackRate;
      this.#trim(2 * KEEP_BEHIND);
    }
    this.change();
  }
}
