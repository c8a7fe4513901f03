// The stream of one key, as the simulator receives it: from a WebSocket into the player, with its counters.

import { Player } from "/parts/player.js";

const RETRY_MS = 1000;

export class Published {
  #key = null;
  #socket = null;
  #stats = null;
  #quiet = 0;
  #nothing = false;
  #type = "";
  #retry = null;

  /** `show(state, notice)` and `showStats(rows)` draw. */
  constructor(video, { show, showStats }) {
    this.video = video;
    this.show = show;
    this.showStats = showStats;
    this.player = new Player(video, { change: () => this.#tell(), overflow: () => this.#connect() });
  }

  get key() {
    return this.#key;
  }

  /** Plays the stream with this key, now and whenever it is published again. */
  open(key) {
    this.#key = key;
    this.#stats = null;
    this.#connect();
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#socket?.close();
    this.player.stop();
    this.#nothing = false;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/play/${encodeURIComponent(this.#key)}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      if (typeof data === "string") this.#hear(JSON.parse(data));
      else this.player.take(new Uint8Array(data));
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.#stats = null;
      this.#tell("no connection to the simulator, trying again");
      this.#retry = setTimeout(() => this.#connect(), RETRY_MS);
    };
    this.#socket = socket;
    this.#tell();
  }

  #hear(message) {
    if (message.init) this.#begin(message.init.mime);
    if (message.stats) this.#count(message.stats);
  }

  #begin(type) {
    this.#nothing = !type;
    this.#type = type;
    if (type) this.player.begin(type);
    else this.player.stop();
    this.#tell();
  }

  #count(stats) {
    const before = this.#stats;
    this.#stats = { ...stats, at: performance.now() };
    this.#quiet = before && stats.frames === before.frames ? this.#quiet + 1 : 0;
    const seconds = before ? (this.#stats.at - before.at) / 1000 : 0;
    const rate = (name) => (seconds ? (stats[name] - before[name]) / seconds : 0);
    const quality = this.video.getVideoPlaybackQuality?.();
    const { behind } = this.player;
    this.showStats([
      ["picture", [stats.video, stats.dimensions?.join(" × ")].filter(Boolean).join(", ") || "none"],
      ["sound", stats.audio ? `${stats.audio}, ${stats.sample_rate} Hz` : "none"],
      ["pictures per second", rate("video_frames").toFixed(1)],
      ["bitrate", `${((rate("bytes") * 8) / 1000).toFixed(0)} kbit/s`],
      ["frames", `${stats.frames}, ${stats.key_frames} key`],
      ["behind live", behind === null ? "–" : `${behind.toFixed(1)} s`],
      ["not shown by browser", String(quality?.droppedVideoFrames ?? 0)],
      ["faults of the stream", `${stats.dts_violations} time, ${stats.malformed} format`],
    ]);
    this.#tell();
  }

  #tell(state) {
    const stats = this.#stats;
    const plays = ["waiting", "playing", "paused"].includes(this.player.state);
    const notice = stats?.audio?.startsWith("G.711") && plays
      ? `Sound is ${stats.audio}: browsers cannot play it here, so only the picture is played.` : "";
    this.show(state ?? this.#state(stats), notice);
  }

  #state(stats) {
    if (!stats) return "connecting";
    if (!stats.live) return stats.publishes ? `stream ended: ${stats.ended ?? "publisher gone"}; waiting for the next` : "waiting for a publisher";
    if (this.#nothing) return "nothing here that a browser can play: G.711 sound without a picture";
    switch (this.player.state) {
      case "unsupported": return "this browser has no Media Source Extensions";
      case "unplayable": return `this browser cannot play ${this.#type.includes("hvc1") ? "H.265" : "this stream"} (${this.#type})`;
      case "undecodable": return `the browser cannot decode this stream: ${this.player.reason || "no reason given"}`;
      case "idle": case "waiting": return "waiting for key frame";
      default: return this.#quiet >= 3 ? `stalled: no frame for ${this.#quiet} s` : this.player.state;
    }
  }
}
