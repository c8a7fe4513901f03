"""The two test servers printed in the TLSS document, each for one full session with the agent, in a network of their own."""
import os
import re
import subprocess
import sys

from peers.cameras import PASSWORD, USER
from peers.ours import MAC, hosted
from peers.paths import ROOT, built
from peers.process import Failed, Process, wait_for
from peers.python2 import python2

from . import Skipped, add

DOCUMENT = os.path.join(os.path.dirname(ROOT), "shared/spec/tlss.md")
# The port that is written in the C program.
PORT = 21000
# A camera whose replies are short: the C program overruns its buffers on longer ones.
TERSE = """
import http.server

class Camera(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        group = query.rpartition("group=")[2]
        body = f"{group}.name=short\\n" if "param" in path else "Records:1\\n2026-11-21 06:00, 1\\n"
        self.send_response(200)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body.encode())

http.server.HTTPServer(("127.0.0.1", 8081), Camera).serve_forever()
"""


def printed(language):
    """The program of the document; its no-break spaces become spaces."""
    if not os.path.exists(DOCUMENT):
        raise Skipped("the TLSS document does not lie beside the checkout")
    with open(DOCUMENT, encoding="utf-8") as document:
        text = document.read().replace("\u00a0", " ")
    return re.search(rf"^```{language} *\n(.*?)^```", text, re.S | re.M)[1]


def network(stack):
    """Makes a network namespace with a loopback only; returns the words before a command that runs in it."""
    name = f"ivt-tlss-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        raise Skipped("network namespaces are not allowed here")
    stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
    inside = ["ip", "netns", "exec", name]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    return inside


def session(stack, folder, inside, server):
    """Starts the agent beside a camera and a server; returns what the server printed when the session was over."""
    config = hosted(folder, PORT, "rtsp://127.0.0.1:8554/ch0/main", "127.0.0.1:8081", "NS6202HD")
    agent = stack.enter_context(Process("ivt-agent", [*inside, built("ivt-agent"), "--config", config], folder,
                                        env={"RUST_LOG": "ivt_agent::tlss=debug"}))
    agent.said("TLSS: .*done", 60)
    return wait_for("the server's log", server.output, 5)


def judge(said, reports):
    """Fails unless the server printed the identity, the answers and `reports`."""
    for wanted in [f"mac={MAC}&brand=CAP&model=NS6202HD", "HTTP/1.1 200 OK", "VERSION.", "BRAND.", *reports]:
        if wanted not in said:
            raise Failed(f"expected {wanted!r} in what the server printed: {said[-600:]!r}")


def in_c(stack, folder):
    inside = network(stack)
    camera = os.path.join(folder, "camera.py")
    with open(camera, "w") as out:
        out.write(TERSE)
    stack.enter_context(Process("camera", [*inside, sys.executable, camera], folder)).listening(8081)
    source = os.path.join(folder, "server.c")
    with open(source, "w") as out:
        out.write(printed("c"))
    program = os.path.join(folder, "server")
    subprocess.run(["gcc", "-w", "-o", program, source], check=True)
    server = stack.enter_context(Process("server", [*inside, "stdbuf", "-oL", program], folder)).listening(PORT)
    judge(session(stack, folder, inside, server), ["Records:"])


def in_python(stack, folder):
    python = python2()
    if not python:
        raise Skipped("no Python 2 here")
    inside = network(stack)
    camera = stack.enter_context(Process("camera-sim", [
        *inside, built("camera-sim"), "--bind", "127.0.0.1:8554", "--http", "127.0.0.1:8081", "--user", USER, "--password", PASSWORD,
    ], folder))
    camera.said("rtsp://")
    source = os.path.join(folder, "server.py")
    with open(source, "w") as out:
        out.write(printed("python"))
    server = stack.enter_context(Process("server", [*inside, python, "-u", source, str(PORT)], folder)).listening(PORT)
    judge(session(stack, folder, inside, server), ["Records:"])


add("the C server of the TLSS document has a session", in_c, 120)
add("the Python server of the TLSS document has a session", in_python, 120)
