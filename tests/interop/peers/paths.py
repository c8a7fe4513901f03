"""Paths of the checkout, of the cache, and of programs."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
INTEROP = os.path.join(ROOT, "tests/interop")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ivt-interop")
FFMPEG = os.path.join(CACHE, "ffmpeg")
PEERS = os.path.join(ROOT, "tests/peers/target/debug/rtmp-receiver")
READER = os.path.join(ROOT, "tests/peers/target/debug/rtsp-reader")
FIXTURES = os.path.join(ROOT, "tests/fixtures")
CLIPS = os.path.join(ROOT, "media/clips")


def built(name, profile="debug"):
    """The path of one of our own programs."""
    return os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), profile, name)
