// Brings a channel's stream from the device into the player: begins it anew when it ends, and says why there is no picture.

import { BACKGROUND, CallError, logIn, needsLogin, refusal, unreachable } from "/parts/api.js";

/** Milliseconds until a stream that failed is asked for again. */
const AGAIN_MS = 3000;
/** Cameras lock out whoever knocks too often with a wrong password. */
const AGAIN_LOGIN_MS = 30000;
/** A stream that has ended goes on with other parameters. */
const AGAIN_AT_ONCE_MS = 200;
/** Without a byte for so long, the stream is taken for lost. */
const SILENCE_MS = 10000;
/** Sound that was announced and stays away stops the picture. */
const SOUND_MS = 4000;
/** A page that nobody sees gives its stream up after this time. */
const ASLEEP_MS = 15000;

/**
 * What is to be seen.
 * @typedef {{ channel: number, stream: string, sound: boolean }} Wanted
 */

/** The stream of one channel. */
export class LiveFeed {
  /** @type {AbortController | null} */
  #run = null;
  /** @type {Wanted | null} */
  #wanted = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sleep;

  /**
   * @param {import("/parts/player.js").Player} player
   * @param {{ change: () => void, signal: AbortSignal }} options `change`: there is another trouble, or none
   */
  constructor(player, { change, signal }) {
    this.player = player;
    this.change = change;
    /** Why there is no picture. @type {CallError | null} */
    this.trouble = null;
    /** The type of the stream, such as `video/mp4; codecs="avc1.640028"`. */
    this.type = "";
    /** Whether sound was asked for and stayed away. */
    this.silent = false;
    signal.addEventListener("abort", () => this.#end(), { once: true });
    document.addEventListener("visibilitychange", () => this.#see(), { signal });
  }

  /** What is to be seen now; without sound where that stayed away. */
  get wanted() {
    return this.#wanted;
  }

  /**
   * Shows another stream, or the same one anew.
   * @param {Wanted} wanted
   * @param {boolean} [byItself] nobody has asked for it
   */
  open(wanted, byItself = false) {
    this.#wanted = wanted;
    this.#end();
    this.trouble = null;
    this.silent = false;
    const run = new AbortController();
    this.#run = run;
    this.#keep(run.signal, byItself);
    this.change();
  }

  /**
   * Begins the same stream anew.
   * @param {boolean} [byItself] nobody has asked for it
   */
  again(byItself) {
    if (this.#wanted) this.open(this.#wanted, byItself);
  }

  #end() {
    clearTimeout(this.#sleep);
    this.#run?.abort();
    this.#run = null;
    this.player.stop();
  }

  #see() {
    clearTimeout(this.#sleep);
    if (document.hidden) this.#sleep = setTimeout(() => this.#end(), ASLEEP_MS);
    else if (!this.#run) this.again();
  }

  /** @param {AbortSignal} signal @param {boolean} byItself */
  async #keep(signal, byItself) {
    for (; !signal.aborted; byItself = true) {
      let pause = AGAIN_MS;
      try {
        pause = await this.#play(signal, byItself);
      } catch (error) {
        if (signal.aborted) return;
        const trouble = error instanceof CallError ? error : unreachable();
        if (needsLogin(trouble)) {
          await logIn();
          continue;
        }
        if (trouble.code === "camera_login") pause = AGAIN_LOGIN_MS;
        this.#say(trouble);
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, pause);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve(undefined);
        }, { once: true });
      });
    }
  }

  /**
   * Plays the stream to its end, and returns after how many milliseconds it is asked for again.
   * @param {AbortSignal} signal
   * @param {boolean} byItself
   */
  async #play(signal, byItself) {
    const { channel, stream, sound } = /** @type {Wanted} */ (this.#wanted);
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop, { once: true });
    let [isLate, begun] = [false, false];
    const late = () => {
      isLate = true;
      stop();
    };
    // Asking again for a stream that the browser cannot play changes nothing.
    const rest = () => {
      stop();
      return new Promise((/** @type {(pause: number) => void} */ resolve) => {
        signal.addEventListener("abort", () => resolve(0), { once: true });
      });
    };
    let silence = setTimeout(late, 3 * SILENCE_MS);
    try {
      const path = `/api/v1/channels/${channel}/live.mp4?stream=${stream}&sound=${sound}`;
      const response = await fetch(path, { signal: attempt.signal, headers: byItself ? BACKGROUND : {} });
      if (!response.ok || !response.body) throw await refusal(response);
      this.type = response.headers.get("content-type") ?? "";
      this.#say(null);
      begun = true;
      if (!this.player.begin(this.type)) return await rest();
      const reader = response.body.getReader();
      let [newest, since] = [this.player.newest, Date.now()];
      for (;;) {
        clearTimeout(silence);
        silence = setTimeout(late, SILENCE_MS);
        const { done, value } = await reader.read();
        if (done) return AGAIN_AT_ONCE_MS;
        this.player.take(value);
        if (this.player.state === "undecodable") return await rest();
        if (this.player.newest !== newest) [newest, since] = [this.player.newest, Date.now()];
        else if (sound && Date.now() - since > SOUND_MS) {
          this.#wanted = { channel, stream, sound: false };
          this.silent = true;
          return 0;
        }
      }
    } catch (error) {
      // The browser slept, or the line did: a stream that was there is asked for once more before anybody is told.
      if (isLate && begun && !signal.aborted) return AGAIN_AT_ONCE_MS;
      throw error;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      attempt.abort();
    }
  }

  /** @param {CallError | null} trouble */
  #say(trouble) {
    this.trouble = trouble;
    this.change();
  }
}
