"""What a process costs, read from /proc and strace."""
import os
import re
import signal
import subprocess
import time


def cpu_seconds(pids):
    """User and system time of the processes. The scheduler's own count: the ticks of /proc/PID/stat are too coarse."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0])
    return total / 1e9


def wakeups(pids):
    """Voluntary context switches of all threads."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as status:
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1])
    return total


def memory(pids):
    """Resident and proportional set size in MiB."""
    sums = {"Rss": 0, "Pss": 0}
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            text = rollup.read()
        for name in sums:
            sums[name] += int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1])
    return sums["Rss"] / 1024, sums["Pss"] / 1024


def system_calls(pids, seconds):
    """System calls a second, counted by strace in a phase of its own since it slows what it watches."""
    command = ["strace", "-c", "-f", "-q"] + [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    time.sleep(seconds)
    tracer.send_signal(signal.SIGINT)
    _, report = tracer.communicate(timeout=30)
    total = re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+)\s.*total$", report, re.M)
    return int(total[1]) / seconds if total else float("nan")


class Window:
    """The costs between its start and `close`."""

    def __init__(self, pids):
        self.pids = pids
        self.began, self.cpu, self.wakeups = time.monotonic(), cpu_seconds(pids), wakeups(pids)

    def close(self, streams):
        """Per stream: CPU seconds a second, wake-ups a second; of all: resident memory."""
        span = time.monotonic() - self.began
        resident, proportional = memory(self.pids)
        return {
            "cpu": (cpu_seconds(self.pids) - self.cpu) / span / streams,
            "wakeups": (wakeups(self.pids) - self.wakeups) / span / streams,
            "rss": resident,
            "pss": proportional,
        }
