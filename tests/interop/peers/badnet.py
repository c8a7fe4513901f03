"""`badnet` between the agent and its cloud, and what the agent does there: a live stream and a recording at once."""
import contextlib
import json
import os
import re
import statistics
import subprocess
import threading
import time
import urllib.error
import urllib.request

from .ours import Agent, Camera, Cloud, camera
from .cameras import PASSWORD, USER
from .paths import FFMPEG, built
from .process import Failed, Process, wait_for

STREAM, SESSION = "badnet-live", "badnet-recording-00001"
# Seconds of a segment, and the most that wait for their upload on the device.
SEGMENT, BACKLOG = 4, 24
# Time without a new picture that counts as a gap, in seconds.
GAP = 1.0
# Time between two looks at the cloud, in seconds.
LOOK = 0.1
# Time without pictures after which whoever watches asks again; the agent itself tries for a minute.
ASK_AGAIN = 75
# Time in which nothing new comes to the recording service when all is there, in seconds.
SETTLED = 12


class BadNet:
    """`badnet` in front of a cloud's two ports, over one line, with its page."""

    def __init__(self, stack, folder, cloud, *arguments, profile="debug"):
        rtmp = cloud.get("/api/info")["rtmp_port"]
        self.process = stack.enter_context(Process("badnet", [
            built("badnet", profile), "--link", f"wan/cloud=127.0.0.1:0,127.0.0.1:{cloud.port}",
            "--link", f"wan/rtmp=127.0.0.1:0,127.0.0.1:{rtmp}", "--control", "127.0.0.1:0", *arguments], folder))
        self.page = self.process.said(r"http://127\.0\.0\.1:\d+")[0]
        self.cloud, self.rtmp = (self.process.said(rf"{link} +(127\.0\.0\.1:\d+) ->")[1] for link in ("cloud", "rtmp"))
        # What the agent's configuration takes of a cloud.
        self.device_url = f"ws://{self.cloud}/ivc"

    def get(self, path):
        with urllib.request.urlopen(self.page + path, timeout=30) as answer:
            return json.load(answer)

    def order(self, path, **body):
        """Sends an order for the line, such as `cut` or `heal`."""
        request = urllib.request.Request(f"{self.page}/api/{path}", json.dumps({"line": "wan", **body}).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def line(self):
        return self.get("/api/status")["lines"][0]


class Viewer(threading.Thread):
    """Somebody who watches: asks for the stream after each login of the device, and when there has been no picture for long."""

    def __init__(self, cloud, url, quality):
        super().__init__(daemon=True)
        self.cloud, self.url, self.quality = cloud, url, quality
        self.logins = self.asked = 0
        self.seen = time.monotonic()
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.3):
            device = self.cloud.device()
            if not device or (device["logins"] == self.logins and time.monotonic() - self.seen < ASK_AGAIN):
                continue
            try:
                self.cloud.publish(self.url, STREAM, quality=self.quality)
                self.logins, self.seen = device["logins"], time.monotonic()
                self.asked += 1
            except (Failed, OSError):
                pass


def insistent(what, call, seconds=120):
    """Calls until it is not refused; a call may be lost on a bad network."""
    def probe():
        try:
            call()
            return True
        except (Failed, OSError):
            time.sleep(1)
            return False
    wait_for(what, probe, seconds)


def measure(stack, folder, network, seconds, main=None, quality="hd", profile="debug", catch_up=300, settled=SETTLED):
    """What the agent does in `seconds` of a live stream and a recording over this network, as figures. `network` are badnet's arguments,
    `main` is the file that the camera plays; everything is uploaded when nothing new comes for `settled` seconds, at most `catch_up`."""
    cloud = Cloud(stack, folder, profile, "--record-bodies", "sum")
    net = BadNet(stack, folder, cloud, *network, profile=profile)
    clips = ["--main", main, "--sub", main] if main else []
    source = Camera(stack, folder, "--user", USER, "--password", PASSWORD, *clips, profile=profile)
    agent = Agent(stack, folder, net, [camera(source.url, "tcp")], profile=profile, wait=False)
    agent.online(cloud, 60)
    viewer = Viewer(cloud, f"rtmp://{net.rtmp}/live/{STREAM}", quality)
    stack.callback(viewer.stopped.set)
    viewer.start()
    insistent("recording", lambda: record(cloud, net, quality))
    wait_for("first picture", lambda: cloud.stream(STREAM)["frames"], 60)
    live = watch(cloud, viewer, seconds)
    viewer.stopped.set()
    with contextlib.suppress(Failed, OSError):  # Perhaps there is none just now.
        cloud.stop(STREAM)
    stopped = time.monotonic()
    insistent("end of the recording", lambda: cloud.call("StopCloudRecord", {"session_id": SESSION, "channel": 0}))
    recorded = recording(cloud, stopped, catch_up, settled)
    counters = {link["name"]: link["counters"] for link in net.line()["links"]}
    logins = next(device["logins"] for device in cloud.get("/api/devices"))
    return {**live, **recorded, "asked": viewer.asked, "logins": logins, "rss": peak(agent.process.pid), "counters": counters,
            "events": [event["what"] for event in net.get("/api/events") if event["link"] is None]}


