"""The device's page: a live viewer beside an RTMP publish of the same stream, and what the agent's memory grows by while a page is open."""
import contextlib
import gzip
import http.client
import json
import re
import statistics
import tempfile
import threading
import time

from peers import ours
from peers.ours import Agent, Cloud
from peers.paths import built
from peers.process import Failed

from .clip import clip
from .meter import Window, memory
from .subjects import agent_program

PASSWORD = "bench of the page 7Q"
# Least bits per second that must arrive of the clip's 4.1 Mbit/s.
LEAST_BITRATE = 3.9e6
WARM_UP = 4
# What the page holds open beside its files.
EVENTS = "/api/v1/channels/0/live/events"


def measure(rounds, seconds, profile, say):
    """CPU seconds a second of a publish and of a viewer, each beyond those of the stream that is pulled for nobody; MiB that the resident
    set grows by for a page that is open, and for a viewer besides."""
    found = {"publish": [], "viewer": []}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        cloud = Cloud(stack, folder, profile)
        camera = ours.Camera(stack, folder, "--main", clip(), profile=profile)
        program = built("ivt-agent", profile) if profile == "debug" else agent_program()
        agent = Agent(stack, folder, cloud, [f'backend = "rtsp"\nmain = "{camera.url}"\nalways_on = ["main"]'], program=[program],
                      extra='[web]\nenable = true\nlisten = "127.0.0.1:0"\n')
        page = Page(agent.process.said(r"the page: http://(\S+?)/?\s")[1])
        pids = [agent.process.pid]
        time.sleep(WARM_UP)
        before = memory(pids)[0]
        with page.opened():
            time.sleep(1)
            grown = {"page": memory(pids)[0] - before}
            with page.viewer():
                time.sleep(WARM_UP)
                grown["viewer"] = memory(pids)[0] - before - grown["page"]
        for turn in range(rounds):
            idle = _cpu(pids, seconds)
            cloud.publish(cloud.rtmp_url(f"p{turn}"), f"p{turn}")
            time.sleep(WARM_UP)
            began = cloud.stream(f"p{turn}")["bytes"]
            found["publish"].append(_cpu(pids, seconds) - idle)
            _arrived(cloud.stream(f"p{turn}")["bytes"] - began, seconds)
            cloud.call("RTMPStopPublish", {"channel": 0, "stream_id": f"p{turn}"})
            time.sleep(1)
            with page.viewer() as viewer:
                time.sleep(WARM_UP)
                began = viewer.bytes
                found["viewer"].append(_cpu(pids, seconds) - idle)
                _arrived(viewer.bytes - began, seconds)
            time.sleep(1)
            say(f"page, round {turn + 1}: {({name: f'{costs[-1] * 100:.2f} %' for name, costs in found.items()})}")
    figures = {**{name: statistics.median(costs) for name, costs in found.items()}, "grown": grown}
    say(f"page: {figures}")
    return figures


def _cpu(pids, seconds):
    window = Window(pids)
    time.sleep(seconds)
    return window.close(1)["cpu"]


def _arrived(size, seconds):
    if size * 8 / seconds < LEAST_BITRATE:
        raise Failed(f"the stream arrived at {size * 8 / seconds / 1e6:.2f} Mbit/s, not 4: the figure would be worth nothing")


class Page:
    """The page as a browser asks for it, over connections of its own."""

    def __init__(self, host):
        self.host = host
        answer = self.ask("POST", "/api/v1/claim", json.dumps({"password": PASSWORD}), {"Content-Type": "application/json"})
        self.cookie = answer.getheader("Set-Cookie", "").split(";")[0]
        answer.read()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=30)
        own = {"Origin": f"http://{self.host}", **({"Cookie": self.cookie} if hasattr(self, "cookie") else {})}
        connection.request(method, path, body, {**own, "Accept-Encoding": "gzip", **(headers or {})})
        answer = connection.getresponse()
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status} {answer.read(300)!r}")
        return answer

    @contextlib.contextmanager
    def opened(self):
        """Loads every file of the live page, asks what it asks, and stays."""
        seen, left = set(), ["/", "/pages/live.js"]
        while left:
            path = left.pop()
            if path in seen:
                continue
            seen.add(path)
            answer = self.ask("GET", path)
            text = gzip.decompress(answer.read()).decode()
            folder = path.rsplit("/", 1)[0]
            for name in re.findall(r'(?:from |src=|href=)"([^"#]+\.(?:js|css|svg))"', text):
                left.append(_joined(folder, name))
        self.ask("GET", "/api/v1/live").read()
        with contextlib.closing(self.ask("GET", EVENTS)):
            yield

    @contextlib.contextmanager
    def viewer(self):
        """Looks at the main stream."""
        viewer = Viewer(self.ask("GET", "/api/v1/channels/0/live.mp4?stream=main"))
        try:
            yield viewer
        finally:
            viewer.stop()


def _joined(folder, name):
    """The path that a file of `folder` means by a name."""
    if name.startswith("/"):
        return name
    parts = folder.split("/")
    for part in name.split("/"):
        parts = parts[:-1] if part == ".." else parts if part == "." else parts + [part]
    return "/".join(parts)


class Viewer:
    """Reads an endless answer in a thread."""

    def __init__(self, answer):
        self.bytes, self.running = 0, True
        self.thread = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self.thread.start()

    def _read(self, answer):
        with contextlib.closing(answer):
            while self.running and (piece := answer.read1(1 << 16)):
                self.bytes += len(piece)

    def stop(self):
        self.running = False
        self.thread.join(10)
