"""The agent of the package at work against the simulators of the other one: login, live, recording, movement, page."""
import contextlib
import gzip
import http.cookiejar
import json
import os
import re
import urllib.request

import room
from inside import PATIENCE, Failed, expect, expect_match, wait_for
from peers.devicepage import Device
from peers.ours import LOGIN, Cloud

# Odd, since the agent masks them wherever they would be told.
CAMERA_PASSWORD, CLOUD_PASSWORD, PAGE_PASSWORD = "gRz7-kiosk-Q4", "uV3-tram-88x", "w0lke-7-Xanten"
CAMERA, CONTROL, WEB, CLOUD, PAGE = 8554, 8081, 8000, 8080, 8090
CONFIGURATION = f"""version = 1
[cloud]
url = "ws://127.0.0.1:{CLOUD}/ivc"
login_code = "{LOGIN}"
login_passwd = "{CLOUD_PASSWORD}"
[device]
state_dir = "/var/lib/ivt"
[record]
spool_dir = "/var/lib/ivt/spool"
[web]
enable = true
listen = "127.0.0.1:{PAGE}"
[sandbox]
enable = true
user = "ivt"
[[channel]]
backend = "cgi"
profile = "hikvision"
web = "http://127.0.0.1:{WEB}"
main = "rtsp://127.0.0.1:{CAMERA}/ch0/main"
username = "admin"
password = "{CAMERA_PASSWORD}"
"""
SEGMENT = 2
FRAMES = 60


class ServedCloud(Cloud):
    """The simulated cloud that a unit of the room has started."""

    def __init__(self):
        self.page, self.port = f"http://127.0.0.1:{CLOUD}", CLOUD
        self.device_url = f"ws://127.0.0.1:{CLOUD}/ivc"


class Technician(Device):
    """Somebody at the page of an agent that a unit of the room has started."""

    def __init__(self):
        self.url, self.password, self.jar = f"http://127.0.0.1:{PAGE}", PAGE_PASSWORD, http.cookiejar.CookieJar()


def start_simulators(debian):
    """Starts the camera and the cloud by their units, with options as docs/qa.md has them."""
    debian.write("/etc/default/camera-sim", f'OPTIONS="--bind 127.0.0.1:{CAMERA} --http 127.0.0.1:{WEB} --control 127.0.0.1:{CONTROL} '
                 f'--family hikvision --user admin --password {CAMERA_PASSWORD}"\n')
    debian.write("/etc/default/ivc-sim", f'OPTIONS="--http 127.0.0.1:{CLOUD} --login {LOGIN}:{CLOUD_PASSWORD}"\n')
    debian.do("systemctl", "start", "camera-sim", "ivc-sim")
    for port, path in ((CONTROL, "/status"), (CLOUD, "/api/info")):
        wait_for(f"answer at {path}", lambda port=port, path=path: answers(f"http://127.0.0.1:{port}{path}"), PATIENCE)
    return ServedCloud()


def runs_the_lab(debian):
    """The lab as a service, with the configuration as it is installed, and the hosted service by a unit of its own: all parts
    answer, the lab's device is in the lab's cloud, and nothing stays behind."""
    with service(debian, "ivt-lab", CLOUD, 8081, 8082, 8084):
        wait_for("the lab's device in the lab's cloud", lambda: any(device["online"] for device in ServedCloud().get("/api/devices")),
                 PATIENCE)
        expect_match("the addresses in its log", rf"http://{room.ADDRESS}:{CLOUD}", debian.journal("ivt-lab"))
    with service(debian, "tlss-sim", 8082):
        pass


@contextlib.contextmanager
def service(debian, unit, *ports):
    """A unit of the lab that is started, and whose pages answer; afterwards it is stopped, and has to leave nothing."""
    debian.do("systemctl", "start", unit)
    with explained(debian, unit):
        for port in ports:
            wait_for(f"page of {unit} at port {port}", lambda port=port: answers(f"http://127.0.0.1:{port}/"), PATIENCE)
        yield
    debian.do("systemctl", "stop", unit)
    expect(f"how {unit} ended", debian.do("systemctl", "show", "-P", "Result", unit), "success")
    expect(f"programs left by {unit}", running("/usr/bin/ivt-", "/usr/bin/tlss-sim"), [])


@contextlib.contextmanager
def explained(debian, unit):
    """Adds to a failure what the unit said last."""
    try:
        yield
    except Failed as why:
        raise Failed(f"{why}; {debian.journal(unit)[-800:]}") from None


def logs_in(debian, cloud):
    with explained(debian, "ivt-agent"):
        wait_for("login of the agent", cloud.device, PATIENCE)


def live(cloud):
    cloud.publish(cloud.rtmp_url("s"), "s")
    wait_for("publish", lambda: cloud.stream("s")["frames"] >= FRAMES, PATIENCE)
    seen = cloud.stream("s")
    expect("the stream at the cloud", (seen["video"], seen["dts_violations"], seen["malformed"]), ("H.264", 0, 0))


def records(cloud):
    cloud.record("r", seconds=SEGMENT)
    wait_for("recording", lambda: sum(s["state"] == "confirmed" for s in cloud.recording("r")["segments"]) >= 3, PATIENCE)
    expect("complaints of the recording service", cloud.recording("r")["violations"], [])


def moves(cloud):
    """The camera moves as the cloud says."""
    before = position()
    cloud.post("/api/event", {"login_code": LOGIN, "event": "CtrlPTZ", "params": {"channel": 0, "op": "right", "value": 100}})
    wait_for("movement", lambda: position() > before, PATIENCE)
    cloud.post("/api/event", {"login_code": LOGIN, "event": "CtrlPTZ", "params": {"channel": 0, "op": "stop", "value": 0}})


def page(debian):
    """A technician claims the page, sees the camera, and changes a setting, which lands in the file of the package."""
    technician = Technician()
    with urllib.request.urlopen(f"{technician.url}/", timeout=60) as answer:
        # Stored compressed, and sent so to everybody.
        expect_match("the page", "<html", gzip.decompress(answer.read()).decode())
    technician.expect("POST", "/claim", {"password": PAGE_PASSWORD})
    overview = json.dumps(technician.expect("GET", "/overview"))
    expect_match("the overview", "cloud", overview)
    settings = technician.expect("GET", "/settings")
    technician.expect("PUT", "/settings", {"version": settings["version"], "changes": {"log.level": "debug"}})
    expect_match("the file of the configuration", r'(?m)^level = "debug"', debian.read("/etc/ivt/agent.toml"))


def confined(debian, emulated):
    """The agent runs as its user and can gain no rights; its system calls are filtered, which qemu cannot do for foreign programs."""
    with open(f"/proc/{debian.process('ivt-agent')}/status") as status:
        status = dict(re.findall(r"^(\w+):\s+(\S+)", status.read(), re.M))
    expect("the agent's user", status["Uid"], debian.do("id", "-u", "ivt"))
    expect("its group", status["Gid"], debian.do("id", "-g", "ivt"))
    expect("its capabilities", int(status["CapEff"], 16), 0)
    if not emulated:
        expect("no new privileges, and a filter of system calls", (status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))


def position():
    """Where the simulated camera looks: pan, from -1 to 1."""
    with urllib.request.urlopen(f"http://127.0.0.1:{CONTROL}/status", timeout=60) as answer:
        return json.load(answer)["channels"][0]["camera"]["pan"]


def running(*programs):
    """The command lines of the room that hold one of these."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{number}/cmdline") as line:
            found.append(line.read().replace("\0", " "))
    return [line for line in found if any(program in line for program in programs)]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status == 200
    except OSError:
        return False
