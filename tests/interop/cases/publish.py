"""The agent publishes; foreign servers receive."""
import os
import time

from peers.judge import judge
from peers.ours import Agent, Cloud, clip
from peers.paths import CLIPS, FIXTURES
from peers.sinks import FfmpegServer, Nginx, RtmpCrate, TlsFront, newer_ffmpeg_server

from . import add

SECONDS = 5
MAIN = (None, "h264", "aac")
B_FRAMES = (os.path.join(FIXTURES, "h264_bframes.flv"), "h264", "aac")
HEVC = (os.path.join(FIXTURES, "hevc.flv"), "hevc", "aac")
PCMA = (os.path.join(FIXTURES, "pcma.flv"), "h264", "pcm_alaw")
PCMU = (os.path.join(FIXTURES, "pcmu.flv"), "h264", "pcm_mulaw")
SUB = (os.path.join(CLIPS, "sub.flv"), "h264", "aac")


def record(cloud, server, seconds=SECONDS):
    """Has the cloud publish to `server` for a while; the path of the recording."""
    cloud.publish(server.url("interop?token=a%2Fb"), "interop")
    time.sleep(seconds)
    cloud.stop("interop")
    return server.recording("interop")


def publish(stream, server):
    source, video, audio = stream

    def run(stack, folder):
        sink = server(stack, folder)
        cloud = Cloud(stack, folder)
        Agent(stack, folder, cloud, [clip(source)], getattr(sink, "ca_file", None))
        judge(record(cloud, sink), video, audio, SECONDS - 2, b_frames=source == B_FRAMES[0])
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
        judge(sink.recording(name), "h264", "aac", 1, size=(640, 360))


for peer, server in (("nginx-rtmp", Nginx), ("ffmpeg", FfmpegServer), ("rtmp crate", RtmpCrate)):
    add(f"publish H.264 + AAC to {peer}", publish(MAIN, server))
    add(f"publish B-frames to {peer}", publish(B_FRAMES, server))
for name, stream in (("PCMA", PCMA), ("PCMU", PCMU)):
    add(f"publish H.264 + {name} to nginx-rtmp", publish(stream, Nginx))
    add(f"publish H.264 + {name} to ffmpeg", publish(stream, FfmpegServer))
# nginx-rtmp 1.2 and the rtmp crate know no enhanced RTMP.
add("publish HEVC + AAC to a newer ffmpeg", publish(HEVC, newer_ffmpeg_server))
add("publish over rtmps to nginx-rtmp", publish(SUB, rtmps))
add("publish twice to nginx-rtmp", twice)
