"""Recordings on real disks: full, read-only, and over a restart of the agent; judged by what the recording service holds."""
import os
import re
import subprocess
import time

from peers.ours import Agent, Cloud, clip, spooled
from peers.process import Failed, wait_for

from . import Skipped, add
from .segments import judge_alone, probe

SEGMENT = 1
BROKEN = {"put": {"fault": {"status": 503}}}
# Largest gap or overlap of two segments in seconds: the clip's times are in milliseconds.
TOLERANCE = 0.05
# Pictures a second of the built-in clip.
RATE = 15


def settings(spool, mode):
    return f'[record]\nspool_dir = "{spool}"\nspool = "{mode}"\n'


def stored(cloud, session):
    """The segments that the service has, in the order of their creation."""
    return [s for s in cloud.recording(session)["segments"] if s["state"] in ("uploaded", "confirmed")]


# Rules that an upload which was cut off breaks: its name is not given up, or its bytes come again.
CUT_OFF = ("unfinished", "repeated_put")


def complete(cloud, session, gaps=0, allowed=()):
    """Fails if a moment between the first and the last segment is there twice, or is missing outside of `gaps` gaps. Returns the
    segments behind the gaps."""
    violations = [v for v in cloud.recording(session)["violations"] if v["rule"] not in allowed]
    if violations:
        raise Failed(f"the service complains: {violations[0]}")
    segments = sorted(stored(cloud, session), key=lambda s: s["start_us"])
    behind = []
    for before, after in zip(segments, segments[1:]):
        apart = (after["start_us"] - before["start_us"] - before["duration_us"]) / 1e6
        if apart > TOLERANCE and len(behind) < gaps:
            behind.append(after)
        elif abs(apart) > TOLERANCE:
            raise Failed(f"{apart:+.3f} s between {before['name']} and {after['name']}")
    return behind


def decodes(cloud, folder, session):
    """Fails unless each segment of the service plays alone, and all of them play together with every picture."""
    segments = sorted(stored(cloud, session), key=lambda s: s["start_us"])
    recording = os.path.join(folder, "all.ts")
    with open(recording, "wb") as whole:
        for segment in segments:
            body = cloud.object(session, segment["name"])
            whole.write(body)
            alone = os.path.join(folder, segment["name"])
            with open(alone, "wb") as out:
                out.write(body)
            judge_alone(alone, "h264", segment["duration_us"] / 1e6, 1.01 / RATE)
    video = next(s for s in probe(recording, "-count_frames")["streams"] if s["codec_name"] == "h264")
    expected = round(sum(s["duration_us"] for s in segments) / 1e6 * RATE)
    if int(video["nb_read_frames"]) != expected:
        raise Failed(f"{video['nb_read_frames']} pictures of {expected} can be decoded")


def small_disk(stack, folder, options):
    """Mounts a small file system for the case and returns its folder."""
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode:
        raise Skipped("mounting a file system is not allowed here")
    stack.callback(subprocess.run, ["umount", "-l", disk], check=True)
    if options:
        subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)
    return disk


