"""Our RTSP client beside retina's: both read one camera at the same time and must have the same bytes at the same times. Then
every other RTSP server that installs, each with what it offers of TCP, UDP, Basic and Digest; and TLS.

Where they may differ, and why:
- Access unit delimiters and filler: retina hands them out, our frames have none; its reader leaves them out.
- Where a reader begins and ends: they are two sessions, and a reader may wait for its first key frame.
- live555 times each session by itself and rounds: both may be a tick off, in opposite directions, and so may the median.
- The relays say nothing of the tracks' first times: retina takes the first packets of both as of one time, so it may have the
  sound a picture's and a piece of sound's length away from where another session has it. Ours then moves it by sender reports.
- retina ends a session that begins within a fragmented picture (VLC, the relays): its reader tries again, ours may not.
- retina cannot log in to VLC, whose 401 has no CSeq: there ours is judged alone.
"""
import os

from peers import frames
from peers.cameras import LIVE555, NODE_MODULES, PASSWORD, USER, GstCamera, Live555Camera, NodeCamera, PerlCamera, VlcCamera
from peers.ours import Camera
from peers.paths import CLIPS, FIXTURES
from peers.process import Failed
from peers.sinks import self_signed

from . import Skipped, add

MAIN = os.path.join(CLIPS, "main.flv")
HEVC = os.path.join(FIXTURES, "hevc.flv")
SECONDS = 5

# The codecs of each clip.
CODECS = {
    "main": ("h264", "aac"), "sub": ("h264", "aac"), "h264_bframes": ("h264", "aac"), "long_gop": ("h264", "aac"),
    "hevc": ("h265", "aac"), "pcma": ("h264", "pcma"), "pcmu": ("h264", "pcmu"),
}
# Seconds for clips with few pictures or a long loop.
SLOW = {"sub": 7, "long_gop": 7}


class Pair:
    """Compares both readers at one camera; `reader` is the transport for retina."""

    def __init__(self, stack, folder, what, url, transport, login=False, reader=None, tick=frames.TICK, skew=frames.SKEW,
                 seconds=SECONDS):
        self.what, self.tick, self.skew = what, tick, skew
        self.ours = frames.ours(stack, folder, url, transport, seconds, login, name=f"frames {what}")
        self.theirs = frames.theirs(stack, folder, url, reader or transport, seconds, login, name=f"rtsp-reader {what}")

    def compare(self):
        frames.compare(self.ours.frames(), self.theirs.frames(), self.tick, self.skew)


class Alone:
    """Judges our reader alone, where retina cannot log in."""

    def __init__(self, stack, folder, what, url, transport, login=False, ca_file=None):
        self.what = what
        self.ours = frames.ours(stack, folder, url, transport, SECONDS, login, ca_file, name=f"frames {what}")

    def compare(self):
        frames.judge(*self.ours.frames())


def judged(make):
    """A case that starts all servers of `make(stack, folder)` at the same time."""
    def run(stack, folder):
        failures = []
        for reading in make(stack, folder):
            try:
                reading.compare()
            except Failed as why:
                failures.append(f"{reading.what}: {why}")
        if failures:
            raise Failed("; ".join(failures))
    return run


def inner(folder, name):
    """A folder for one of several servers."""
    path = os.path.join(folder, name)
    os.mkdir(path)
    os.chmod(folder, 0o755)
    return path


def clip(name):
    return os.path.join(CLIPS if name in ("main", "sub") else FIXTURES, f"{name}.flv")


def every_clip(serve, transport):
    """Starts a server for each clip; `serve(stack, folder, name)` returns its address."""
    def make(stack, folder):
        return [Pair(stack, folder, name, serve(stack, inner(folder, name), name), transport, True, seconds=SLOW.get(name, SECONDS))
                for name in sorted(CODECS, key=lambda name: name not in SLOW)]
    return judged(make)


