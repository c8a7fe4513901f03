"""Foreign RTMP servers that write what they received to an FLV file."""
import contextlib
import glob
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from xml.etree import ElementTree

from . import flv
from .paths import FFMPEG, PEERS
from .process import Failed, Process, connected, free_port, wait_for

NGINX = """
load_module modules/ngx_rtmp_module.so;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 256; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        application live {{
            live on;
            wait_key off;
            {record}
        }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{http_port};
        location / {{ rtmp_stat all; }}
    }}
}}
"""


class Nginx:
    """nginx with the RTMP module, as a plain process in a folder of its own. With `record` it records every publish."""

    def __init__(self, stack, folder, record=True):
        self.port, self.http_port = free_port(), free_port()
        self.folder = os.path.join(folder, "nginx")
        os.makedirs(self.folder)
        config = os.path.join(self.folder, "nginx.conf")
        what = f"record all; record_path {self.folder}; record_suffix .flv;" if record else ""
        with open(config, "w") as out:
            out.write(NGINX.format(folder=self.folder, port=self.port, http_port=self.http_port, record=what))
        command = ["nginx", "-p", self.folder, "-c", config, "-g", f"error_log {self.folder}/nginx-error.log;"]
        # The path `modules/` is relative to the prefix.
        os.symlink("/usr/lib/nginx/modules", os.path.join(self.folder, "modules"))
        self.process = stack.enter_context(Process("nginx", command, self.folder)).listening(self.port)

    def url(self, stream):
        return f"rtmp://127.0.0.1:{self.port}/live/{stream}"

    def received(self):
        """Bytes received so far of every stream that is being published."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/", timeout=10) as answer:
            streams = ElementTree.parse(answer).iter("stream")
        return {stream.findtext("name"): int(stream.findtext("bytes_in")) for stream in streams}

    def seconds(self, stream):
        """Seconds of a stream that are recorded."""
        return max(map(flv.seconds, glob.glob(f"{self.folder}/{stream}*.flv")), default=0)

    def recording(self, stream):
        """The path of the finished recording: nginx still reads what was sent after the publisher has gone."""
        (path,) = glob.glob(f"{self.folder}/{stream}*.flv")
        files = f"/proc/{self.process.pid}/fd"
        wait_for(f"end of the recording of {stream}", lambda: path not in map(os.path.realpath, glob.glob(f"{files}/*")), 30)
        return path


class FfmpegServer:
    """`ffmpeg -listen 1`: takes one publisher and copies its stream to a file until it leaves."""

    def __init__(self, stack, folder, binary="ffmpeg"):
        self.port = free_port()
        self.file = os.path.join(folder, "ffmpeg-server.flv")
        command = [binary, "-nostdin", "-v", "error", "-y", "-listen", "1", "-f", "flv", "-i", self.url("any"),
                   "-map", "0", "-c", "copy", "-f", "flv", self.file]
        self.process = stack.enter_context(Process("ffmpeg-server", command, folder)).listening(self.port)
        self.began = None

    def url(self, stream):
        return f"rtmp://127.0.0.1:{self.port}/live/{stream}"

    def seconds(self, _stream):
        """Seconds for which a publisher has been there: ffmpeg looks at a stream for up to ten seconds before it writes anything."""
        if not self.began and connected(self.port):
            self.began = time.monotonic()
        return time.monotonic() - self.began if self.began else 0

    def recording(self, _stream):
        self.process.ended()
        return self.file


class RtmpCrate:
    """The `rtmp` crate's server (tests/peers): takes one publisher."""

    def __init__(self, stack, folder):
        self.file = os.path.join(folder, "rtmp-crate.flv")
        if not os.path.exists(PEERS):
            raise Failed(f"{PEERS} is missing: run tests/interop/setup")
        self.process = stack.enter_context(Process("rtmp-receiver", [PEERS, self.file], folder))
        self.port = int(self.process.said(r"listening (\d+)")[1])

    def url(self, stream):
        return f"rtmp://127.0.0.1:{self.port}/live/{stream}"

    def seconds(self, _stream):
        """Seconds that are recorded."""
        return flv.seconds(self.file) if os.path.exists(self.file) else 0

    def recording(self, _stream):
        self.process.said(r"end \d+ [1-9]\d* \d+")
        return self.file


def self_signed(folder, env=None, days=2):
    """Makes a certificate for this machine, valid for `days` days by the clock of `env`; returns the files of certificate and key."""
    certificate, key = os.path.join(folder, "ca.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30,
                   env={**os.environ, **(env or {})})
    return certificate, key


class TlsFront:
    """A TLS terminator (Python's OpenSSL) in front of a plain server; `ca_file` is its self-signed certificate, valid for `days` days
    by the clock of `env`."""

    def __init__(self, stack, folder, server, env=None, days=2):
        self.server = server
        self.ca_file, key = self_signed(folder, env, days)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.ca_file, key)
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, stream):
        return f"rtmps://localhost:{self.port}/live/{stream}"

    def seconds(self, stream):
        return self.server.seconds(stream)

    def recording(self, stream):
        return self.server.recording(stream)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), self.context.wrap_socket(client, server_side=True) as inner, \
                socket.create_connection(("127.0.0.1", self.server.port)) as outer:
            threading.Thread(target=_pump, args=(outer, inner), daemon=True).start()
            _pump(inner, outer)


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def newer_ffmpeg_server(stack, folder):
    """A server of the newer ffmpeg, which knows HEVC in FLV."""
    return FfmpegServer(stack, folder, FFMPEG)
