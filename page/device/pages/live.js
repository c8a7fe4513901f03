// The live picture of each channel, its single pictures, and what moves the camera.

import { call, fetchFile } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { open } from "/parts/dialog.js";
import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { listen } from "/parts/events.js";
import { explain, makeNotice } from "/parts/notice.js";
import { Player } from "/parts/player.js";
import { language, register, t } from "/parts/text.js";
import { LiveFeed } from "../livefeed.js";
import { buildMoves } from "../moves.js";
import texts from "../texts/live.js";

register(texts);

const STORED = "live";

/**
 * @typedef {{ number: number, abilities: import("../moves.js").Abilities }} Channel
 * @typedef {{ stream: string, state: string, reason: string | null, fps: number, bitrate: number,
 *   video: { codec: string, width: number, height: number } | null,
 *   audio: { codec: string, sample_rate: number, playable: boolean } | null }} StreamFacts
 * @typedef {{ streams: StreamFacts[], viewers: number, most_viewers: number }} Facts
 */

/** @type {import("../page.js").Page} */
const page = {
  name: "live",
  async show(element, context) {
    /** @type {{ channels: Channel[] }} */
    const { channels } = await call("GET", "/live", undefined, { signal: context.signal });
    if (!channels.length) {
      const add = make("a", { className: "button", href: "#/channels", textContent: t("nav.channels") });
      element.append(makeNotice("info", t("live.no_channel")), make("p", {}, add));
      return;
    }
    const kept = remembered();
    const named = (/** @type {number} */ number) => channels.find((channel) => channel.number === number);
    const [number, stream] = context.parameters;
    const first = (number !== undefined && named(Number(number))) || named(kept.channel) || channels[0];
    const view = new View(channels, context);
    element.append(view.element);
    view.choose(/** @type {Channel} */ (first), stream ?? kept.stream);
  },
};

export default page;

/** The picture with all that belongs to it. */
class View {
  /** @type {AbortController | null} Ends what belongs to the channel that is shown. */
  #chosen = null;
  /** @type {Facts | null} */
  #facts = null;
  /** What each stream was when it was read last. @type {Map<string, StreamFacts["video"]>} */
  #videos = new Map();
  /** What is said below the picture, so that it is not said again and again. */
  #said = "";

