"""A camera that does what harms most, beside a good one: what it costs the agent and the good one's picture."""
import contextlib
import dataclasses
import os
import re
import threading
import time

from .field import channel, start_camera
from .ours import LOGIN, Agent, Cloud
from .process import Failed, wait_for
from .rtmp import VIDEO, RtmpSink

# Seconds for which the good camera runs alone, for which it runs beside the hostile one, and between two looks at the memory.
ALONE, BESIDE, LOOK = 4, 10, 0.02
# Seconds from a picture of the good camera to the next.
USUAL = 1 / 15
# Answers that once ended the whole agent, and answers that cost a careless reader time or memory.
HOSTILE = ("sdp_no_equals", "sdp_no_format", "session_empty", "header_endless", "headers_many", "sdp_huge", "length_huge",
           "unit_endless")
# Most that the hostile camera may cost: bytes, and seconds between two pictures of the good one.
MORE, LATER = 8 << 20, 0.1


@dataclasses.dataclass
class Cost:
    """`memory` is in bytes: what was resident at most, less what was before the second camera was asked for. `gap` is in seconds: the
    longest time between two pictures of the good camera at the RTMP server, less the usual one; `alone` the same before."""
    memory: int
    gap: float
    alone: float
    said: str
    wrong: list

    def __str__(self):
        return f"{self.memory / (1 << 20):+.1f} MiB, {self.gap * 1000:+.0f} ms ({self.alone * 1000:+.0f} ms alone)"


def cost(folder, good, bad, wait=time.sleep):
    """Of the mode `bad` on channel 1 beside `good` on channel 0, both published."""
    with contextlib.ExitStack() as stack:
        cloud, sink = Cloud(stack, folder), RtmpSink(stack)
        channels = []
        for mode in (good, bad):
            inner = os.path.join(folder, mode.name)
            os.mkdir(inner)
            channels.append(channel(start_camera(stack, inner, mode), mode))
        agent = Agent(stack, folder, cloud, channels)
        cloud.publish(sink.url("good"), "good", 0)
        wait_for("picture of the good camera", lambda: sink.publishes, 10)
        wait(ALONE)
        before, began = resident(agent.process.pid), time.monotonic()
        said, over = [], threading.Event()
        stack.callback(over.set)
        params = {"channel": 1, "quality": "hd", "stream_id": "bad", "url": sink.url("bad"), "max_bitrate": 0}

        def ask():
            while not over.is_set():
                with contextlib.suppress(OSError, Failed):
                    said.append(cloud.post("/api/call", {"login_code": LOGIN, "method": "RTMPPublish", "params": params}))
                over.wait(2)
        threading.Thread(target=ask, daemon=True).start()
        most = before
        while time.monotonic() < began + BESIDE and agent.process.child.poll() is None:
            most = max(most, resident(agent.process.pid))
            wait(LOOK)
        over.set()
        pictures = [t.arrived for t in sink.publishes[0] if t.kind == VIDEO and not t.is_header]
        wrong = []
        if agent.process.child.poll() is not None or "panicked" in agent.process.output():
            wrong.append(f"the agent ended: {agent.process.tail()}")
        if most - before > MORE:
            wrong.append("it takes too much memory")
        gap, alone = (_longest(pictures, *span) for span in ((began, time.monotonic()), (began - ALONE + 1, began)))
        if gap > LATER:
            wrong.append("the other camera's picture stands still")
        first = said[0] if said else {}
        told = first["err"]["msg"] if "err" in first else "published" if first else "no answer"
        return Cost(most - before, gap, alone, re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", told), wrong)


def _longest(arrived, since, until):
    """Between two of `arrived`, and from the last to `until`, less the usual."""
    within = [at for at in arrived if since - USUAL <= at <= until] or [since]
    gaps = [b - a for a, b in zip(within, within[1:])]
    return max([*gaps, until - within[-1] - LATER]) - USUAL


def resident(pid):
    """Bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
    return int(found[1]) * 1024 if found else 0
