"""Cameras that misbehave: one of each kind is published and recorded, and hostile ones run beside a good one. `tests/interop/quirks`
runs all of them."""
import os

from peers.beside import HOSTILE, cost
from peers.field import Watched, modes
from peers.process import Failed
from peers.received import Judged
from peers.several import several

from . import add

KINDS = ("fps_lies", "ok_hevc", "sprop_semi", "sdp_cin", "redirect", "cam_request", "nonce_setup", "auth_dual", "ssrc_gop", "midframe",
         "udp_reorder", "aud_mark", "two_pps", "g726", "mjpeg")
AT_ONCE, HOSTILE_AT_ONCE = 4, 2


def inner(folder, name):
    path = os.path.join(folder, name)
    os.mkdir(path)
    return path


def one_of_each_kind(_stack, folder):
    def run(mode, wait):
        return Judged(Watched(mode, inner(folder, mode.name), wait))
    failures = []
    for mode, judged in several(run, [mode for mode in modes() if mode.name in KINDS], AT_ONCE):
        if isinstance(judged, Exception):
            failures.append(f"{mode.name}: {judged}")
        elif judged.wrong:
            failures.append(f"{mode.name}: {judged.verdict}")
    if failures:
        raise Failed("; ".join(failures))


def hostile(_stack, folder):
    known = {mode.name: mode for mode in modes()}

    def run(name, wait):
        # A second attempt is allowed: a busy machine may hold up a picture once.
        for attempt in ("first", "second"):
            of = cost(inner(folder, f"{name}-{attempt}"), known["ok"], known[name], wait)
            if not of.wrong:
                break
        return of
    failures = []
    for name, of in several(run, HOSTILE, HOSTILE_AT_ONCE):
        print(f"        {name}: {of}", flush=True)
        if isinstance(of, Exception) or of.wrong:
            failures.append(f"{name}: {of if isinstance(of, Exception) else of.wrong}")
    if failures:
        raise Failed("; ".join(failures))


add("cameras: one of each kind that misbehaves is published and recorded", one_of_each_kind, 120)
add("cameras: a hostile one costs its own channel only", hostile, 240)
