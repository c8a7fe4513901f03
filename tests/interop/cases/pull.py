"""gst-rtsp-server (Digest login) as the camera; what the agent publishes of it is judged."""
import os

from peers.cameras import GstCamera
from peers.judge import judge
from peers.ours import Agent, Cloud, camera
from peers.paths import CLIPS, FIXTURES
from peers.sinks import FfmpegServer, Nginx, newer_ffmpeg_server

from . import add
from .publish import SECONDS, record


def pull(clip, video, audio, transport, server):
    path = os.path.join(CLIPS if clip == "main" else FIXTURES, clip + ".flv")

    def run(stack, folder):
        source = GstCamera(stack, folder, path, "h265" if video == "hevc" else video, audio)
        sink = server(stack, folder)
        cloud = Cloud(stack, folder)
        Agent(stack, folder, cloud, [camera(source.url, transport)])
        sound = {"aac": "aac", "pcma": "pcm_alaw", "pcmu": "pcm_mulaw"}[audio]
        judge(record(cloud, sink), video, sound, SECONDS - 3, b_frames=clip == "h264_bframes")
    return run


for transport in ("tcp", "udp"):
    over = f"from gst-rtsp-server over {transport.upper()}"
    add(f"pull H.264 + AAC {over}", pull("main", "h264", "aac", transport, Nginx))
    add(f"pull B-frames {over}", pull("h264_bframes", "h264", "aac", transport, FfmpegServer))
    add(f"pull HEVC + AAC {over}", pull("hevc", "hevc", "aac", transport, newer_ffmpeg_server))
    add(f"pull H.264 + PCMA {over}", pull("pcma", "h264", "pcma", transport, Nginx))
    add(f"pull H.264 + PCMU {over}", pull("pcmu", "h264", "pcmu", transport, FfmpegServer))
