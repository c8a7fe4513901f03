"""From the alarm at the camera to the cloud: AlarmNotify, and its picture. The clock is the machine's, whose milliseconds `ivc-sim` notes."""
import concurrent.futures
import contextlib
import json
import statistics
import tempfile
import time
import urllib.error
import urllib.request

from peers.ours import LOGIN, Agent, Cloud
from peers.process import Failed, Process, wait_for
from peers.paths import built

from .subjects import agent_program

USER, PASSWORD = "bench", "pw-of-bench"
# What is raised in turn, and its number on the wire.
TRIGGERS = {"motion": 3, "line": 4, "input": 2}
# Streams of events: the family of `camera-sim`, how the agent reaches it, and what it tells of.
STREAMS = {
    "uapi metadata": ("uapi", "backend = \"cgi\"\nprofile = \"uapi\"\nweb = \"{web}\"", ("motion", "line")),
    "Hikvision alertStream": ("hikvision", "backend = \"cgi\"\nprofile = \"hikvision\"\nweb = \"{web}\"", tuple(TRIGGERS)),
    "Dahua eventManager": ("dahua", "backend = \"cgi\"\nprofile = \"dahua\"\nweb = \"{web}\"", tuple(TRIGGERS)),
    "ONVIF PullPoint": ("uapi", "backend = \"onvif\"\nonvif = \"{web}/onvif/device_service\"", tuple(TRIGGERS)),
}
# The emulator in the agent raises its first alarm so many seconds after its start, and then one a second.
FIRST = 5
ARMED = '[alarm]\nenable = ["external", "motion", "line"]\ndelay_seconds = 1\n'
SETTINGS = f'{ARMED}[log]\nlevel = "warn"\n'


def measure(count, profile, say):
    """Milliseconds for each stream: alarm to AlarmNotify, and to the last byte of its picture."""
    with concurrent.futures.ThreadPoolExecutor(len(STREAMS) + 1) as pool:
        runs = {name: pool.submit(_one, name, count, profile) for name in STREAMS}
        runs["emulator"] = pool.submit(_emulator, count, profile)
        found = {name: run.result() for name, run in runs.items()}
    for name, figures in found.items():
        say(f"alarms, {name}: {figures}")
    return found


def camera(stack, folder, name, profile):
    """Starts the camera of a stream of events; the keys of its channel, and the address at which its alarms are set off."""
    family, keys, _ = STREAMS[name]
    process = stack.enter_context(Process("camera-sim", [
        built("camera-sim", profile), "--bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--control", "127.0.0.1:0",
        "--family", family, "--user", USER, "--password", PASSWORD, "--pattern"], folder))
    stream = process.said(r"rtsp://\S+/ch0/main")[0]
    web, control = process.said(r"(?sm)(http://127\.0\.0\.1:\d+)/.*^(http://127\.0\.0\.1:\d+)/$").groups()
    return f'{keys.format(web=web)}\nmain = "{stream}"\nusername = "{USER}"\npassword = "{PASSWORD}"', control


def _one(name, count, profile):
    triggers = STREAMS[name][2]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        cloud = Cloud(stack, folder, profile)
        channel, control = camera(stack, folder, name, profile)
        Agent(stack, folder, cloud, [channel], program=[agent_program()], extra=SETTINGS)
        until_heard(cloud, control)
        notified, pictured = [], []
        while len(notified) < count:
            for trigger in triggers:
                raised, alarm = _raise(cloud, control, trigger, TRIGGERS[trigger])
                notified.append(alarm["time_ms"] - raised)
                pictured.append(alarm["picture"]["time_ms"] - raised)
            end(cloud, control)
        return {"notified": share(notified), "pictured": share(pictured), "count": len(notified)}


def _emulator(count, profile):
    """Its times count from its start, which comes after that of the process: the figures hold the agent's start as well."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ivt-bench-"))
        cloud = Cloud(stack, folder, profile)
        schedule = [f"{trigger}:at={FIRST + at}s,every={len(TRIGGERS)}s,for=500ms" for at, trigger in enumerate(TRIGGERS)]
        started = time.time() * 1000
        channel = f'backend = "emulator"\nalarms = {json.dumps(schedule)}'
        Agent(stack, folder, cloud, [channel], program=[agent_program()], extra=SETTINGS)
        found = {}

        def complete():
            found.update((a["number"], a) for a in _alarms(cloud) if a["state"] == "start" and a["picture"])
            return len(found) >= count
        wait_for("alarms of the schedule", complete, FIRST + count + 30)
        starts = [found[number] for number in sorted(found)][:count]
        numbers = list(TRIGGERS.values())
        if [alarm["type"] for alarm in starts] != [numbers[at % len(numbers)] for at in range(count)]:
            raise Failed("an alarm of the schedule is missing")
        moments = [started + (FIRST + at) * 1000 for at in range(count)]
        notified = [alarm["time_ms"] - moment for alarm, moment in zip(starts, moments)]
        pictured = [alarm["picture"]["time_ms"] - moment for alarm, moment in zip(starts, moments)]
        return {"notified": share(notified), "pictured": share(pictured), "count": count}


def _alarms(cloud):
    with contextlib.suppress(urllib.error.HTTPError):
        return cloud.get(f"/api/devices/{LOGIN}/alarms")
    return []


def set_off(control, trigger, on):
    """Sets an alarm off, or ends it; the moment before that in milliseconds since 1970."""
    before = time.time() * 1000
    request = urllib.request.Request(f"{control}/trigger/0/{trigger}?on={json.dumps(on)}", b"", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
    return before


def _raise(cloud, control, trigger, number):
    last = max((alarm["number"] for alarm in _alarms(cloud)), default=0)
    raised = set_off(control, trigger, True)

    def complete():
        new = (a for a in _alarms(cloud) if a["number"] > last and a["type"] == number and a["state"] == "start" and a["picture"])
        return next(new, None)
    return raised, wait_for(f"report and picture of {trigger}", complete, 15)


def end(cloud, control):
    for trigger in TRIGGERS:
        set_off(control, trigger, False)

    def over():
        alarms = _alarms(cloud)
        newest = {number: next((a["state"] for a in alarms if a["type"] == number), "end") for number in TRIGGERS.values()}
        return set(newest.values()) == {"end"}
    wait_for("end of the alarms", over, 15)


def until_heard(cloud, control):
    """Waits until the agent listens."""
    for _ in range(10):
        try:
            _raise(cloud, control, "line", TRIGGERS["line"])
            return end(cloud, control)
        except Failed:
            set_off(control, "line", False)
    raise Failed("no alarm is heard")


def share(values):
    values = sorted(values)
    return {"median": statistics.median(values), "p95": values[int(len(values) * 0.95) - 1], "max": values[-1]}
