"""CPU of a recording: the agent against `ffmpeg -f hls -method PUT`, to the same server; and what recording adds to publishing."""
import contextlib
import tempfile
import time

from peers.ours import Agent, Cloud
from peers.process import Failed, Process, wait_for
from peers.sinks import Nginx

from .clip import clip
from .meter import Window, memory
from .rounds import repeat
from .subjects import Camera, agent_program

# Length of a segment in seconds, as clouds ask for. A first segment must be on its way before anything is
# measured.
SEGMENT = 10
WARM_UP = SEGMENT + 5
# Least share of the clip's 4.1 Mbit/s that must arrive. What arrives in a window is off by up to a segment.
LEAST = 0.6
# How many segments wait while the service is away: as many as `Cloud.record` allows.
COUNT = 3
FULL_SEGMENT = 8
BYTES = 4.1e6 / 8
NO_LIMIT = '[log]\nlevel = "warn"\n[runtime]\nmemory_limit = 4294967296\n'


class Recorder:
    """The agent, asked to record every channel, to publish it, or both."""

    def __init__(self, stack, folder, camera, record=True, publish=False):
        self.cloud = Cloud(stack, folder, "release", "--record-bodies", "count")
        channels = [f'backend = "rtsp"\nmain = "{url}"' for url in camera.urls]
        agent = Agent(stack, folder, self.cloud, channels, program=[agent_program()], extra=NO_LIMIT)
        self.pids = [agent.process.pid]
        self.server = Nginx(stack, folder, record=False) if publish else None
        self.records = record
        for channel in range(len(channels)):
            if publish:
                self.cloud.publish(self.server.url(f"s{channel}"), f"s{channel}", channel)
            if record:
                self.cloud.record(f"r{channel}", channel, SEGMENT)

    def received(self):
        if not self.records:
            return None
        return sum(recording["bytes"] for recording in self.cloud.get("/api/recordings"))


class Hls:
    """`ffmpeg -c copy -f hls -method PUT`, one process per stream."""

    def __init__(self, stack, folder, camera):
        self.cloud = Cloud(stack, folder, "release")
        self.pids = [stack.enter_context(Process(f"ffmpeg-{n}", [
            "ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-c", "copy", "-f", "hls", "-hls_time", str(SEGMENT),
            "-http_persistent", "1", "-method", "PUT", f"{self.cloud.page}/sink/{n}/index.m3u8",
        ], folder)).pid for n, url in enumerate(camera.urls)]

    def received(self):
        return self.cloud.get("/api/sink")["bytes"]


RECORDERS = {"agent": Recorder, "ffmpeg": Hls}
TOGETHER = {
    "publish": lambda *where: Recorder(*where, record=False, publish=True),
    "both": lambda *where: Recorder(*where, publish=True),
}


def measure(count, rounds, seconds, say):
    """The medians at one number of channels, by recorder."""
    return _compare(RECORDERS, count, rounds, seconds, say)


def measure_together(count, rounds, seconds, say):
    """The medians of publishing alone and of publishing and recording the same streams."""
    return _compare(TOGETHER, count, rounds, seconds, say)


def measure_memory(say):
    """MiB that a session takes while its service is away and its backlog is full, and what its segments have."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        camera = Camera(stack, folder, clip(), 1, "unit")
        cloud = Cloud(stack, folder, "release", "--record-bodies", "count")
        channel = f'backend = "rtsp"\nmain = "{camera.urls[0]}"\nalways_on = ["main"]'
        agent = Agent(stack, folder, cloud, [channel], program=[agent_program()], extra=NO_LIMIT)
        # The first recording also pays for what all later sessions share.
        cloud.record("warm", 0, 2)
        wait_for("a segment", lambda: stored(cloud, "warm"), 30)
        cloud.call("StopCloudRecord", {"session_id": "warm", "channel": 0})
        time.sleep(WARM_UP)
        before = memory([agent.process.pid])[0]
        cloud.record_faults({"put": {"fault": {"status": 503}}})
        cloud.record("full", 0, FULL_SEGMENT)
        most, end = 0, time.monotonic() + FULL_SEGMENT * (COUNT + 4)
        while time.monotonic() < end:
            most = max(most, memory([agent.process.pid])[0])
            time.sleep(0.2)
        size = max(s["size"] for s in cloud.recording("full")["segments"]) / 2**20
        say(f"record memory: {most - before:.1f} MiB for {COUNT} segments of {size:.2f} MiB")
        return {"count": COUNT, "size": size, "taken": most - before}


def stored(cloud, session):
    return [s for s in cloud.recording(session)["segments"] if s["state"] in ("uploaded", "confirmed")]


def _compare(subjects, count, rounds, seconds, say):
    # A window of whole segments, since uploads are part of the cost.
    seconds = -(-seconds // SEGMENT) * SEGMENT

    def one(name, _turn):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
            camera = Camera(stack, folder, clip(), count, "unit")
            recorder = subjects[name](stack, folder, camera)
            time.sleep(WARM_UP)
            return _window(name, recorder, count, seconds)

    return repeat(subjects, rounds, one, lambda text: say(f"record x{count} {text}"))


def _window(name, recorder, count, seconds):
    before, began = recorder.received(), time.monotonic()
    window = Window(recorder.pids)
    time.sleep(seconds)
    figures = window.close(count)
    if before is not None:
        share = (recorder.received() - before) / (BYTES * count * (time.monotonic() - began))
        if share < LEAST:
            raise Failed(f"{name}: {share:.0%} of what was recorded arrived: the figure would be worth nothing")
    return figures
