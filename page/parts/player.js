// Live play: fragmented MP4 from a WebSocket into Media Source Extensions.

const MAX_BEHIND = 2;
const MAX_BEHIND_PAUSED = 30;
const TARGET_BEHIND = 0.3;
const KEEP_BEHIND = 15;
const MAX_QUEUED = 32 << 20;
const RETRY_MS = 1000;
/** @type {typeof MediaSource} */
const Source = Reflect.get(window, "ManagedMediaSource") ?? window.MediaSource;

export class Player {
  #key = null;
  #socket = null;
  #source = null;
  #buffer = null;
  #queue = [];
  #queued = 0;
  #stats = null;
  #quiet = 0;
  #problem = null;
  #retry = null;

  /** `show(state, notice)` and `showStats(rows)` draw. */
  constructor(video, { show, showStats }) {
    this.video = video;
    this.show = show;
    this.showStats = showStats;
    video.disableRemotePlayback = true;
    video.addEventListener("error", () => {
      if (!this.#source) return;
      this.#problem = `the browser cannot decode this stream: ${video.error?.message || "no reason given"}`;
      this.#detach();
      this.#tell();
    });
    setInterval(() => this.#follow(), 250);
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
    this.#detach();
    this.#problem = null;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/play/${encodeURIComponent(this.#key)}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      if (typeof data === "string") this.#hear(JSON.parse(data));
      else this.#append(data);
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
    if (message.init) this.#attach(message.init.mime);
    if (message.stats) this.#count(message.stats);
  }

  #attach(mime) {
    this.#detach();
    this.#problem = null;
    if (!mime) {
      this.#problem = "nothing here that a browser can play: G.711 sound without a picture";
    } else if (!Source) {
      this.#problem = "this browser has no Media Source Extensions";
    } else if (!Source.isTypeSupported(mime)) {
      const codec = mime.includes("hvc1") ? "H.265" : "this stream";
      this.#problem = `this browser cannot play ${codec} (${mime})`;
    } else {
      const source = new Source();
      this.#source = source;
      this.video.src = URL.createObjectURL(source);
      source.addEventListener("sourceopen", () => {
        URL.revokeObjectURL(this.video.src);
        if (source !== this.#source) return;
        this.#buffer = source.addSourceBuffer(mime);
        this.#buffer.addEventListener("updateend", () => this.#pump());
        this.#pump();
      }, { once: true });
      this.video.play().catch(() => {}); // A browser may refuse this until a person uses the controls.
    }
    this.#tell();
  }

  #detach() {
    this.#queue = [];
    this.#queued = 0;
    this.#buffer = null;
    if (!this.#source) return;
    this.#source = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  #append(data) {
    if (!this.#source) return;
    this.#queue.push(data);
    this.#queued += data.byteLength;
    if (this.#queued > MAX_QUEUED) this.#connect();
    else this.#pump();
  }

  #pump() {
    if (!this.#buffer || this.#buffer.updating || !this.#queue.length) return;
    const whole = new Uint8Array(this.#queued);
    let at = 0;
    for (const part of this.#queue) {
      whole.set(new Uint8Array(part), at);
      at += part.byteLength;
    }
    try {
      this.#buffer.appendBuffer(whole);
      this.#queue = [];
      this.#queued = 0;
    } catch (error) {
      if (error.name === "QuotaExceededError") this.#trim(1);
      else this.#connect();
    }
  }

  // Removes the pictures shown; the rest of the queue is appended when that is done.
  #trim(keep) {
    const { buffered, currentTime } = this.video;
    if (!this.#buffer || this.#buffer.updating || !buffered.length) return;
    if (currentTime - buffered.start(0) > keep) this.#buffer.remove(0, currentTime - keep / 2);
  }

  // Stays near the live edge, and jumps over the holes of lost frames.
  #follow() {
    const { buffered, currentTime, seeking, paused } = this.video;
    if (!this.#source || !buffered.length || seeking) return;
    const start = buffered.start(buffered.length - 1);
    const end = buffered.end(buffered.length - 1);
    if (currentTime < start || end - currentTime > (paused ? MAX_BEHIND_PAUSED : MAX_BEHIND)) {
      this.video.currentTime = Math.max(start, end - TARGET_BEHIND);
    }
    this.#trim(2 * KEEP_BEHIND);
    this.#tell();
  }

  #count(stats) {
    const before = this.#stats;
    this.#stats = { ...stats, at: performance.now() };
    this.#quiet = before && stats.frames === before.frames ? this.#quiet + 1 : 0;
    const seconds = before ? (this.#stats.at - before.at) / 1000 : 0;
    const rate = (name) => (seconds ? (stats[name] - before[name]) / seconds : 0);
    const quality = this.video.getVideoPlaybackQuality?.();
    const { buffered, currentTime } = this.video;
    const behind = buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : null;
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
    const notice = stats?.audio?.startsWith("G.711") && this.#source
      ? `Sound is ${stats.audio}: browsers cannot play it here, so only the picture is played.` : "";
    this.show(state ?? this.#state(stats), notice);
  }

  #state(stats) {
    if (!stats) return "connecting";
    if (!stats.live) return stats.publishes ? `stream ended: ${stats.ended ?? "publisher gone"}; waiting for the next` : "waiting for a publisher";
    if (this.#problem) return this.#problem;
    if (!this.#source || !this.video.buffered.length) return "waiting for key frame";
    if (this.#quiet >= 3) return `stalled: no frame for ${this.#quiet} s`;
    return this.video.paused ? "paused" : "playing";
  }
}