  /**
   * @param {Channel[]} channels
   * @param {import("../page.js").Context} context
   */
  constructor(channels, context) {
    this.context = context;
    const { signal } = context;
    this.video = make("video", { muted: true, autoplay: true, playsInline: true, "aria-label": t("live.picture") });
    this.player = new Player(this.video, { change: () => this.#draw(), overflow: () => this.feed.again(true), signal });
    this.feed = new LiveFeed(this.player, { change: () => this.#draw(), signal });
    this.channels = make("select", { name: "channel" }, ...channels.map(({ number }) =>
      make("option", { value: String(number), textContent: t("live.channel_number", { number }) })));
    this.streams = make("select", { name: "stream" }, ...["main", "sub"].map((stream) =>
      make("option", { value: stream, textContent: t(`live.${stream}`) })));
    this.state = make("p", { className: "state", role: "status" });
    this.notice = make("div", { className: "trouble", role: "alert" });
    this.behind = make("span", { className: "behind" });
    this.facts = make("div");
    this.sound = makeButton(t("live.sound"), () => this.#watch(this.streams.value, !this.feed.wanted?.sound));
    this.snapshot = makeButton(t("live.snapshot"), () => this.#snapshot());
    this.full = makeButton(t("live.full"), () => this.#enlarge());
    const buttons = make("div", { className: "buttons" }, this.snapshot, this.sound, this.full);
    this.moves = make("div");
    const panel = makePanel(t("live.picture"),
      make("div", { className: "chosen" }, channels.length > 1 && make("label", {}, t("live.channel"), this.channels),
        make("label", {}, t("live.stream"), this.streams)),
      this.video, make("div", { className: "below" }, this.state, this.behind), this.notice, buttons, this.facts);
    this.element = make("div", { className: "live" }, panel, this.moves);

    const chosen = () => /** @type {Channel} */ (channels.find(({ number }) => number === Number(this.channels.value)));
    this.channels.addEventListener("change", () => this.choose(chosen(), this.streams.value));
    this.streams.addEventListener("change", () => this.#watch(this.streams.value, false));
  }

  /**
   * Shows another channel.
   * @param {Channel} channel
   * @param {string} stream
   */
  choose(channel, stream) {
    this.#chosen?.abort();
    const chosen = new AbortController();
    this.#chosen = chosen;
    this.context.signal.addEventListener("abort", () => chosen.abort(), { once: true, signal: chosen.signal });
    this.channel = channel;
    this.channels.value = String(channel.number);
    this.#facts = null;
    this.#videos.clear();
    fill(this.facts);
    for (const option of this.streams.options) option.hidden = option.disabled = false;
    this.#watch(stream === "sub" ? "sub" : "main", false);
    this.#listen(`/channels/${channel.number}/live/events`, chosen.signal);
    fill(this.moves, buildMoves(channel.number, channel.abilities, chosen.signal));
  }

  /**
   * @param {string} path
   * @param {AbortSignal} signal
   */
  #listen(path, signal) {
    const stop = listen(path, {
      state: (facts) => {
        if (signal.aborted) return;
        this.#facts = facts;
        this.#tell();
      },
    });
    signal.addEventListener("abort", stop, { once: true });
  }

  /**
   * @param {string} stream
   * @param {boolean} sound
   */
  #watch(stream, sound) {
    const channel = this.channel?.number ?? 0;
    this.streams.value = stream;
    this.video.muted = !sound;
    this.feed.open({ channel, stream, sound });
    try {
      localStorage.setItem(STORED, JSON.stringify({ channel, stream }));
    } catch { /* The browser keeps nothing. */ }
    this.#tell();
  }

  /** The facts of the stream that is shown. */
  get #stream() {
    return this.#facts?.streams.find(({ stream }) => stream === this.feed.wanted?.stream);
  }

  /** Draws what the device tells. */
  #tell() {
    const streams = this.#facts?.streams;
    if (streams?.length) {
      for (const option of this.streams.options) {
        option.hidden = option.disabled = !streams.some(({ stream }) => stream === option.value);
      }
    }
    const sound = this.feed.wanted?.sound ?? false;
    const { audio, fps, bitrate } = this.#stream ?? {};
    for (const known of streams ?? []) if (known.video) this.#videos.set(known.stream, known.video);
    const video = this.#videos.get(this.streams.value);
    this.sound.setAttribute("aria-pressed", String(sound));
    const number = new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { maximumFractionDigits: 1 });
    fill(this.facts, this.#stream && makeFacts([
      [t("live.codec"), video ? `${video.codec}, ${video.width} × ${video.height}` : "–"],
      [t("live.rate"), `${number.format(fps ?? 0)} fps, ${number.format((bitrate ?? 0) / 1000)} kbit/s`],
      [t("live.sound"), !audio ? t("part.none") : audio.playable ? `${audio.codec}, ${audio.sample_rate} Hz` : t("live.no_sound", { codec: audio.codec })],
      [t("live.viewers"), t("live.of", { n: this.#facts?.viewers ?? 0, most: this.#facts?.most_viewers ?? 0 })],
    ]));
    this.#draw();
  }

  /** Draws what the player does; called several times a second. */
  #draw() {
    const { state, behind } = this.player;
    const trouble = this.feed.trouble;
    const failed = this.#stream?.state === "failed" ? this.#stream.reason : null;
    this.behind.textContent = state === "playing" && behind !== null && !failed ? t("live.behind", { seconds: behind.toFixed(1) }) : "";
    const shows = ["playing", "paused"].includes(state);
    const said = JSON.stringify([this.feed.silent, trouble?.code, trouble?.message, state, failed, this.feed.type, this.channel?.number, this.#stream?.audio]);
    if (said === this.#said) return;
    this.#said = said;
    this.sound.hidden = !shows || !this.#stream?.audio?.playable;
    this.full.hidden = !shows;
    this.snapshot.hidden = !shows && !this.channel?.abilities.snapshot;
    fill(this.state, this.#badge(Boolean(trouble || failed)));
    fill(this.notice, ...this.#trouble(failed));
  }

  /** @param {boolean} failed */
  #badge(failed) {
    const { state } = this.player;
    if (failed) return makeBadge("bad", t("live.state_none"));
    if (state === "playing") return makeBadge("good", t("live.state_playing"));
    if (state === "paused") return makeButton(t("live.play"), () => this.video.play(), { kind: "go" });
    return ["unsupported", "unplayable", "undecodable"].includes(state) ? makeBadge("bad", t("live.state_none")) : makeBadge("off", t("live.state_waiting"));
  }

  /**
   * Why there is no picture, and what to do.
   * @param {string | null} failed
   * @returns {import("/parts/dom.js").Child[]}
   */
  #trouble(failed) {
    const { trouble, type } = this.feed;
    const { state, reason } = this.player;
    if (trouble) {
      const own = trouble.message !== explain(trouble) && make("p", { className: "hint", textContent: trouble.message });
      return [makeNotice("bad", explain(trouble)), own, makeButton(t("live.again"), () => this.feed.again())];
    }
    if (failed) return [makeNotice("bad", t("error.camera_offline")), make("p", { className: "hint", textContent: failed })];
    if (state === "unsupported") return [makeNotice("bad", t("live.unsupported"))];
    if (state === "undecodable") return [makeNotice("bad", t("live.undecodable")), make("p", { className: "hint", textContent: reason }), this.#offerSub()];
    if (state !== "unplayable") return [this.feed.silent && makeNotice("info", t("live.silent"))];
    const h265 = /hvc1|hev1/.test(type);
    return [makeNotice("warn", h265 ? t("live.h265") : t("live.unplayable", { type })), this.#offerSub()];
  }

  /** The other stream is often in another codec. */
  #offerSub() {
    const has = this.#facts?.streams.some(({ stream }) => stream === "sub") ?? true;
    if (this.streams.value === "main" && has) return makeButton(t("live.take_sub"), () => this.#watch("sub", false), { kind: "go" });
    return make("p", { textContent: t("live.set_h264") });
  }

  /** Takes a picture, by the camera where it can, or else of what is shown. */
  async #snapshot() {
    const blob = this.channel?.abilities.snapshot ? await this.#camera() : await grab(this.video);
    const address = URL.createObjectURL(blob);
    const time = new Date().toISOString().replace(/[:.]/g, "-");
    const name = `channel${this.channel?.number}-${time}.jpg`;
    const { closed } = open(t("live.snapshot"), make("img", { className: "snapshot", src: address, alt: t("live.picture") }),
      make("p", {}, make("a", { className: "button", href: address, download: name, textContent: t("live.save") })));
    await closed;
    URL.revokeObjectURL(address);
  }

  async #camera() {
    return fetchFile(`/channels/${this.channel?.number}/snapshot.jpg?stream=${this.streams.value}`, { seconds: 15 });
  }

  #enlarge() {
    const video = /** @type {HTMLVideoElement & { webkitEnterFullscreen?: () => void }} */ (this.video);
    return video.requestFullscreen ? video.requestFullscreen() : video.webkitEnterFullscreen?.();
  }
}

/**
 * The picture that a video shows, as JPEG.
 * @param {HTMLVideoElement} video
 * @returns {Promise<Blob>}
 */
function grab(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(t("live.nothing_shown")))), "image/jpeg", 0.9);
  });
}

/** @returns {{ channel: number, stream: string }} */
function remembered() {
  try {
    const { channel, stream } = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return { channel: Number(channel ?? 0), stream: stream === "sub" ? "sub" : "main" };
  } catch {
    return { channel: 0, stream: "main" };
  }
}
