"""Added latency and time to the first picture, taken by tests/bench/tools/latency, which stands on both sides of the agent."""
import contextlib
import json
import os
import random
import statistics
import subprocess
import tempfile
import time

from peers.ours import LOGIN, Agent, Cloud
from peers.process import Failed

from .clip import clip
from .subjects import TOOLS, Camera, agent_program


class Probe:
    """The two proxies and their stopwatch."""

    def __init__(self, stack, camera, server):
        target = camera.urls[0].split("/")[2]
        self.child = stack.enter_context(subprocess.Popen([os.path.join(TOOLS, "latency"), target, server],
                                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        stack.callback(self.child.kill)
        words = self.child.stdout.readline().split()
        self.camera_url = camera.urls[0].replace(target, f"127.0.0.1:{words[1]}")
        self.rtmp_url = f"rtmp://127.0.0.1:{words[3]}/live/s0"

    def ask(self, command):
        """The numbers of the answer."""
        print(command, file=self.child.stdin, flush=True)
        answer = self.child.stdout.readline().split()
        if not answer or answer[0] != command.split()[0]:
            raise Failed(f"the stopwatch answered {answer} to {command}")
        return [float(word) for word in answer[1:]]


def measure(row, seconds, starts, say):
    """Milliseconds: frame in to frame out, RTMPPublish to first key picture with a cold and a warm ring."""
    found = {}
    for warm in (False, True):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
            camera = Camera(stack, folder, clip(), 1, row)
            cloud = Cloud(stack, folder, "release")
            # The server is not nginx, which keeps Nagle's algorithm on: its answers would wait for the
            # stopwatch's acknowledgements.
            probe = Probe(stack, camera, cloud.rtmp_url("").split("/")[2])
            # The ring has to hold a whole GOP, 2 s at 4 Mbit/s, for a warm start at the newest key frame.
            ring = 'always_on = ["main"]\nring_bytes = 2097152' if warm else ""
            channel = f'backend = "rtsp"\nmain = "{probe.camera_url}"\n{ring}'
            Agent(stack, folder, cloud, [channel], program=[agent_program()], extra="[publish]\nlinger_seconds = 0\n")
            time.sleep(3)
            totals = [_start(probe, cloud) for _ in range(starts)]
            name = "warm" if warm else "cold"
            found[f"start_{name}"] = _share([total - wait for total, wait in totals])
            say(f"{row}: first key picture, {name} ring, without the camera's own wait: {found[f'start_{name}']}")
            if not warm:
                _start(probe, cloud, stop=False)
                time.sleep(1)
                found["frame"] = _frames(probe, seconds)
                say(f"{row}: frame in to frame out: {found['frame']}")
    return found


def measure_crowd(count, seconds, say):
    """Milliseconds from frame in to frame out of one of `count` channels that are all published."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        camera = Camera(stack, folder, clip(), count, "unit")
        cloud = Cloud(stack, folder, "release")
        probe = Probe(stack, camera, cloud.rtmp_url("").split("/")[2])
        urls = [probe.camera_url, *camera.urls[1:]]
        Agent(stack, folder, cloud, [f'backend = "rtsp"\nmain = "{url}"' for url in urls], program=[agent_program()],
              extra='[log]\nlevel = "warn"\n')
        for channel in range(1, count):
            cloud.publish(cloud.rtmp_url(f"s{channel}"), f"s{channel}", channel)
        time.sleep(3)
        _start(probe, cloud, stop=False)
        time.sleep(1)
        found = _frames(probe, seconds)
        say(f"x{count}: frame in to frame out: {found}")
        return found


def _frames(probe, seconds):
    count, median, p95, most, lost = probe.ask(f"frames {seconds}")
    if count < seconds * 20:
        raise Failed(f"only {count} pictures in {seconds} s came through the stopwatch")
    return {"median": median, "p95": p95, "max": most, "count": count, "lost": lost}


def _start(probe, cloud, stop=True):
    params = {"channel": 0, "quality": "hd", "url": probe.rtmp_url, "stream_id": "s0", "max_bitrate": 0}
    body = json.dumps({"login_code": LOGIN, "method": "RTMPPublish", "params": params})
    total, wait = probe.ask(f"start {cloud.page.removeprefix('http://')} {body}")
    if stop:
        time.sleep(0.5)
        cloud.stop("s0")
        # The next start comes at a random moment of a later GOP of 2 s, since the stopwatch takes each
        # picture once.
        time.sleep(2 + 2 * random.random())
    return total, wait


def _share(values):
    values = sorted(values)
    return {"median": round(statistics.median(values), 2), "max": round(values[-1], 2), "count": len(values)}
