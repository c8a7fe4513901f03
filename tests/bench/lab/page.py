"""The device's page: a live viewer beside an RTMP publish of the same stream, what the agent's memory grows by while a page is open, how
soon a browser can use it, and how soon it shows an alarm."""
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
from peers.browser import Browser
from peers.ours import Agent, Cloud
from peers.paths import built
from peers.process import Failed, wait_for

from . import alarms
from .clip import clip
from .meter import Window, memory
from .subjects import agent_program

PASSWORD = "bench of the page 7Q"
# Least bits per second that must arrive of the clip's 4.1 Mbit/s.
LEAST_BITRATE = 3.9e6
WARM_UP = 4
# What the page holds open beside its files.
EVENTS = "/api/v1/channels/0/live/events"
WEB = '[web]\nenable = true\nlisten = "127.0.0.1:0"\n'
# Times that a browser opens the page, and alarms that are shown.
OPENED, ALARMS = 9, 30
LOG_IN = "return fetch('/api/v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: arguments[0] }).then((r) => r.status)"
# Milliseconds from the first byte of the page to its content.
USABLE = """
    const [shown] = performance.getEntriesByName('shown');
    return shown ? shown.startTime - performance.getEntriesByType('navigation')[0].responseStart : null;
"""


def measure(rounds, seconds, profile, say):
    """CPU seconds a second of a publish and of a viewer, each beyond those of the stream that is pulled for nobody; MiB that the resident
    set grows by for a page that is open, and for a viewer besides."""
    found = {"publish": [], "viewer": []}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        cloud = Cloud(stack, folder, profile)
        camera = ours.Camera(stack, folder, "--main", clip(), profile=profile)
        program = built("ivt-agent", profile) if profile == "debug" else agent_program()
        agent = Agent(stack, folder, cloud, [f'backend = "rtsp"\nmain = "{camera.url}"\nalways_on = ["main"]'], program=[program], extra=WEB)
        page = Page(Page.where(agent))
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
            idle = [_cpu(pids, seconds)]
            cloud.publish(cloud.rtmp_url(f"p{turn}"), f"p{turn}")
            time.sleep(WARM_UP)
            began = cloud.stream(f"p{turn}")["bytes"]
            costs = {"publish": _cpu(pids, seconds)}
            _arrived(cloud.stream(f"p{turn}")["bytes"] - began, seconds)
            cloud.call("RTMPStopPublish", {"channel": 0, "stream_id": f"p{turn}"})
            time.sleep(1)
            with page.viewer() as viewer:
                time.sleep(WARM_UP)
                began = viewer.bytes
                costs["viewer"] = _cpu(pids, seconds)
                _arrived(viewer.bytes - began, seconds)
            time.sleep(1)
            # What else the machine does makes the agent dearer: the stream that nobody takes is measured before and after.
            idle.append(_cpu(pids, seconds))
            for name, cost in costs.items():
                found[name].append(cost - statistics.mean(idle))
            say(f"page, round {turn + 1}: {({name: f'{costs[-1] * 100:.2f} %' for name, costs in found.items()})}")
        usable = _usable(stack, folder, page.host)
    figures = {**{name: statistics.median(costs) for name, costs in found.items()}, "grown": grown, "usable": usable,
               "alarm": _alarm(profile, program)}
    say(f"page: {figures}")
    return figures


def _usable(stack, folder, host):
    """Milliseconds from the first byte to a page that can be used, in a browser that has none of its files."""
    browser = Browser(stack, folder)
    browser.open(f"http://{host}/healthz")
    if browser.script(LOG_IN, json.dumps({"password": PASSWORD})) != 200:
        raise Failed("the browser is not let in")
    browser.devtools("Network.enable")
    browser.devtools("Network.setCacheDisabled", cacheDisabled=True)
    took = []
    for number in range(OPENED):
        browser.open("about:blank")
        browser.open(f"http://{host}/?{number}#/overview")
        took.append(browser.wait("the page", USABLE))
    return {"median": statistics.median(took), "max": max(took)}


def _alarm(profile, program):
    """Milliseconds from the alarm at the camera to the event that a page is sent."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        cloud = Cloud(stack, folder, profile)
        channel, control = alarms.camera(stack, folder, "Hikvision alertStream", profile)
        agent = Agent(stack, folder, cloud, [channel], program=[program], extra=alarms.ARMED + WEB)
        host = Page.where(agent)
        alarms.until_heard(cloud, control)
        shown = Shown(Page(host).ask("GET", "/api/v1/alarms/events"))
        took = []
        for _ in range(ALARMS):
            known = set(shown.seen)
            raised = alarms.set_off(control, "motion", True)
            new = wait_for("the alarm in the page", lambda: next((at for id, at in list(shown.seen.items()) if id not in known), None), 20)
            took.append(new * 1000 - raised)
            alarms.end(cloud, control)
        return alarms.share(took)


class Shown:
    """The alarms of a stream of events, each with the moment at which it came, in seconds since 1970."""

    def __init__(self, answer):
        self.seen = {}
        threading.Thread(target=self._read, args=(answer,), daemon=True).start()

    def _read(self, answer):
        with contextlib.closing(answer):
            for line in answer:
                if line.startswith(b"data: ") and "id" in (told := json.loads(line[6:])):
                    self.seen.setdefault(told["id"], time.time())


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

    @staticmethod
    def where(agent):
        """Host and port of an agent's page."""
        return agent.process.said(r"the page: http://(\S+?)/?\s")[1]

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
    """Reads an endless answer in a thread, as much at a time as there is: a reader in small steps would cost the agent more."""

    def __init__(self, answer):
        self.bytes, self.running = 0, True
        # The answer's own reader asks for 8 KiB at a time.
        self.socket = answer.fp.raw._sock
        self.thread = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self.thread.start()

    def _read(self, answer):
        room = bytearray(1 << 20)
        with contextlib.closing(answer):
            while self.running and (size := self.socket.recv_into(room)):
                self.bytes += size

    def stop(self):
        self.running = False
        self.thread.join(10)
