"""The agent publishes; foreign servers receive."""
import os

from peers.judge import Recording, judge
from peers.ours import Agent, Camera, Cloud, camera, clip, pattern
from peers.paths import CLIPS, FIXTURES
from peers.process import Failed, wait_for
from peers.sinks import FfmpegServer, Nginx, RtmpCrate, TlsFront, newer_ffmpeg_server

from . import add

SECONDS = 5
# Seconds that a publisher may take until its first picture is there.
LESS = 2
BUILT_IN = os.path.join(CLIPS, "main.flv")


def record(cloud, server, stream="interop", token="", seconds=SECONDS):
    """Publishes until `server` has so many seconds, and returns the path of the recording."""
    cloud.publish(server.url(stream + token), stream)
    wait_for(f"{seconds} s of the stream", lambda: server.seconds(stream) >= seconds, 30)
    cloud.stop(stream)
    return server.recording(stream)


def publish(name, server):
    """The clip `name` of the fixtures, or the built-in one."""
    def run(stack, folder):
        source = os.path.join(FIXTURES, name + ".flv") if name else None
        sink = server(stack, folder)
        cloud = Cloud(stack, folder)
        Agent(stack, folder, cloud, [clip(source)], getattr(sink, "ca_file", None))
        judge(record(cloud, sink, token="?token=a%2Fb"), source or BUILT_IN, SECONDS - LESS)
    return run


def live_pattern(stack, folder):
    """The emulator's test pattern decodes without a complaint, every picture is another one, and none is missing."""
    sink, cloud = Nginx(stack, folder), Cloud(stack, folder)
    Agent(stack, folder, cloud, [pattern()])
    got = Recording(record(cloud, sink), folder)
    expected = {"audio": ("aac", None, None, "16000"), "video": ("h264", 640, 360, None)}
    if got.codecs != expected:
        raise Failed(f"expected {expected}, got {got.codecs}")
    got.decode()
    shown = got.pictures()
    if len({checksum for _, checksum in shown}) != len(shown):
        raise Failed("a picture of the pattern came twice, yet its counter runs")
    times = [seconds for seconds, _ in shown]
    if len(shown) < (SECONDS - LESS) * 15 or max(b - a for a, b in zip(times, times[1:])) > 0.07:
        raise Failed(f"expected 15 pictures a second, got {len(shown)} within {times[-1] - times[0]:.2f} s")


def rtmps(stack, folder):
    return TlsFront(stack, folder, Nginx(stack, folder))


def twice(stack, folder):
    """A second publish after a stop starts again on a key frame with sequence headers."""
    sink = Nginx(stack, folder)
    cloud = Cloud(stack, folder)
    Agent(stack, folder, cloud, [clip(None)])
    for name in ("first", "second"):
        judge(record(cloud, sink, name, seconds=3), BUILT_IN, 3 - LESS)


def named(rule):
    """The sound of a camera arrives at a server that takes the tracks from the first metadata, by `rule`, also from a running ring."""
    def run(stack, folder):
        source = Camera(stack, folder)
        cloud = Cloud(stack, folder)
        cloud.rtmp_quirks({"first_metadata": rule})
        Agent(stack, folder, cloud, [camera(source.url, "tcp")])
        for name in ("cold", "warm"):
            cloud.publish(cloud.rtmp_url(name), name)
            wait_for("picture and sound", lambda: cloud.stream(name).get("frames", 0) >= 100, 20)
            stream = cloud.stream(name)
            sounds = stream["frames"] - stream["video_frames"]
            if (stream["video"], stream["audio"], stream["live"], stream["publishes"]) != ("H.264", "AAC", True, 1) or sounds < 20:
                raise Failed(f"expected one publish of picture and sound, got {stream}")
            cloud.stop(name)
    return run


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
add("publish the live test pattern to nginx-rtmp", live_pattern)
add("publish twice to nginx-rtmp", twice)
add("publish to ivc-sim by ZLMediaKit's first-metadata rule", named("drop"))
add("publish to ivc-sim by MediaMTX's first-metadata rule", named("hang_up"))