def camera_sim(stack, folder, name):
    return Camera(stack, folder, "--main", clip(name), "--user", USER, "--password", PASSWORD).url


def gst(stack, folder, name):
    return GstCamera(stack, folder, clip(name), *CODECS[name]).url


def gst_logins(stack, folder):
    urls = {login: GstCamera(stack, inner(folder, login), MAIN, "h264", "aac", login).url for login in ("none", "basic")}
    return [Pair(stack, folder, f"{login} {transport}", url, transport, login != "none")
            for login, url in urls.items() for transport in ("tcp", "udp")]


def live555(stack, folder):
    if not os.path.exists(LIVE555):
        raise Skipped("live555 is not built: tests/interop/setup")
    urls = {(video, login): Live555Camera(stack, inner(folder, f"{video}-{login}"), path, video, login).url
            for video, path in (("h264", MAIN), ("h265", HEVC)) for login in ("none", "digest")}
    return [Pair(stack, folder, f"{video} {login} {transport}", url, transport, login != "none", tick=2)
            for (video, login), url in urls.items() for transport in ("tcp", "udp")]


def vlc(stack, folder):
    urls = {login: VlcCamera(stack, inner(folder, login), MAIN, login).url for login in ("none", "basic")}
    return [Pair(stack, folder, "none udp", urls["none"], "udp"),
            Pair(stack, folder, "none auto", urls["none"], "auto", reader="udp"),
            Alone(stack, folder, "basic udp", urls["basic"], "udp", True)]


def node(stack, folder):
    if not os.path.exists(NODE_MODULES):
        raise Skipped("rtsp-streaming-server is not installed: there was no npm")
    urls = {login: NodeCamera(stack, inner(folder, login), MAIN, login).url for login in ("none", "basic")}
    return [Pair(stack, folder, "none udp", urls["none"], "udp", skew=frames.LOOSE_SKEW),
            Pair(stack, folder, "basic udp", urls["basic"], "udp", True, skew=frames.LOOSE_SKEW),
            Pair(stack, folder, "basic auto", urls["basic"], "auto", True, reader="udp", skew=frames.LOOSE_SKEW)]


def perl(stack, folder):
    url = PerlCamera(stack, folder, MAIN).url
    return [Pair(stack, folder, "none udp", url, "udp", skew=frames.LOOSE_SKEW),
            Pair(stack, folder, "none auto", url, "auto", reader="udp", skew=frames.LOOSE_SKEW)]


def tls(stack, folder):
    """Only a client that trusts the server's certificate gets the stream."""
    certificate, key = self_signed(folder)
    url = GstCamera(stack, folder, MAIN, "h264", "aac", tls=(certificate, key)).url
    other, _ = self_signed(inner(folder, "other"))
    trusting = Alone(stack, folder, "with its certificate", url, "tcp", True, certificate)
    refusing = frames.ours(stack, folder, url, "tcp", SECONDS, True, other, name="frames with another")
    if refusing.process.ended() == 0 or "certificate" not in refusing.process.output():
        raise Failed(f"with another certificate: {refusing.process.tail()}")
    return [trusting]


for transport in ("tcp", "udp"):
    over = f"over {transport.upper()}"
    add(f"rtsp: every clip from camera-sim {over}, as retina reads it", every_clip(camera_sim, transport))
    add(f"rtsp: every clip from gst-rtsp-server {over}, as retina reads it", every_clip(gst, transport))
add("rtsp: gst-rtsp-server over TCP and UDP, without login and with Basic", judged(gst_logins))
add("rtsp: live555 over TCP and UDP, without login and with Digest", judged(live555))
add("rtsp: VLC over UDP, without login and with Basic", judged(vlc))
add("rtsp: rtsp-streaming-server (Node.js) over UDP, without login and with Basic", judged(node))
add("rtsp: rtsp-server-perl over UDP, without login", judged(perl))
add("rtsp: gst-rtsp-server by rtsps://, with its certificate and with another", judged(tls))
