"""A device that starts in 1970, and whose clock is set while it works: libfaketime under the agent."""
import glob
import os
import re
import time

from peers.ours import Agent, Cloud, clip
from peers.process import Failed, wait_for
from peers.sinks import TlsFront

from . import Skipped, add
from .record import complete, stored

SEGMENT = 1
# Seconds between the cloud's order and the first frame of a recording, which may be a little older.
LATE = 30
# libfaketime counts so many seconds a day.
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
        """It is right from now on."""
        self._show("+0")

    def _show(self, offset):
        new = f"{self.file}.new"
        with open(new, "w", encoding="ascii") as out:
            out.write(offset)
        os.replace(new, self.file)


class Port:
    """What stands behind TLS."""

    def __init__(self, port):
        self.port = port


def fronts(stack, folder, cloud, **validity):
    """TLS in front of the cloud's web and RTMP servers, and the file that pins both."""
    made = []
    for name, port in (("ivc", cloud.port), ("rtmp", cloud.get("/api/info")["rtmp_port"])):
        own = os.path.join(folder, name)
        os.mkdir(own)
        made.append(TlsFront(stack, own, Port(port), **validity))
    pins = os.path.join(folder, "pins.pem")
    with open(pins, "w", encoding="ascii") as out:
        for front in made:
            with open(front.ca_file, encoding="ascii") as certificate:
                out.write(certificate.read())
    cloud.device_url = f"wss://localhost:{made[0].port}/ivc"
    return made[1], pins


def stream(cloud, key):
    return next((s for s in cloud.get("/api/streams") if s["key"] == key), {"frames": 0})


def steps(dated):
    """Login, live stream and recording in 1970; then the clock is set, and nobody notices."""
    def run(stack, folder):
        clock, cloud = Clock(folder), Cloud(stack, folder)
        rtmp, pins = fronts(stack, folder, cloud, env={**clock.env, **ALWAYS}, days=20_000)
        agent = Agent(stack, folder, cloud, [clip(None)], ca_file=pins, env=clock.env)
        cloud.publish(rtmp.url("s"), "s")
        began = time.time()
        # A date that only the cloud can know.
        given = int(began) - 30 * DAY if dated else 0
        cloud.record("r", seconds=SEGMENT, start=given)
        wait_for("publish in 1970", lambda: stream(cloud, "s")["frames"] >= 60, 30)
        wait_for("recording in 1970", lambda: len(stored(cloud, "r")) >= 3, 30)
        clock.set()
        before, recorded = stream(cloud, "s")["frames"], len(stored(cloud, "r"))
        # Beyond a Keepalive.
        wait_for("publish after the step", lambda: stream(cloud, "s")["frames"] >= before + 300, 30)
        wait_for("recording after the step", lambda: len(stored(cloud, "r")) >= recorded + 4, 30)
        live, logins = stream(cloud, "s"), cloud.device()["logins"]
        cloud.stop("s")
        cloud.publish(rtmp.url("t"), "t")
        wait_for("TLS with the clock set", lambda: stream(cloud, "t")["frames"] >= 30, 30)

        first = min(segment["start_us"] for segment in stored(cloud, "r")) / 1e6
        if first != given if dated else abs(first - began) > LATE:
            raise Failed(f"ordered at {began}, dated {given or 'by the device'}, and it starts at {first}")
        complete(cloud, "r")
        if (live["publishes"], live["dts_violations"], logins) != (1, 0, 1):
            raise Failed(f"the step was noticed: {live}, {logins} logins")
        judge(agent.process.output())
    return run


def judge(log):
    """Dates of the log as the clock had them, and one complaint of it."""
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
    """A certificate from after the build has to wait for the clock; the log says for what."""
    clock, cloud = Clock(folder), Cloud(stack, folder)
    _, pins = fronts(stack, folder, cloud)
    agent = Agent(stack, folder, cloud, [clip(None)], ca_file=pins, env=clock.env, wait=False)
    agent.process.said(r"\[1970-.*TLS with localhost failed: .*valid from 20\d\d-.*device's clock says 1970-.*counts instead")
    clock.set()
    agent.online(cloud, 60)


add("in 1970 it logs in, publishes and records until its clock is set", steps(dated=False), 120)
add("in 1970 a recording keeps the date the cloud gave it", steps(dated=True), 120)
add("in 1970 a certificate newer than the program waits for the clock", newer_certificate, 120)
