"""Cameras as they are in the field: each mode of `quirks.tsv` is a quirk of `camera-sim`, and what must come of it. Here the
agent publishes and records one; `received.py` judges what came.

`quirks.tsv` has a line a mode. Its name; what is expected; and of a mode that was reported, what came of it when the agent read
cameras by a library, the report, and what the camera does. Expected, in words:

- `clip=NAME` is shown instead of the built-in one, `sound=CODEC` or `none` comes instead of AAC;
- `udp` is asked for, `login` is asked by the camera, `arg=SECONDS` goes to the quirk, `seconds=N` is watched;
- `connections=N` may be used at a time, `plays=N` streams asked for, `lossy=SHARE` of the pictures must come at least, `clocked`
  counts from the sixth second on;
- `poor_sound` lacks pieces; `breaks=N` segments may be marked as not following the one before, where the camera's clock jumps;
- `log=PATTERN` must be in the agent's log, `refused=PATTERN` must be told to the cloud, and no picture may come.
"""
import contextlib
import csv
import dataclasses
import json
import os
import re
import subprocess
import threading
import time
import urllib.request

from .cameras import PASSWORD, USER
from .ours import LOGIN, Agent, Camera, Cloud
from .paths import FIXTURES, INTEROP, built
from .process import Failed, wait_for
from .rtmp import RtmpSink, write_flv

DATA = os.path.join(INTEROP, "quirks.tsv")
# Seconds for which a camera is watched: a reported one, another one, and one whose clock must be found out first.
REPORTED, OTHERS, CLOCKED = 8, 7, 14
SEGMENT = 2
SESSION = "recording-of-22-bytes-"
# Seconds from a request that failed to the next one of an impatient cloud.
AGAIN = 3
# Names of the modes without a quirk.
CONTROLS = {"ok", "ok_udp", "ok_hevc"}


@dataclasses.dataclass(frozen=True)
class Mode:
    """A line of `quirks.tsv`; `before` is empty for a mode that nobody reported."""
    name: str
    before: str
    report: str
    camera: str
    expect: dict

    @property
    def seconds(self):
        usual = CLOCKED if self.clocked else REPORTED if self.before else OTHERS
        return float(self.expect.get("seconds", usual))

    @property
    def clip(self):
        return self.expect.get("clip", "main")

    @property
    def sound(self):
        return self.expect.get("sound", "aac")

    @property
    def clocked(self):
        return "clocked" in self.expect

    @property
    def refused(self):
        return self.expect.get("refused")

    @property
    def lossy(self):
        return float(self.expect["lossy"]) if "lossy" in self.expect else None

    @property
    def connections(self):
        return int(self.expect.get("connections", 1))

    @property
    def plays(self):
        return int(self.expect.get("plays", 1))

    @property
    def breaks(self):
        return int(self.expect.get("breaks", 0))

    @property
    def log(self):
        return self.expect.get("log")


def modes():
    """All modes, beginning with the reported ones. Fails when a quirk of `camera-sim` is missing."""
    listed = subprocess.run([built("camera-sim"), "--quirks"], capture_output=True, text=True, timeout=30, check=True).stdout
    quirks = {m[1]: (m[3], m[2]) for m in re.finditer(r"^  (\w+) +(.*) \[([^]]*)\]$", listed, re.MULTILINE)}
    with open(DATA, newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE, restval=""))
    missing = set(quirks) ^ {row["mode"] for row in rows} - CONTROLS
    if missing:
        raise Failed(f"{DATA} and camera-sim --quirks differ in {sorted(missing)}")
    return [_mode(row, *quirks.get(row["mode"], ("", ""))) for row in rows]


def _mode(row, report, camera):
    words = [word.partition("=") for word in row["expect"].split() if word != "-"]
    return Mode(row["mode"], row["before"], row["report"] or report, row["camera"] or camera,
                {name: value for name, _, value in words})


def start_camera(stack, folder, mode):
    """`camera-sim` in this mode, with a control page at `control`."""
    arguments = ["--control", "127.0.0.1:0"]
    if mode.name not in CONTROLS:
        arguments += ["--quirk", "=".join([mode.name, *([mode.expect["arg"]] if "arg" in mode.expect else [])])]
    if mode.name == "ok_hevc":
        arguments += ["--main", os.path.join(FIXTURES, "hevc.flv")]
    if "login" in mode.expect:
        arguments += ["--user", USER, "--password", PASSWORD]
    camera = Camera(stack, folder, *arguments)
    camera.control = camera.process.said(r"http://127\.0\.0\.1:\d+(?=/\s)")[0]
    return camera


