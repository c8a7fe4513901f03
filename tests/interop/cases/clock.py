"""A device that starts in 1970, and whose clock is set while it works: libfaketime under the agent."""
import glob
import os
import re
import time

from peers.fronts import secure
from peers.ours import Agent, Cloud, clip
from peers.process import Failed, wait_for

from . import Skipped, add
from .record import complete, stored

SEGMENT = 1
# Most seconds between the cloud's order and the first frame of a recording.
LATE = 30
# Seconds of a day, as libfaketime counts them.
DAY = 86_400
ALWAYS = {"FAKETIME": "@2020-01-01 00:00:00"}


class Clock:
    """A clock of its own for the processes with its `env`; it starts on 2 January 1970."""

    def __init__(self, folder):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not libraries:
            raise Skipped("libfaketime is missing: tests/interop/setup")
        self.file = os.path.join(folder, "clock")
        self.env = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self._show(f"-{int(time.time() // DAY) - 1}d")

    def set(self):
        """Sets the clock right."""
        self._show("+0")

    def _show(self, offset):
        new = f"{self.file}.new"
        with open(new, "w", encoding="ascii") as out:
            out.write(offset)
        os.replace(new, self.file)


def steps(dated):
    """Logs in, publishes and records in 1970; then the clock is set, and nobody may notice."""
    def run(stack, folder):
        clock, cloud = Clock(folder), Cloud(stack, folder)
        fronts, authorities = secure(stack, folder, cloud, env={**clock.env, **ALWAYS}, days=20_000)
        rtmp = fronts["rtmp"]
        agent = Agent(stack, folder, cloud, [clip(None)], ca_file=authorities, env=clock.env)
        cloud.publish(rtmp.url("s"), "s")
        began = time.time()
        # The cloud gives a date that the device cannot know.
        given = int(began) - 30 * DAY if dated else 0
        cloud.record("r", seconds=SEGMENT, start=given)
        wait_for("publish in 1970", lambda: cloud.stream("s")["frames"] >= 60, 30)
        wait_for("recording in 1970", lambda: len(stored(cloud, "r")) >= 3, 30)
        clock.set()
        before, recorded = cloud.stream("s")["frames"], len(stored(cloud, "r"))
        # So many frames take longer than a Keepalive.
        wait_for("publish after the step", lambda: cloud.stream("s")["frames"] >= before + 300, 30)
        wait_for("recording after the step", lambda: len(stored(cloud, "r")) >= recorded + 4, 30)
        live, logins = cloud.stream("s"), cloud.device()["logins"]
        cloud.stop("s")
        cloud.publish(rtmp.url("t"), "t")
        wait_for("TLS with the clock set", lambda: cloud.stream("t")["frames"] >= 30, 30)

        first = min(segment["start_us"] for segment in stored(cloud, "r")) / 1e6
        if first != given if dated else abs(first - began) > LATE:
            raise Failed(f"ordered at {began}, dated {given or 'by the device'}, and it starts at {first}")
        complete(cloud, "r")
        if (live["publishes"], live["dts_violations"], logins) != (1, 0, 1):
            raise Failed(f"the step was noticed: {live}, {logins} logins")
        judge(agent.process.output())
    return run


def judge(log):
    """Fails unless the log has the dates of the clock, and one complaint of the clock."""
    years = [line[:6] for line in log.splitlines()]
    right = time.strftime("[%Y-", time.gmtime())
    if years != sorted(years) or {years[0], years[-1]} != {"[1970-", right}:
        raise Failed(f"the log's dates: {years}")
    complaints = re.findall(r"WARN .*set the clock.*", log)
    if len(complaints) != 1:
        raise Failed(f"expected one line about the clock, got {complaints}")
    if "panicked" in log:
        raise Failed("the agent panicked")


def newer_certificate(stack, folder):
    """A certificate from after the build is taken once the clock is set; the log tells what it waits for."""
    clock, cloud = Clock(folder), Cloud(stack, folder)
    _, authorities = secure(stack, folder, cloud)
    agent = Agent(stack, folder, cloud, [clip(None)], ca_file=authorities, env=clock.env, wait=False)
    agent.process.said(r"\[1970-.*TLS with localhost failed: .*valid from 20\d\d-.*device's clock says 1970-.*counts instead")
    clock.set()
    agent.online(cloud, 60)


add("in 1970 it logs in, publishes and records until its clock is set", steps(dated=False), 120)
add("in 1970 a recording keeps the date the cloud gave it", steps(dated=True), 120)
add("in 1970 a certificate newer than the program waits for the clock", newer_certificate, 120)
