"""Foreign RTSP servers."""
import os
import subprocess

from .paths import FFMPEG, ROOT
from .process import Process

USER, PASSWORD = "viewer", "s3cret p@ss:word"


class GstCamera:
    """gst-rtsp-server with Digest login, playing a long copy of a clip at its own pace."""

    def __init__(self, stack, folder, clip, video, audio):
        source = os.path.join(folder, "source.mov")
        subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", "-stream_loop", "30", "-i", clip, "-c", "copy", source],
                       check=True, timeout=60)
        script = os.path.join(ROOT, "tests/interop/gst_server.py")
        self.process = stack.enter_context(Process("gst-rtsp-server", ["/usr/bin/python3", script, source, video, audio,
                                                                       USER, PASSWORD], folder))
        self.port = int(self.process.said(r"listening (\d+)")[1])
        self.url = f"rtsp://127.0.0.1:{self.port}/main"
