"""The agent publishes a camera played by gst-rtsp-server, with a Digest login; its stream is judged."""
import os

from peers.cameras import GstCamera
from peers.judge import judge
from peers.ours import Agent, Cloud, camera
from peers.paths import CLIPS, FIXTURES
from peers.sinks import FfmpegServer, Nginx, newer_ffmpeg_server

from . import add
from .publish import LESS, SECONDS, record

MAIN = os.path.join(CLIPS, "main.flv")


def pull(path, video, audio, transport, server):
    def run(stack, folder):
        source = GstCamera(stack, folder, path, video, audio)
        sink = server(stack, folder)
        cloud = Cloud(stack, folder)
        Agent(stack, folder, cloud, [camera(source.url, transport)])
        judge(record(cloud, sink), path, SECONDS - LESS - 1)
    return run


def fixture(name):
    return os.path.join(FIXTURES, name + ".flv")


for transport in ("tcp", "udp"):
    over = f"from gst-rtsp-server over {transport.upper()}"
    add(f"pull H.264 + AAC {over}", pull(MAIN, "h264", "aac", transport, Nginx))
    add(f"pull B-frames {over}", pull(fixture("h264_bframes"), "h264", "aac", transport, FfmpegServer))
    add(f"pull HEVC + AAC {over}", pull(fixture("hevc"), "h265", "aac", transport, newer_ffmpeg_server))
    add(f"pull H.264 + PCMA {over}", pull(fixture("pcma"), "h264", "pcma", transport, Nginx))
    add(f"pull H.264 + PCMU {over}", pull(fixture("pcmu"), "h264", "pcmu", transport, FfmpegServer))
