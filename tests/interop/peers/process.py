"""Programs under test: started in their own process group with a log file, ended with the case that started them."""
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import time

from .confined import confine


class Failed(Exception):
    """A case or a peer failed; the text says what was seen and what was expected."""


def wait_for(what, probe, seconds):
    """Polls `probe()` until its value is true, and returns the value; fails naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"no {what} within {seconds} s")
        time.sleep(0.05)


def output(command, seconds=120):
    """Runs a command and returns standard output and error together; any exit status but 0 fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=seconds)
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(command[0])} ended with {done.returncode}: {done.stdout.strip()[-300:]}")
    return done.stdout.strip()


def free_port():
    """A free port that the kernel does not choose for others, for programs that cannot tell the port that they got."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        lowest = int(limits.read().split()[0])
    while True:
        # Where the kernel chooses from all ports, the upper ones are as good as any.
        port = random.randrange(lowest // 2, lowest) if lowest > 4096 else random.randrange(32768, 61000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def listens(port, network="self"):
    """Whether something listens on `port`, asked of the kernel: a connection would disturb one-shot servers. `network` is a
    process in the network that is meant."""
    return _in_state("0A", port, network)


def connected(port):
    """Whether somebody is connected to `port`."""
    return _in_state("01", port, "self")


def _in_state(state, port, network):
    with open(f"/proc/{network}/net/tcp") as table:
        rows = [line.split() for line in table]
    return any(row[3] == state and row[1].endswith(f":{port:04X}") for row in rows[1:])


class Process(contextlib.AbstractContextManager):
    """A running program. Leaving the context ends its whole group."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.log = os.path.join(folder, f"{name}.log")
        confine(command)
        with open(self.log, "ab") as log:
            # A program that is started anew goes on in the file of the one before.
            self.begin = log.tell()
            self.child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self.child.pid

    def output(self, begin=0):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            return log.read()

    def said(self, pattern, seconds=30):
        """Waits until this program has written `pattern`, and returns the match."""
        def probe():
            match = re.search(pattern, self.output(self.begin))
            if not match and self.child.poll() is not None:
                raise Failed(f"{self.name} ended with {self.child.returncode}: {self.tail()}")
            return match
        return wait_for(f"{pattern!r} from {self.name}", probe, seconds)

    def listening(self, port, seconds=30):
        """Waits until `port` is open."""
        def probe():
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended with {self.child.returncode}: {self.tail()}")
            return listens(port, self.pid)
        wait_for(f"open port of {self.name}", probe, seconds)
        return self

    def ended(self, seconds=30):
        """Waits until the program has ended by itself, and returns its exit status."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {seconds} s: {self.tail()}") from None

    def tail(self):
        return " / ".join(self.output().strip().splitlines()[-4:]) or "(no output)"

    def stop(self):
        """Ends the program by SIGTERM, or by SIGKILL if that takes 5 s."""
        for signum, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(patience)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)

    def __exit__(self, *_):
        self.stop()
