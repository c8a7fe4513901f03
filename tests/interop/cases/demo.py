"""`make demo`, from its first line to Ctrl-C."""
import gzip
import os
import re
import signal
import subprocess
import urllib.request

from peers.paths import built
from peers.process import Failed, Process, wait_for

from . import add

STEPS = ["camera-sim", "ivc-sim", "ivt-agent", "RTMPPublish", "picture", "recording"]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        body = answer.read()
    return (gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body).decode()


def agents(session):
    return subprocess.run(["pgrep", "-s", str(session), "-x", "ivt-agent"], capture_output=True, text=True).stdout.split()


def runs_until_ctrl_c(stack, folder):
    """Fails unless there is a line for every step, a page behind each address, and no process left at the end."""
    scratch = os.path.join(folder, "tmp")
    os.mkdir(scratch)
    demo = stack.enter_context(Process("demo", [built("demo")], folder, {"TMPDIR": scratch}))
    page = demo.said(r"Open (http://\S+\?login_code=demo) in a browser", 30)[1]
    recorded = demo.said(r"Recorded: (http://\S+)")[1]
    steps = re.findall(r"(?m)^(\d)\. (\S+)", demo.output())
    if steps != [(str(number), name) for number, name in enumerate(STEPS, 1)]:
        raise Failed(f"expected a line for each of {STEPS}, got {steps}")
    device = demo.said(r"The device's own page: (http://\S+)")[1]
    for url, title in ((page, "IVC simulator"), (recorded, "Recordings"), (device, "IVT")):
        if title not in fetch(url):
            raise Failed(f"{url} is no page of {title!r}")
    if len(agents(demo.pid)) != 1:
        raise Failed(f"expected one agent, got {agents(demo.pid)}")
    # A terminal sends the signal to the whole group.
    os.killpg(demo.pid, signal.SIGINT)
    status = demo.ended(10)
    if status != 0:
        raise Failed(f"expected status 0 after Ctrl-C, got {status}: {demo.tail()}")
    wait_for("end of the agent", lambda: not agents(demo.pid), 5)
    if os.listdir(scratch):
        raise Failed(f"left behind: {os.listdir(scratch)}")


add("demo shows every step and ends at Ctrl-C", runs_until_ctrl_c)
