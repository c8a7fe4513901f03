"""An upgrade into a slot of files: what the agent writes there, and what its memory grows by."""
import contextlib
import hashlib
import os
import re
import subprocess
import tempfile
import time
import urllib.request

from peers.ours import LOGIN, Agent, Cloud, pattern
from peers.process import Failed, wait_for

from .subjects import agent_program


def measure(mebibytes, profile, say):
    """Bytes written into the slot for each byte of the image, MiB that the resident set grows by at most, and seconds."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        path = lambda name: os.path.join(folder, name)  # noqa: E731
        for name in ("a", "b"):
            open(path(name), "wb").close()
        os.mkdir(path("marker"))
        subprocess.run(["minisign", "-G", "-W", "-p", path("key.pub"), "-s", path("key")], check=True, capture_output=True)
        with open(path("key.pub")) as file:
            key = file.read().splitlines()[1]
        size = mebibytes << 20
        image = os.urandom(size)
        with open(path("fw.img"), "wb") as file:
            file.write(image)
        comment = (f"model=bench version=2 counter=2 size={size} sha256={hashlib.sha256(image).hexdigest()} expires=9999-12-31")
        subprocess.run(["minisign", "-S", "-H", "-s", path("key"), "-m", path("fw.img"), "-t", comment], check=True, capture_output=True)
        cloud = Cloud(stack, folder, profile)
        settings = (f'[firmware]\nbackend = "slots"\nslot_a = "{path("a")}"\nslot_b = "{path("b")}"\nmarker = "{path("marker")}"\n'
                    f'restart = ["touch", "{path("restarted")}"]\nmodel = "bench"\nkeys = ["{key}"]\n[log]\nlevel = "warn"\n')
        agent = Agent(stack, folder, cloud, [pattern()], program=[agent_program()], extra=settings)
        pid = agent.process.pid
        for name, file in (("image?name=fw.img", "fw.img"), ("signature", "fw.img.minisig")):
            with open(path(file), "rb") as body:
                _put(f"{cloud.page}/api/firmware/{name}", body.read())
        cloud.post("/api/firmware", {"firmware_model": "2"})
        time.sleep(5)
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")
        before = _status(pid, "VmRSS")
        tracer = subprocess.Popen(["strace", "-f", "-q", "-y", "-e", "trace=write,pwrite64,writev,pwritev", "-o", path("trace"), "-p", str(pid)],
                                  stderr=subprocess.DEVNULL)
        stack.callback(tracer.kill)
        time.sleep(1)
        began = time.monotonic()
        cloud.post("/api/event", {"login_code": LOGIN, "event": "UpgradeFirmware"})
        wait_for("restart of the device", lambda: os.path.exists(path("restarted")), 300)
        seconds = time.monotonic() - began
        grown = _status(pid, "VmHWM") - before
        tracer.terminate()
        tracer.wait(30)
        with open(path("b"), "rb") as file:
            if file.read(size) != image:
                raise Failed("the slot does not hold the image")
        with open(path("trace")) as file:
            written = sum(int(n) for n in re.findall(rf"<{re.escape(path('b'))}>.* = (\d+)$", file.read(), re.M))
        found = {"mebibytes": mebibytes, "written": written / size, "grown": grown / 1024, "seconds": seconds}
    say(f"upgrade: {found}")
    return found


def _put(url, body):
    with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=60) as answer:
        answer.read()


def _status(pid, name):
    """A value of /proc/PID/status in KiB."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(rf"^{name}:\s+(\d+) kB", file.read(), re.M)[1])
