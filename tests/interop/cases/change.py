"""A camera whose parameters change while it is published; foreign servers receive, and every picture is judged."""
import os
import urllib.request

from peers.cameras import PASSWORD, USER
from peers.judge import judge_changes
from peers.ours import Agent, Camera, Cloud, camera
from peers.paths import CLIPS
from peers.process import wait_for
from peers.sinks import FfmpegServer, Nginx

from . import add
from .publish import LESS

# The clips that camera-sim shows in turn, in two sizes.
MAIN, SUB = (os.path.join(CLIPS, name) for name in ("main.flv", "sub.flv"))
SECONDS = 2


def changes(server):
    """Changes the size and back in one publish."""
    def run(stack, folder):
        source = Camera(stack, folder, "--user", USER, "--password", PASSWORD, "--control", "127.0.0.1:0")
        control = source.process.said(r"(?m)^http://\S+:\d+/$")[0]
        sink = server(stack, folder)
        cloud = Cloud(stack, folder)
        Agent(stack, folder, cloud, [camera(source.url, "tcp")])
        cloud.publish(sink.url("change"), "change")
        for seconds in (SECONDS, 2 * SECONDS, 3 * SECONDS):
            wait_for(f"{seconds} s of the stream", lambda: sink.seconds("change") >= seconds, 30)
            if seconds < 3 * SECONDS:
                urllib.request.urlopen(f"{control}fault/parameters", b"", timeout=10).close()
        cloud.stop("change")
        judge_changes(sink.recording("change"), [MAIN, SUB, MAIN], 3 * SECONDS - LESS)
    return run


for peer, server in (("nginx-rtmp", Nginx), ("ffmpeg", FfmpegServer)):
    add(f"publish a camera that changes its size to {peer}", changes(server))
