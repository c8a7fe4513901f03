"""Faults at the start of a device: the agent starts all the same, tells of the fault once, and does what it can."""
import os
import re
import subprocess

from peers.confined import give
from peers.ours import Agent, Cloud, clip, configuration, keep_secret
from peers.paths import built
from peers.process import Failed, Process, wait_for

from . import add
from .record import complete, settings, small_disk, stored

NEWER = '''
[[channel]]
backend = "webrtc"
address = "camera.example.com"
[hologram]
depth = 3
'''


def newer(stack, folder):
    """With the configuration of a newer agent, known settings work, and unknown ones are told of and harm nothing."""
    cloud = Cloud(stack, folder)
    known = configuration(cloud, [clip(None), clip(None)])
    first, second = known.rsplit("[[channel]]", 1)
    config = os.path.join(folder, "agent.toml")
    keep_secret(config, f'version = 2\nshiny = true\n{first}{NEWER.strip()}\n[[channel]]{second}')
    command = [built("ivt-agent"), "--config", config]
    checked = subprocess.run([*command, "--check-config"], capture_output=True, text=True, timeout=15)
    if checked.returncode != 0 or "good" not in checked.stdout or "hologram" not in checked.stderr:
        raise Failed(f"--check-config ended with {checked.returncode}: {checked.stdout}{checked.stderr}")
    agent = stack.enter_context(Process("ivt-agent", command, folder))
    wait_for("login of the agent", cloud.device, 15)
    cloud.publish(cloud.rtmp_url("s"), "s", channel=2)
    wait_for("publish", lambda: any(s["frames"] >= 30 for s in cloud.get("/api/streams")), 30)
    try:
        cloud.publish(cloud.rtmp_url("t"), "t", channel=1)
    except Failed as refused:
        if "newer configuration" not in str(refused):
            raise
    else:
        raise Failed("a channel that is not understood was published")
    notes = re.findall(r"WARN .*agent\.toml:(\d+): (.*)", agent.output())
    expected = ["version 2 is newer", "channel.backend must be", 'unknown key "shiny"', 'unknown key "hologram"']
    missing = [want for want in expected if not any(note.startswith(want) for _, note in notes)]
    if missing or len(notes) != len(expected):
        raise Failed(f"expected one line for each of {expected}, got {notes}")


def read_only_at_first(there):
    """The spool cannot be written when the agent starts, and can later; with `there` its folder was made before."""
    def run(stack, folder):
        cloud = Cloud(stack, folder)
        disk = small_disk(stack, folder, "")
        spool = os.path.join(disk, "spool")
        if there:
            os.mkdir(spool)
        give(disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        agent = Agent(stack, folder, cloud, [clip(None)], extra=settings(spool, "always"))
        agent.process.said(r"WARN .*Read-only file system.*: mount it writable; recordings go on in memory")
        cloud.record("r", seconds=1)
        wait_for("three segments", lambda: len(stored(cloud, "r")) >= 3, 30)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        agent.process.said("the spool .* works again" if there else "the spool is open", 75)
        if not there:
            complete(cloud, "r")
            cloud.record("s", seconds=1)
        wait_for("a segment in the spool", lambda: any(".seg" in str(names) for _, _, names in os.walk(spool)), 30)
        last = "r" if there else "s"
        recorded = len(stored(cloud, last))
        wait_for("three more segments", lambda: len(stored(cloud, last)) >= recorded + 3, 30)
        complete(cloud, last)
        complaints = re.findall(r"WARN.*spool.*", agent.process.output())
        if len(complaints) != 1:
            raise Failed(f"expected one line about the spool, got {complaints}")
    return run


add("a configuration of a newer version starts with what is known of it", newer)
add("a spool that is read-only at first is used once it can be written", read_only_at_first(there=True), 180)
add("a spool that cannot be made at first is used by later recordings", read_only_at_first(there=False), 180)