def filled_disk(stack, folder):
    """Does as `small_disk`, with a disk that a file "full" takes all of."""
    disk = small_disk(stack, folder, "")
    with open(os.path.join(disk, "full"), "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return disk


def bad_disk(options):
    """The spool cannot be written: the recording goes on in memory, and the log says so once."""
    def run(stack, folder):
        cloud = Cloud(stack, folder)
        disk = small_disk(stack, folder, options)
        if not options:
            with open(os.path.join(disk, "full"), "wb") as file:
                file.write(bytes(248 << 10))
        agent = Agent(stack, folder, cloud, [clip(None)], extra=settings(os.path.join(disk, "spool"), "always"))
        cloud.record("r", seconds=SEGMENT)
        wait_for("eight segments", lambda: len(stored(cloud, "r")) >= 8, 30)
        complete(cloud, "r")
        complaints = re.findall(r"WARN.*spool.*", agent.process.output())
        if len(complaints) != 1:
            raise Failed(f"expected one line about the spool, got {complaints}")
    return run


def change_card(stack, folder):
    """A card that is empty again can be taken out while the agent runs, and another one put in."""
    cloud = Cloud(stack, folder)
    disk = small_disk(stack, folder, "")
    spool = os.path.join(disk, "spool")

    def files():
        return [name for _, _, names in os.walk(spool) for name in names]
    agent = Agent(stack, folder, cloud, [clip(None)], extra=settings(spool, "always"))
    for session in ("r", "s"):
        cloud.record(session, seconds=SEGMENT)
        wait_for("a segment in the spool", lambda: spooled(spool), 30)
        wait_for("three segments", lambda: len(stored(cloud, session)) >= 3, 30)
        cloud.call("StopCloudRecord", {"channel": 0, "session_id": session})
        wait_for("an empty spool", lambda: not files(), 30)
        complete(cloud, session)
        # Without `-l`, which would unmount a card that is in use.
        wait_for("the card to be free", lambda: subprocess.run(["umount", disk], capture_output=True).returncode == 0, 30)
        if os.listdir(disk):
            raise Failed(f"without the card, {os.listdir(disk)} was made below it")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    complaints = re.findall(r"WARN.*spool.*", agent.process.output())
    if complaints:
        raise Failed(f"expected no line about the spool, got {complaints}")


def outage(stack, folder):
    """After an outage longer than memory holds, the segments on the card are uploaded behind the live ones."""
    cloud = Cloud(stack, folder)
    spool = os.path.join(folder, "spool")
    Agent(stack, folder, cloud, [clip(None)], extra=settings(spool, "overflow"))
    cloud.record("r", seconds=SEGMENT)
    wait_for("a segment", lambda: stored(cloud, "r"), 30)
    cloud.record_faults(BROKEN)
    wait_for("ten segments on the card", lambda: len(spooled(spool)) >= 10, 60)
    before = len(stored(cloud, "r"))
    cloud.record_faults({})
    wait_for("the backlog", lambda: len(stored(cloud, "r")) >= before + 30, 90)
    complete(cloud, "r")
    by_upload = stored(cloud, "r")
    turns = [after for previous, after in zip(by_upload, by_upload[1:])
             if abs(after["start_us"] - previous["start_us"] - previous["duration_us"]) / 1e6 > TOLERANCE]
    if not turns:
        raise Failed(f"expected live segments among the backfilled ones: {len(by_upload)} came in one row")
    unmarked = [s["name"] for s in turns if not s["discontinue"]]
    if unmarked:
        raise Failed(f"no discontinue=1 at a switch between live and backfill: {unmarked}")
    decodes(cloud, folder, "r")


def restart(mode, again=False):
    """An agent that is told to end keeps the segments that are not uploaded, and the next one uploads them, also while it records
    `again` under the same name."""
    def run(stack, folder):
        cloud = Cloud(stack, folder)
        spool = os.path.join(folder, "spool")
        extra = settings(spool, mode)
        agent = Agent(stack, folder, cloud, [clip(None)], extra=extra)
        began = time.time()
        cloud.record("r", seconds=SEGMENT)
        wait_for("a segment", lambda: stored(cloud, "r"), 30)
        cloud.record_faults(BROKEN)
        # In `overflow` the first of them is written when memory is full.
        waiting = 3 if mode == "always" else 1
        wait_for("segments on the card", lambda: len(spooled(spool)) >= waiting, 30)
        agent.process.child.terminate()
        ended = time.time()
        agent.process.ended()
        cloud.record_faults({})
        Agent(stack, folder, cloud, [clip(None)], extra=extra)
        if again:
            cloud.record("r", seconds=SEGMENT)
            wait_for("what is recorded again", lambda: any(s["start_us"] / 1e6 > ended + 3 for s in stored(cloud, "r")), 60)

        def seconds():
            return sum(s["duration_us"] for s in stored(cloud, "r") if s["start_us"] / 1e6 < ended) / 1e6
        wait_for("what was recorded before the end", lambda: seconds() >= ended - began - 0.5, 60)
        gaps = complete(cloud, "r", gaps=1 if again else 0, allowed=CUT_OFF)
        unmarked = [s["name"] for s in gaps if not s["discontinue"]]
        if unmarked:
            raise Failed(f"no discontinue=1 behind the restart: {unmarked}")
        decodes(cloud, folder, "r")
    return run


add("a recording goes on when the spool's disk is full", bad_disk(""))
add("a recording goes on when the spool's disk is read-only", bad_disk("ro"))
add("a card is changed while the agent runs", change_card, 150)
add("an outage longer than memory is backfilled from the spool", outage, 180)
add("a spool that overflows keeps a recording over a restart", restart("overflow"), 120)
add("a spool of everything keeps a recording over a restart", restart("always"), 120)
add("a session goes on in the spool of its former run, overflow", restart("overflow", again=True), 120)
add("a session goes on in the spool of its former run, always", restart("always", again=True), 120)