def channel(camera, mode):
    """The text of `[[channel]]` for a camera in this mode: its address and, if it needs one, its login."""
    lines = ['backend = "rtsp"', f'main = "{camera.url}"']
    if "login" in mode.expect:
        lines += [f'username = "{USER}"', f'password = "{PASSWORD}"']
    return "\n".join(lines + ['transport = "udp"'] * ("udp" in mode.expect))


class Watched:
    """The observations of one camera: the agent's answers, log and end, the camera's connections, `publishes` as tags, `segments` as
    the service has them, with the path of each. `began` and `ended` are by the monotonic clock."""

    def __init__(self, mode, folder, wait):
        self.mode, self.folder, self.errors, self.told = mode, folder, {}, set()
        self.over = threading.Event()
        with contextlib.ExitStack() as stack:
            self._watch(stack, wait)

    def _watch(self, stack, wait):
        camera = start_camera(stack, self.folder, self.mode)
        cloud, sink = Cloud(stack, self.folder), RtmpSink(stack)
        agent = Agent(stack, self.folder, cloud, [channel(camera, self.mode)])
        stack.callback(self.over.set)
        self.began = time.monotonic()
        calls = [("RTMPPublish", {"channel": 0, "quality": "hd", "stream_id": "s", "url": sink.url("s"), "max_bitrate": 0}),
                 ("StartCloudRecord", {"session_id": SESSION, "channel": 0, "quality": "hd", "max_bitrate": 0, "seg_duration": SEGMENT,
                                       "seg_max_size": 8 << 20, "seg_max_count": 3, "prerecord_seconds": 0, "start_ts": 0,
                                       "cbk_url": f"{cloud.page}/record/{SESSION}"})]
        threads = [threading.Thread(target=self._ask, args=(cloud, *call), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        wait(self.mode.seconds)
        self.over.set()
        self.ended = time.monotonic()
        with urllib.request.urlopen(f"{camera.control}/status", timeout=10) as status:
            counted = json.load(status)
        self.connections, self.plays = counted["connections"], counted["channels"][0]["counters"]["plays"]
        self.alive = agent.process.child.poll() is None
        if self.alive:
            self._stop(cloud)
        self.publishes = list(sink.publishes)
        self.recording = cloud.recording(SESSION)
        self.segments = sorted((s for s in self.recording["segments"] if s["state"] in ("uploaded", "confirmed")),
                               key=lambda s: s["start_us"])
        for n, segment in enumerate(self.segments):
            segment["path"] = os.path.join(self.folder, f"segment{n}.ts")
            with open(segment["path"], "wb") as out:
                out.write(cloud.object(SESSION, segment["name"]))
        agent.process.stop()
        self.log = agent.process.output()

    def _ask(self, cloud, method, params):
        """Repeats a request until it is not refused; one that is not answered yet is not repeated."""
        while not self.over.is_set():
            with contextlib.suppress(OSError, Failed):
                answer = cloud.post("/api/call", {"login_code": LOGIN, "method": method, "params": params})
                if "resp" in answer:
                    self.told.add(method)
                    return
                self.errors.setdefault(method, []).append(answer["err"])
            self.over.wait(AGAIN)

    def _stop(self, cloud):
        for method, params in (("StopCloudRecord", {"session_id": SESSION, "channel": 0}),
                               ("RTMPStopPublish", {"stream_id": "s", "channel": 0})):
            # A stream that was refused cannot be stopped.
            cloud.post("/api/call", {"login_code": LOGIN, "method": method, "params": params})
        if "StartCloudRecord" in self.told:
            with contextlib.suppress(Failed):
                wait_for("last segment", lambda: all(s["state"] == "confirmed" for s in cloud.recording(SESSION)["segments"]), 3)

    def live(self):
        """Writes each publish to a file, and yields path and tags."""
        for n, tags in enumerate(self.publishes):
            path = os.path.join(self.folder, f"live{n}.flv")
            write_flv(path, tags)
            yield path, tags
