"""CPU, memory, system calls: the subjects take turns, round after round, before the same camera and the same server."""
import contextlib
import tempfile
import time

from peers.process import Failed
from peers.sinks import Nginx

from .clip import clip
from .meter import Window, system_calls
from .rounds import repeat
from .subjects import BUILDS, SUBJECTS, Camera

WARM_UP = 4
STRACE = 5
# Least bits per second that must arrive of the clip's 4.1 Mbit/s, since a relay that loses data may not look
# cheap.
LEAST_BITRATE = 3.9e6


def measure(row, count, builds, rounds, seconds, say):
    """The medians of one row at one number of channels, by subject; of the agent by build."""
    names = [*builds, *(name for name in SUBJECTS if name not in BUILDS)]

    def one(name, turn):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
            server = Nginx(stack, folder, record=False)
            camera = Camera(stack, folder, clip(), count, row)
            relay = SUBJECTS[name](stack, folder, camera, server)
            time.sleep(WARM_UP)
            figures = _window(relay.pids, server, count, seconds)
            if turn == 0 and name in BUILDS:
                figures["syscalls"] = system_calls(relay.pids, STRACE) / count
            return figures

    return repeat(names, rounds, one, lambda text: say(f"{row} x{count} {text}"))


def _window(pids, server, count, seconds):
    before, began = server.received(), time.monotonic()
    window = Window(pids)
    time.sleep(seconds)
    figures = window.close(count)
    after, span = server.received(), time.monotonic() - began
    for stream in (f"s{n}" for n in range(count)):
        rate = (after.get(stream, 0) - before.get(stream, 0)) * 8 / span
        if rate < LEAST_BITRATE:
            raise Failed(f"stream {stream} arrived at {rate / 1e6:.2f} Mbit/s, not 4: the figure would be worth nothing")
    return figures
