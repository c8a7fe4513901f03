"""A booted Debian, its packages and its services, as an administrator sees them."""
import os
import re
import subprocess
import sys

import room

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tests/interop"))
from peers.process import Failed, wait_for  # noqa: E402

# Seconds for what an emulated processor does beside everything else that runs here.
PATIENCE = 300
# What Debian's own tools leave behind: their state, logs and caches.
NOT_COMPARED = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log", "/var/lib/systemd",
                "/var/lib/private", "/root", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid",
                "/etc/ld.so.cache", "/var/lib/dbus", "/etc/machine-id", "/var/tmp")


class Debian:
    """The root at `place`, which has booted."""

    def __init__(self, place):
        self.place = place

    def path(self, path):
        return os.path.join(self.place, path.lstrip("/"))

    def ask(self, *words, stdin=None):
        """Runs a command; its exit status and all that it said."""
        done = subprocess.run(room.command(self.place, *words), stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE)
        return done.returncode, done.stdout.strip()

    def do(self, *words, stdin=None):
        """Runs a command that must not fail; what it said."""
        status, said = self.ask(*words, stdin=stdin)
        if status:
            raise Failed(f"{' '.join(words)} ended with {status}: {said[-600:]}")
        return said

    def booted(self):
        """Waits until the services of the root itself have started."""
        wait_for("end of the boot", lambda: self.ask("systemctl", "is-system-running")[1] in ("running", "degraded"), PATIENCE)

    def install(self, *files, options=()):
        """Installs packages as a person does who was sent the files; nothing is fetched, and nobody is there to be asked."""
        return self.do("apt-get", "-qy", "--no-install-recommends", *options, "install", *files)

    def state(self, unit):
        """What systemd says of a unit: (enabled, active)."""
        return self.ask("systemctl", "is-enabled", unit)[1], self.ask("systemctl", "is-active", unit)[1]

    def process(self, unit):
        """The number of a unit's main process within the room; 0 where it does not run."""
        return int(self.do("systemctl", "show", "-P", "MainPID", unit))

    def journal(self, unit):
        return self.ask("journalctl", "-q", "--no-pager", "-o", "cat", "-u", unit)[1]

    def mode(self, path):
        """OWNER:GROUP MODE of a file."""
        return self.do("stat", "-c", "%U:%G %a", path)

    def write(self, path, text):
        """Writes a file and leaves owner and mode as they are, as editors do."""
        with open(self.path(path), "w") as file:
            file.write(text)

    def read(self, path):
        with open(self.path(path)) as file:
            return file.read()

    def bytes(self, path):
        with open(self.path(path), "rb") as file:
            return file.read()

    def files(self):
        """Everything in the root that belongs to no tool's own state, with owner, mode and target."""
        prune = [word for path in NOT_COMPARED for word in ("-path", path, "-prune", "-o")]
        return set(self.do("find", "/", "-xdev", *prune, "-printf", "%p %u:%g %m %l\n").splitlines())

    def accounts(self):
        """Names of users and groups."""
        return {f"{kind} {line.split(':')[0]}" for kind in ("passwd", "group") for line in self.read(f"/etc/{kind}").splitlines()}


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failed(f"{what}: {seen!r}, and {wanted!r} was expected")


def expect_match(what, pattern, text):
    if not re.search(pattern, text):
        raise Failed(f"{what}: no {pattern!r} in {text[-600:]!r}")
