"""The agent on a device: a read-only root, no right at all, no port of its own, and a sandbox as in the systemd unit."""
import os
import re
import shutil
import subprocess

from peers import trace
from peers.cameras import PASSWORD, USER
from peers.confined import section
from peers.image import Image, children, inside
from peers.ours import MAC, Agent, Camera, Cloud, camera, configuration, keep_secret
from peers.paths import ROOT, built
from peers.process import Failed, wait_for

from . import Skipped, add
from .record import complete, stored
from .tlss import Server

NOBODY = 65534
UNIT = os.path.join(ROOT, "packaging/init/ivt-agent.service")
FRAMES = 50
SEGMENTS = 3


def everything(stack, folder, start, transport="tcp", spool=None):
    """Has an agent, started by `start`, log in, publish, record and answer the hosted service at the same time; returns its process."""
    cloud, hosted = Cloud(stack, folder), Server(stack, folder, "--silence-ms", "300")
    source = Camera(stack, folder, "--user", USER, "--password", PASSWORD)
    web = source.process.said(r"(http://[^/\s]+)/uapi-cgi")[1]
    extra = f'[tlss]\nenable = true\nserver = "127.0.0.1"\nport = {hosted.port}\nmac = "{MAC}"\n'
    if spool:
        extra += f'[record]\nspool_dir = "{spool}"\nspool = "always"\n'
    process = start(cloud, [camera(source.url, transport) + f'\nweb = "{web}"'], extra)
    cloud.publish(cloud.rtmp_url("s"), "s")
    cloud.record("r", seconds=1)
    wait_for("publish", lambda: any(stream["frames"] >= FRAMES for stream in cloud.get("/api/streams")), 30)
    wait_for("recording", lambda: len(stored(cloud, "r")) >= SEGMENTS, 30)
    wait_for("session of the hosted service", lambda: hosted.device()["done"], 30)
    complete(cloud, "r")
    return process


def read_only_root(stack, folder):
    """Runs as `nobody` in an image of which only the folder with the configuration can be written."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        raise Skipped("mounts of one's own are not allowed here")
    image = Image(folder)
    data = os.path.join(image.root, "data")
    os.mkdir(data)
    shutil.chown(data, NOBODY, NOBODY)

    def start(cloud, channels, extra):
        config = os.path.join(data, "agent.toml")
        keep_secret(config, configuration(cloud, channels, extra=extra + section()))
        shutil.chown(config, NOBODY, NOBODY)
        process = image.start(stack, folder, "ivt-agent", ["/usr/bin/ivt-agent", "--config", "/data/agent.toml"], f"{NOBODY}:{NOBODY}")
        wait_for("login of the agent", cloud.device, 15)
        return process
    process = everything(stack, folder, start, spool="/data/spool")
    for path, writable in (("/usr/bin/new", False), ("/new", False), ("/data/new", True)):
        if (inside(process, "/bin/touch", path).returncode == 0) != writable:
            raise Failed(f"{path} can{'not' if writable else ''} be written")
    (agent,) = children(process.pid)
    with open(f"/proc/{agent}/status") as status:
        facts = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    seen = (facts["Uid"].split(), facts["Gid"].split(), int(facts["CapPrm"], 16), int(facts["CapEff"], 16))
    if seen != ([str(NOBODY)] * 4, [str(NOBODY)] * 4, 0, 0):
        raise Failed(f"expected nobody without a right, got {seen}")
    if not os.listdir(os.path.join(data, "spool")):
        raise Failed("the spool was not used")
    if complaints := re.findall(r".*(?:WARN|ERROR).*", process.output()):
        if complaints[1:] or "ws://" not in complaints[0]:
            raise Failed(f"the agent complains: {complaints}")


def sockets(process):
    """Protocol, state and address of each socket of a process."""
    rows = subprocess.run(["ss", "-H", "-natup"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [(row.split()[0], row.split()[1], row.split()[4]) for row in rows if f"pid={process.pid}," in row]


def ports(transport):
    """An agent that does everything listens nowhere: even its sockets for pictures over UDP are connected to the camera."""
    def run(stack, folder):
        process = everything(stack, folder, lambda cloud, channels, extra: Agent(
            stack, folder, cloud, channels, extra=extra).process, transport)
        seen = sockets(process)
        if listening := [row for row in seen if row[1] in ("LISTEN", "UNCONN")]:
            raise Failed(f"listens on {listening}")
        if any(protocol == "udp" for protocol, _, _ in seen) != (transport == "udp"):
            raise Failed(f"pictures come over {transport}, and the sockets are {seen}")
    return run


def system_calls(name):
    """The system calls of one of systemd's sets, and of the sets inside it."""
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    members = {line.strip() for line in said.splitlines()[1:] if not line.strip().startswith("#")} - {""}
    return set().union(*(system_calls(one) if one.startswith("@") else {one} for one in members))


def allowed():
    """The system calls that the unit allows."""
    with open(UNIT, encoding="utf-8") as unit:
        words = [word for line in unit if line.startswith("SystemCallFilter=") for word in line.split("=")[1].split()]
    return set().union(*(system_calls(word) if word.startswith("@") else {word} for word in words))


def sandbox(stack, folder):
    """The agent makes no system call that the systemd unit forbids."""
    if not shutil.which("systemd-analyze"):
        raise Skipped("systemd-analyze is not here")
    file = os.path.join(folder, "trace")
    program = [*trace.COMMAND, file, built("ivt-agent")]
    process = everything(stack, folder, lambda cloud, channels, extra: Agent(
        stack, folder, cloud, channels, extra=extra, program=program).process, spool=os.path.join(folder, "spool"))
    process.stop()
    seen = list(trace.calls(file))[1:]
    if forbidden := {call.name for call in seen} - allowed():
        raise Failed(f"the unit forbids {forbidden}")
    for call in seen:
        if call.name == "socket" and not re.match(r"AF_(INET6?|UNIX|NETLINK)\b", call.rest):
            raise Failed(f"not of RestrictAddressFamilies: {call.rest}")
        if call.name in ("mmap", "mprotect") and "PROT_WRITE|PROT_EXEC" in call.rest:
            raise Failed(f"against MemoryDenyWriteExecute: {call.name}({call.rest}")


add("a read-only root and no rights: login, publish, recording, hosted service", read_only_root)
for name in ("tcp", "udp"):
    add(f"nothing listens with a camera over {name.upper()}", ports(name))
add("the systemd unit forbids nothing that is needed", sandbox)
