// What a page of the device is, and what it is shown with.

import { listen } from "/parts/events.js";

/**
 * A page, the default export of `pages/NAME.js`.
 * @typedef {object} Page
 * @property {string} name
 * @property {(element: HTMLElement, context: Context) => void | Promise<void>} show fills the element, which is empty
 */

/** What a page is shown with. It ends when the page is left, and with it all that it opened. */
export class Context {
  #ended = new AbortController();

  /**
   * @param {string[]} parameters
   * @param {import("./session.js").Session} session
   */
  constructor(parameters, session) {
    /** What stands behind the page's name in the address: `#/channels/1` has `["1"]`. */
    this.parameters = parameters;
    /** Who is logged in at which device. */
    this.session = session;
  }

  /** Is aborted when the page is left: for `call` and for listeners. */
  get signal() {
    return this.#ended.signal;
  }

  /**
   * Leads to another page, such as "channels/1".
   * @param {string} path
   */
  go(path) {
    location.hash = `#/${path}`;
  }

  /**
   * Has something done when the page is left.
   * @param {() => void} leave
   */
  onLeave(leave) {
    this.signal.addEventListener("abort", leave, { once: true });
  }

  /**
   * Listens to events of the device while the page is shown.
   * @param {string} path below `/api/v1`
   * @param {Record<string, (data: any) => void>} handlers by the name of the event
   */
  listen(path, handlers) {
    if (!this.signal.aborted) this.onLeave(listen(path, handlers));
  }

  /**
   * Does something now, and again and again while the page is shown.
   * @param {number} seconds
   * @param {() => unknown} run
   */
  every(seconds, run) {
    const timer = setInterval(run, seconds * 1000);
    this.onLeave(() => clearInterval(timer));
    run();
  }

  /** Ends it. */
  end() {
    this.#ended.abort();
  }
}
