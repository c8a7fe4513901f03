"""The agent publishes; foreign servers receive."""
import os
import time

from peers.judge import judge
from peers.ours import Agent, Cloud, clip
from peers.paths import CLIPS, FIXTURES
from peers.sinks import FfmpegServer, Nginx, RtmpCrate, TlsFront, newer_ffmpeg_server

from . import add

SECONDS = 5
BUILT_IN = os.path.join(CLIPS, "main.flv")


def record(cloud, server, seconds=SECONDS):
    """Has the cloud publish to `server` for a while; the path of the recording."""
    cloud.publish(server.url("interop?token=a%2Fb"), "interop")
    time.sleep(seconds)
    cloud.stop("interop")
    return server.recording("interop")


def publish(name, server):
    """The clip `name` of the fixtures, or the built-in one."""
    def run(stack, folder):
        source = os.path.join(FIXTURES, name + ".flv") if name else None
        sink = server(stack, folder)
        cloud = Cloud(stack, folder)
        Agent(stack, folder, cloud, [clip(source)], getattr(sink, "ca_file", None))
        judge(record(cloud, sink), source or BUILT_IN, SECONDS - 2)
    return run


def rtmps(stack, folder):
    return TlsFront(stack, folder, Nginx(stack, folder))


def twice(stack, folder):
    """A second publish after a stop starts again on a key frame with sequence headers."""
    sink = Nginx(stack, folder)
    cloud = Cloud(stack, folder)
    Agent(stack, folder, cloud, [clip(None)])
    for name in ("first", "second"):
        cloud.publish(sink.url(name), name)
        time.sleep(3)
        cloud.stop(name)
        judge(sink.recording(name), BUILT_IN, 1)


for peer, server in (("nginx-rtmp", Nginx), ("ffmpeg", FfmpegServer), ("rtmp crate", RtmpCrate)):
    add(f"publish H.264 + AAC to {peer}", publish(None, server))
    add(f"publish B-frames to {peer}", publish("h264_bframes", server))
for name in ("pcma", "pcmu"):
    add(f"publish H.264 + {name.upper()} to nginx-rtmp", publish(name, Nginx))
    add(f"publish H.264 + {name.upper()} to ffmpeg", publish(name, FfmpegServer))
# nginx-rtmp 1.2 and the rtmp crate know no enhanced RTMP.
add("publish HEVC + AAC to a newer ffmpeg", publish("hevc", newer_ffmpeg_server))
add("publish a GOP of 4 s to nginx-rtmp", publish("long_gop", Nginx))
add("publish over rtmps to nginx-rtmp", publish(None, rtmps))
add("publish twice to nginx-rtmp", twice)
