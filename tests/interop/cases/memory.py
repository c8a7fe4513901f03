"""Memory under load: everything that the budget counts is full at once, and the agent stays under runtime.memory_limit."""
import os
import re
import subprocess
import time

from peers.ours import Agent, Camera, Cloud
from peers.paths import built
from peers.process import Failed, wait_for

from . import add

MIB = 1 << 20
CHANNELS = 4
# The limit leaves just enough for these recordings, each with 2 MiB of buffers.
LIMIT = 55 * MIB
SEGMENT, COUNT = 2 * MIB, 3
# Groups of pictures of 0.2 MB: segments are cut close to their limit.
SECONDS, GOP, RATE = 6, 10, "4M"
# Seconds for which the service is away: at 4 Mbit/s a backlog of 6 MiB is full after 13 s.
OUTAGE = 40
# Bytes of code and tables that the shipped program has; those of a debug build do not count.
CODE = 5 * MIB


def clip(folder):
    """Makes a clip of 1080p at 4 Mbit/s, as cameras send."""
    path = os.path.join(folder, "camera.flv")
    source = f"testsrc2=s=1920x1080:r=25:d={SECONDS},noise=alls=12:allf=t,format=yuv420p"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast",
                    "-bf", "0", "-g", str(GOP), "-keyint_min", str(GOP), "-sc_threshold", "0", "-b:v", RATE, "-maxrate", RATE,
                    "-bufsize", RATE, "-flvflags", "no_duration_filesize", path], check=True, timeout=120)
    return path


def resident(pid):
    """Resident bytes of the process, with the code of the shipped program."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        sizes = {name: int(size) * 1024 for name, size in re.findall(r"(Rss\w+):\s+(\d+) kB", status.read())}
    return sizes["RssAnon"] + min(sizes["RssFile"], CODE)


def left_for_recordings(folder):
    checked = subprocess.run([built("ivt-agent"), "--check-config", "--config", os.path.join(folder, "agent.toml")],
                             capture_output=True, text=True, timeout=30, check=True)
    return float(re.search(r"([\d.]+) MiB  recordings", checked.stdout)[1])


def full(stack, folder):
    """Several channels are published to a server that reads nothing, and recorded for a service that is away."""
    cloud = Cloud(stack, folder, "debug", "--record-bodies", "count")
    camera = Camera(stack, folder, "--channels", str(CHANNELS), "--main", clip(folder))
    urls = [camera.url.replace("/ch0/", f"/ch{channel}/") for channel in range(CHANNELS)]
    channels = [f'backend = "rtsp"\nmain = "{url}"' for url in urls]
    agent = Agent(stack, folder, cloud, channels, extra=f"[runtime]\nmemory_limit = {LIMIT}\n")
    taken, left = CHANNELS * (COUNT * SEGMENT / MIB + 2), left_for_recordings(folder)
    if not 0 <= left - taken < 2:
        raise Failed(f"the sessions take {taken} MiB of the {left} MiB for recordings: they prove nothing")
    away = {"put": {"fault": {"status": 503}}}
    cloud.post("/api/faults", {**cloud.get("/api/faults"), "rtmp": "stall_reading", "record": away})
    for channel in range(CHANNELS):
        cloud.publish(cloud.rtmp_url(f"s{channel}"), f"s{channel}", channel)
        cloud.call("StartCloudRecord", {
            "session_id": f"r{channel}", "channel": channel, "quality": "hd", "max_bitrate": 0, "seg_duration": 60,
            "seg_max_size": SEGMENT, "seg_max_count": COUNT, "prerecord_seconds": 0, "start_ts": 0,
            "cbk_url": f"{cloud.page}/record/r{channel}"})
    most, end = 0, time.monotonic() + OUTAGE
    while time.monotonic() < end:
        most = max(most, resident(agent.process.pid))
        time.sleep(0.1)
    agent.process.said(r"segments \([\d.]+ s\) are lost: no room")
    print(f"        {most / MIB:.1f} MiB resident of {LIMIT / MIB:.0f}", flush=True)
    if most > LIMIT:
        raise Failed(f"{most / MIB:.1f} MiB were resident, and memory_limit is {LIMIT / MIB:.1f} MiB")
    if most < (taken + CHANNELS) * MIB / 2:
        raise Failed(f"only {most / MIB:.1f} MiB were resident: the load was none")
    cloud.record_faults({})
    wait_for("an upload of each channel", lambda: all(uploaded(cloud, channel) for channel in range(CHANNELS)), 60)


def uploaded(cloud, channel):
    return [s for s in cloud.recording(f"r{channel}")["segments"] if s["state"] in ("uploaded", "confirmed")]


add("memory: rings and backlogs are full and the limit holds", full, 180, alone=True)
