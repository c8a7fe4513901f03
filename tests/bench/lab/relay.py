"""CPU, memory, system calls: the subjects take turns, round after round, before the same camera and the same server."""
import contextlib
import statistics
import tempfile
import time

from peers.process import Failed
from peers.sinks import Nginx

from .clip import clip
from .meter import Window, system_calls
from .subjects import SUBJECTS, Camera

WARM_UP = 5
STRACE = 5
# Of the clip's 4.1 Mbit/s with sound: a relay that loses data may not look cheap.
LEAST_BITRATE = 3.9e6


def measure(row, count, rounds, seconds, say):
    """The medians of one row at one number of channels, by subject."""
    found = {name: [] for name in SUBJECTS}
    for turn in range(rounds):
        for name, subject in SUBJECTS.items():
            with contextlib.ExitStack() as stack:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
                server = Nginx(stack, folder, record=False)
                camera = Camera(stack, folder, clip(), count, row)
                relay = subject(stack, folder, camera, server)
                time.sleep(WARM_UP)
                figures = _window(relay.pids, server, count, seconds)
                if turn == 0:
                    figures["syscalls"] = system_calls(relay.pids, STRACE) / count
                found[name].append(figures)
                say(f"{row} x{count} round {turn + 1} {name}: {figures['cpu'] * 100:.2f} % of a core per stream")
    return {name: _median(rounds) for name, rounds in found.items()}


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


def _median(rounds):
    names = {name for figures in rounds for name in figures}
    return {name: statistics.median(figures[name] for figures in rounds if name in figures) for name in sorted(names)}
