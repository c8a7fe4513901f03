"""A device's root file system, read-only and with nothing in it but BusyBox, the agent and what a case adds."""
import os
import re
import shutil
import subprocess

from .paths import built
from .process import Failed, Process

# The shell script that enters an image, in mounts of its own: nothing is mounted on this machine itself.
ENTER = """
mount --bind "$1" "$1"
for each in $2; do mount -t tmpfs -o size=1m,mode=755 tmpfs "$1/$each"; done
[ ! -d "$1/data" ] || mount --bind "$1/data" "$1/data"
mount --bind /dev/null "$1/dev/null"
mount -o remount,bind,ro "$1"
root=$1 user=$3
shift 3
exec chroot --userspec="$user" --groups= "$root" "$@"
"""
APPLETS = ("sh", "cat", "chgrp", "chmod", "id", "kill", "logger", "rm", "sleep", "start-stop-daemon", "touch")
# Number of the image's user `ivt` and of the user's group.
IVT = 990


class Image:
    """An image whose files lie in `root` on this machine. `/data` can be written once it is there, and so can `/var/run`."""

    def __init__(self, folder):
        busybox = shutil.which("busybox")
        if not busybox:
            raise Failed("busybox is missing: run tests/interop/setup")
        self.root = os.path.join(folder, "image")
        self.add(busybox, "bin/busybox")
        for applet in APPLETS:
            os.symlink("busybox", os.path.join(self.root, "bin", applet))
        agent = built("ivt-agent")
        self.add(agent, "usr/bin/ivt-agent")
        for library in libraries(agent):
            self.add(library, library.lstrip("/"))
        for empty in ("var/run", "dev"):
            os.makedirs(os.path.join(self.root, empty))
        open(os.path.join(self.root, "dev/null"), "w").close()
        os.makedirs(os.path.join(self.root, "etc"), exist_ok=True)
        for name, text in (("passwd", f"root:x:0:0::/:/bin/sh\nivt:x:{IVT}:{IVT}::/:/bin/false\n"), ("group", f"root:x:0:\nivt:x:{IVT}:\n")):
            with open(os.path.join(self.root, "etc", name), "w", encoding="utf-8") as out:
                out.write(text)

    def add(self, source, path):
        """Copies a file into the image, and makes its folders."""
        inside = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(inside), exist_ok=True)
        shutil.copy(source, inside)

    def start(self, stack, folder, name, command, user="0:0", env=None):
        """Starts a command as on the device; all that it started ends with it."""
        enter = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh",
                 self.root, "var/run", user, *command]
        return stack.enter_context(Process(name, enter, folder, env))


def inside(process, *command):
    """Runs a command in the image of a started one, and returns the completed process."""
    (first,) = children(process.pid)
    enter = ["nsenter", "--target", first, "--mount", "--pid", "--root", "--wd", *command]
    return subprocess.run(enter, capture_output=True, text=True, timeout=30)


def children(pid):
    return subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()


def pids(process, program):
    """Process ids, on this machine, of a program in the image of a process."""
    first = children(process.pid)
    found = first and subprocess.run(["pgrep", "--ns", first[0], "--nslist", "pid", "-f", f"^{program}( |$)"], capture_output=True,
                                     text=True)
    return [int(pid) for pid in found.stdout.split()] if found else []


def libraries(program):
    """Files that a program is linked with."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", said)
