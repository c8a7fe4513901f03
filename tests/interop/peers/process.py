"""Programs under test: started in their own process group with a log file, ended with the case that started them."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """What a peer saw and what was expected."""


def wait_for(what, probe, seconds):
    """The first true value of `probe()`, polled; fails naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"no {what} within {seconds} s")
        time.sleep(0.05)


def free_port():
    """A port nobody has now; for programs which cannot say what the kernel chose for them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    """Whether something listens on `port`, asked of the kernel: a connection would disturb one-shot servers."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return any(row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows[1:])


class Process(contextlib.AbstractContextManager):
    """A running program. Leaving the context ends its whole group."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.log = os.path.join(folder, f"{name}.log")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self.child.pid

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def said(self, pattern, seconds=15):
        """Waits until the log holds `pattern`; the match."""
        def probe():
            match = re.search(pattern, self.output())
            if not match and self.child.poll() is not None:
                raise Failed(f"{self.name} ended with {self.child.returncode}: {self.tail()}")
            return match
        return wait_for(f"{pattern!r} from {self.name}", probe, seconds)

    def listening(self, port, seconds=15):
        """Waits until `port` is open."""
        def probe():
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended with {self.child.returncode}: {self.tail()}")
            return listens(port)
        wait_for(f"open port of {self.name}", probe, seconds)
        return self

    def ended(self, seconds=15):
        """Waits for the program to end by itself; its exit status."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {seconds} s: {self.tail()}") from None

    def tail(self):
        return " / ".join(self.output().strip().splitlines()[-4:]) or "(no output)"

    def stop(self):
        """Asks politely, then insists."""
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
