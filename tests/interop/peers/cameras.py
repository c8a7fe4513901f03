"""Foreign RTSP servers. `url` is the address of the stream; a server with a login takes `USER` and `PASSWORD`."""
import os
import subprocess

from .paths import CACHE, FFMPEG, INTEROP
from .process import Process, free_port

USER, PASSWORD = "viewer", "s3cret p@ss:word"

LIVE555 = os.path.join(CACHE, "live555/server")
NODE_MODULES = os.path.join(CACHE, "node/node_modules")


class GstCamera:
    """gst-rtsp-server, playing a long copy of a clip at its own pace, from its beginning to each client. `tls` are a certificate
    and its key: then the address is `rtsps://`."""

    def __init__(self, stack, folder, clip, video, audio, login="digest", tls=()):
        source = long_copy(clip, os.path.join(folder, "source.mov"))
        script = os.path.join(INTEROP, "gst_server.py")
        self.process = stack.enter_context(Process("gst-rtsp-server", ["/usr/bin/python3", script, source, video, audio, login,
                                                                       USER, PASSWORD, *tls], folder))
        self.port = int(self.process.said(r"listening (\d+)")[1])
        self.url = f"{'rtsps' if tls else 'rtsp'}://127.0.0.1:{self.port}/main"


class Live555Camera:
    """live555, playing a long copy of a clip with AAC to each client, from its beginning. It knows no login but Digest."""

    def __init__(self, stack, folder, clip, video, login):
        pictures = long_copy(clip, os.path.join(folder, f"source.{video}"), "-map", "0:v")
        sound = long_copy(clip, os.path.join(folder, "source.aac"), "-map", "0:a")
        port = free_port()
        command = [LIVE555, str(port), pictures, sound, *((USER, PASSWORD) if login == "digest" else ())]
        self.process = stack.enter_context(Process("live555", command, folder))
        self.process.said(rf"listening {port}")
        self.url = f"rtsp://127.0.0.1:{port}/main"


class VlcCamera:
    """VLC, playing a long copy of a clip to all clients, over UDP only. It knows no login but Basic."""

    def __init__(self, stack, folder, clip, login):
        source = long_copy(clip, os.path.join(folder, "source.mp4"))
        port = free_port()
        # VLC refuses to run as root.
        os.chmod(folder, 0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        command = [*nobody, "vlc", "-I", "dummy", "--no-dbus", "--rtsp-host", "127.0.0.1", "--sout",
                   f"#rtp{{sdp=rtsp://:{port}/main}}", "--sout-all", "--sout-keep"]
        if login == "basic":
            command += ["--sout-rtsp-user", USER, "--sout-rtsp-pwd", PASSWORD]
        self.process = stack.enter_context(Process("vlc", [*command, source], folder, {"HOME": "/nonexistent"}))
        self.process.listening(port)
        self.url = f"rtsp://127.0.0.1:{port}/main"


class NodeCamera:
    """rtsp-streaming-server for Node.js, relaying a clip to all clients, who begin in the middle of a GOP, over UDP only. It
    knows no login but Basic."""

    def __init__(self, stack, folder, clip, login):
        publish, client, media = free_port(), free_port(), free_port() & ~1
        user = [USER, PASSWORD] if login == "basic" else []
        command = ["node", os.path.join(INTEROP, "node_server.js"), NODE_MODULES, str(publish), str(client), str(media), *user]
        self.process = stack.enter_context(Process("rtsp-streaming-server", command, folder))
        self.process.said("listening")
        relay(stack, folder, clip, publish)
        self.url = f"rtsp://127.0.0.1:{client}/main"


class PerlCamera:
    """rtsp-server-perl, relaying a clip to all clients, who begin in the middle of a GOP, over UDP only. It knows no login."""

    def __init__(self, stack, folder, clip):
        publish, client, media = free_port(), free_port(), free_port() & ~1
        command = ["rtsp-server-perl", "--source_listen_address", "127.0.0.1", "--client_listen_address", "127.0.0.1",
                   "--serverport", str(publish), "--clientport", str(client), "--rtp_start_port", str(media)]
        self.process = stack.enter_context(Process("rtsp-server-perl", command, folder)).listening(publish).listening(client)
        relay(stack, folder, clip, publish)
        self.url = f"rtsp://127.0.0.1:{client}/main"


def relay(stack, folder, clip, port):
    """Has ffmpeg publish a clip in a loop to the RTSP server on `port`.

    By itself it packs up to eleven pieces of sound into a packet (0.7 s), and a session that begins at such a packet knows no better
    where its sound lies; with 0.1 s it packs two.
    """
    command = [FFMPEG, "-nostdin", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.1", "-re", "-stream_loop", "-1", "-i",
               clip, "-c", "copy", "-muxdelay", "0.1", "-f", "rtsp", f"rtsp://127.0.0.1:{port}/main"]
    stack.enter_context(Process("publisher", command, folder)).said(r"frame=\s*[1-9]")


def long_copy(clip, path, *options):
    """Writes a clip thirty-one times in a row to `path`, whose name tells the format, and returns `path`."""
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", "-stream_loop", "30", "-i", clip, *options, "-c", "copy", path],
                   check=True, timeout=60)
    return path