def record(cloud, net, quality):
    cloud.call("StartCloudRecord", {
        "session_id": SESSION, "channel": 0, "quality": quality, "max_bitrate": 0, "seg_duration": SEGMENT, "seg_max_size": 1 << 20,
        "seg_max_count": BACKLOG, "prerecord_seconds": 0, "start_ts": 0, "cbk_url": f"http://{net.cloud}/record/{SESSION}"})


def watch(cloud, viewer, seconds):
    """Watches the stream: its gaps, its pictures, and how much later than the fastest of their publish they come."""
    begin = changed = time.monotonic()
    first = cloud.stream(STREAM)
    frames, publishes, fastest = first["frames"], first["publishes"], None
    gaps, lags = [], []
    while (now := time.monotonic()) < begin + seconds:
        seen = cloud.stream(STREAM)
        now = time.monotonic()
        if seen["publishes"] != publishes:
            publishes, fastest = seen["publishes"], None
        if seen["frames"] != frames:
            if now - changed > GAP:
                gaps.append(now - changed)
            frames, changed, viewer.seen = seen["frames"], now, now
            if seen["last_timestamp_ms"] is not None:
                late = now - seen["last_timestamp_ms"] / 1000
                fastest = late if fastest is None else min(fastest, late)
                lags.append(late - fastest)
        time.sleep(LOOK)
    if now - changed > GAP:
        gaps.append(now - changed)
    last = cloud.stream(STREAM)
    return {"seconds": seconds, "gaps": gaps, "pictures": last["video_frames"] - first["video_frames"], "publishes": last["publishes"],
            "lag": [statistics.median(lags), max(lags)] if lags else None}


def recording(cloud, stopped, seconds, settled):
    """Waits until everything is uploaded, and says what is missing. A segment whose upload failed comes again under another name."""
    last, arrived = None, time.monotonic()
    while time.monotonic() < stopped + seconds:
        info = cloud.recording(SESSION)
        states = [(segment["name"], segment["state"]) for segment in info["segments"]]
        if states != last:
            last, arrived = states, time.monotonic()
        if not missing(info["segments"]) and time.monotonic() - arrived > settled:
            break
        time.sleep(0.3)
    segments = sorted(confirmed(info["segments"]), key=lambda segment: segment["start_us"])
    ends = [(s["start_us"] / 1e6, (s["start_us"] + s["duration_us"]) / 1e6) for s in segments]
    holes = [after - before for (_, before), (after, _) in zip(ends, ends[1:]) if after - before > 0.2]
    return {"segments": len(segments), "unconfirmed": len(missing(info["segments"])),
            "recorded": ends[-1][1] - ends[0][0] if ends else 0, "holes": holes,
            "again": sum(s["state"] != "confirmed" or s["puts"] > 1 for s in info["segments"]),
            "dropped": sum(drop["dropped"] for drop in info["drops"]), "violations": [v["what"] for v in info["violations"]],
            "catch_up": max(0.0, arrived - stopped)}


def confirmed(segments):
    return [segment for segment in segments if segment["state"] == "confirmed"]


def missing(segments):
    """Beginnings of segments that were announced and are not there under any name."""
    return {segment["start_us"] for segment in segments} - {segment["start_us"] for segment in confirmed(segments)}


def peak(pid):
    """Most resident memory of a process so far, in MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024


def steady_clip(folder, kbit):
    """The path of a clip of 8 s with this rate, 640x360 at 15 fps, made at first use."""
    path = os.path.join(folder, f"640x360-{kbit}k.flv")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        rate = f"{kbit}k"
        made = path + ".part.flv"
        subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i",
                        "testsrc2=s=640x360:r=15:d=8,noise=alls=10:allf=t,format=yuv420p", "-f", "lavfi", "-i",
                        "aevalsrc='0.1*sin(440*2*PI*t)':s=16000:d=8", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-bf", "0",
                        "-g", "30", "-keyint_min", "30", "-sc_threshold", "0", "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate,
                        "-x264-params", "nal-hrd=cbr", "-c:a", "aac", "-b:a", "24k", "-flvflags", "no_duration_filesize+no_sequence_end",
                        "-f", "flv", made], check=True, timeout=300)
        os.rename(made, path)
    return path
