"""`ivt-lab start` as QA starts it: on a network of its own, with a phone that reads the QR code, a browser, and a recorder that
searches for cameras."""
import json
import os
import re
import signal
import stat
import subprocess
import urllib.request

from peers import onvif
from peers.browser import Browser
from peers.paths import FFMPEG, built
from peers.process import Failed, Process, free_port, output, wait_for

from . import Skipped, add
from .record import small_disk

# Addresses that are for documentation, so that no network here has them: ours and the lab's on two cables.
CABLES = [("198.51.100.1", "198.51.100.2"), ("203.0.113.1", "203.0.113.2")]
BLOCKS = "█▀▄ "
PORTS = ["rtsp", "camera", "control", "cloud", "rtmp", "page", "hosted", "hosted-page"]


def free_ports():
    """Options that keep cases that run side by side apart."""
    return [word for name in PORTS for word in (f"--{name}-port", str(free_port()))]


def network(stack):
    """Makes a network namespace with two cables: one to this machine, one to another namespace. Returns the words before a command
    that runs in the first and in the other."""
    lab, phone = (f"ivt-{what}-{os.getpid()}" for what in ("lab", "phone"))
    for name in (lab, phone):
        if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
            raise Skipped("network namespaces are not allowed here")
        stack.callback(subprocess.run, ["ip", "netns", "delete", name], capture_output=True)
    ours = f"lab{os.getpid()}"
    for near, (far, place), (here, there) in (((ours, []), ("eth0", lab), CABLES[0]), (("eth0", ["netns", phone]), ("wlan0", lab), CABLES[1])):
        (name, where) = near
        output(["ip", "link", "add", name, *where, "type", "veth", "peer", "name", far, "netns", place])
        inside = ["ip", "-n", where[1]] if where else ["ip"]
        if not where:
            stack.callback(subprocess.run, ["ip", "link", "delete", name], capture_output=True)
        for words in (["address", "add", f"{here}/24", "dev", name], ["link", "set", name, "up"]):
            output([*inside, *words])
        for words in (["address", "add", f"{there}/24", "dev", far], ["link", "set", far, "up"], ["link", "set", "lo", "up"]):
            output(["ip", "-n", place, *words])
    output(["ip", "-n", phone, "link", "set", "lo", "up"])
    # Who searches for everyone needs a way for groups.
    output(["ip", "-n", phone, "route", "add", "224.0.0.0/4", "dev", "eth0"])
    return ["ip", "netns", "exec", lab], ["ip", "netns", "exec", phone]


def read(text, light):
    """What a foreign reader sees in the QR code of a terminal's text. `light`: blocks are light, on a dark ground."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    lines = [line for line in plain.splitlines() if len(line) > 20 and set(line) <= set(BLOCKS)]
    scale = 6
    rows = []
    for line in lines:
        for drawn in ("█▀", "█▄"):
            row = "".join(("255 " if (mark in drawn) == light else "0 ") * scale for mark in line)
            rows += [row] * scale
    if not rows:
        raise Failed("there is no QR code")
    if len(lines[0]) > 80:
        raise Failed(f"the QR code has {len(lines[0])} columns")
    picture = f"P2\n{len(lines[0]) * scale} {len(rows)}\n255\n" + "\n".join(rows)
    seen = subprocess.run(["zbarimg", "--quiet", "--raw", "PGM:-"], input=picture, capture_output=True, text=True, timeout=30)
    return seen.stdout.strip()


def programs(session):
    return subprocess.run(["ps", "-o", "comm=", "-s", str(session)], capture_output=True, text=True).stdout.split()


def ends(lab):
    """SIGTERM ends the lab and all that it has started."""
    os.kill(lab.pid, signal.SIGTERM)
    if lab.ended(20) != 0:
        raise Failed(f"the lab ended badly: {lab.tail()}")
    wait_for("end of all programs", lambda: not programs(lab.pid), 5)


def starts_all(stack, folder, program=(built("ivt-lab"),), options=(), patience=60):
    """A phone's camera reads the address of the page, which opens and shows the device; a recorder finds the camera. `program` is
    another build of the lab, `options` are its own, `patience` is that for its login and its picture."""
    inside, beside = network(stack)
    if not os.path.exists(os.path.join(onvif.FOLDER, "wsdiscovery")):
        raise Skipped("WSDiscovery is not installed: tests/interop/setup")
    finder = Finder(stack, folder, beside)
    lab = stack.enter_context(Process("ivt-lab", [*inside, *program, "start", "all", "--discoverable", *options, *free_ports()], folder))
    page = lab.said(r"Open (http://\S+)", patience)[1]
    lab.said(r"is online", patience)
    if not page.startswith(f"http://{CABLES[0][1]}:"):
        raise Failed(f"the page is {page}, expected it at {CABLES[0][1]}")
    seen = read(lab.output(), light=True)
    if seen != page:
        raise Failed(f"the QR code says {seen!r}, not {page!r}")
    base = page.split("?")[0]
    if not any(device["online"] for device in asked(f"{base}api/devices")):
        raise Failed("the device is not online")
    browser = Browser(stack, folder)
    browser.open(page)
    browser.wait("picture", "const v = document.querySelector('video'); return v && v.videoWidth === 640 && v.currentTime > 0", seconds=patience)
    for address in re.findall(r"(?:its faults|device|hosted service) +(http://198\S+/)", lab.output()):
        with urllib.request.urlopen(address, timeout=30) as answer:
            if answer.status != 200:
                raise Failed(f"{address} is answered {answer.status}")
    # On the other cable, everything is at the lab's address there.
    service = rf"http://{re.escape(CABLES[1][1])}:\d+/onvif/device_service"
    finder.process.said(rf"hello {service}")
    finder.search()
    finder.process.said(rf"found {service} .*NetworkVideoTransmitter")
    ends(lab)
    finder.process.said("bye")


class Finder:
    """WSDiscovery of PyPI, which listens from its start on."""

    def __init__(self, stack, folder, inside):
        order = os.path.join(folder, "order")
        os.mkfifo(order)
        python, script = os.path.join(onvif.FOLDER, "wsdiscovery/bin/python"), os.path.join(onvif.SCRIPTS, "discover.py")
        command = ["sh", "-c", f"exec {' '.join(inside)} {python} {script} <{order}"]
        self.process = stack.enter_context(Process("discover", command, folder))
        self.order = stack.enter_context(open(order, "w", buffering=1))
        self.process.said("listening", 30)

    def search(self):
        self.order.write("go\n")
        self.process.said("searched", 30)


def pi_camera(stack, folder):
    """A Pi that plays a camera in the cloud: its own camera is played by a program of that name, which is started once for all who
    watch, and ends with the lab; PTZ and alarms are emulated beside it. Another terminal's colours are read, too."""
    programs_folder = os.path.join(folder, "bin")
    os.mkdir(programs_folder)
    started = os.path.join(folder, "started")
    fake = os.path.join(programs_folder, "rpicam-vid")
    with open(fake, "w") as out:
        out.write(f'#!/bin/sh\necho "$@" >>{started}\nexec {FFMPEG} -nostdin -loglevel error -re -f lavfi -i testsrc2=size=1280x720:rate=10 '
                  "-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 10 -pix_fmt yuv420p -f h264 -\n")
    os.chmod(fake, os.stat(fake).st_mode | stat.S_IXUSR)
    lab = stack.enter_context(Process("ivt-lab", [built("ivt-lab"), "start", "camera", "cloud", "device", "--loopback", "--picture", "rpicam", "--qr",
                                                  "colours", "--camera-login", "qa:Kite-8-wolke", "--alarm", "input:every=4s,for=1s", *free_ports()],
                                      folder, {"PATH": f"{programs_folder}:{os.environ['PATH']}"}))
    page = lab.said(r"Open (http://\S+)")[1]
    if read(lab.output(), light=False) != page:
        raise Failed("the QR code in colours does not say the page's address")
    lab.said(r"own camera comes: 1280x720", 40)
    base = page.split("?")[0]
    wait_for("picture of the camera in the cloud", lambda: any(
        stream["video"] == "H.264" and stream["dimensions"] == [1280, 720] for stream in asked(f"{base}api/streams")), 40)
    control = lab.said(r"its faults +(http://\S+)")[1]
    before = position(control)
    asked(f"{base}api/event", {"login_code": "demo", "event": "CtrlPTZ", "params": {"channel": 0, "op": "right", "value": 100}})
    wait_for("movement of the camera", lambda: position(control) != before, 20)
    wait_for("alarm in the cloud", lambda: asked(f"{base}api/devices/demo/alarms"), 40)
    url = lab.said(r"rtsp://(\S+)/ch0/main")[1]
    for stream in ("main", "sub"):
        frames = output([FFMPEG, "-nostdin", "-rtsp_transport", "tcp", "-i", f"rtsp://qa:Kite-8-wolke@{url}/ch0/{stream}", "-frames:v", "15",
                         "-f", "null", "-"], 60)
        if "1280x720" not in frames:
            raise Failed(f"{stream} is no picture of the camera: {frames[-300:]}")
    with open(started) as calls:
        calls = calls.read().splitlines()
    if len(calls) != 1 or "-t 0" not in calls[0] or "--inline" not in calls[0]:
        raise Failed(f"the camera was started {calls}")
    ends(lab)


def asked(url, body=None):
    """The JSON at an address, or the answer to a JSON that is posted there."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=30) as answer:
        return json.load(answer)


def position(control):
    """Where the camera looks, as its control page tells."""
    camera = asked(f"{control}status")["channels"][0]["camera"]
    return camera["pan"], camera["tilt"]


def missing_camera(stack, folder):
    """Without a camera the lab goes on, and says what to do; a port that is taken is told with its holder."""
    nothing = {"PATH": folder}
    ports = free_ports()
    lab = stack.enter_context(Process("ivt-lab", [built("ivt-lab"), "start", "camera", "--loopback", "--picture", "v4l2:/dev/video99",
                                                  *ports], folder, nothing))
    lab.said(r"ffmpeg is not installed: sudo apt install ffmpeg.* It is tried again")
    with urllib.request.urlopen(lab.said(r"its faults +(http://\S+)")[1], timeout=30) as answer:
        if answer.status != 200:
            raise Failed("the control page is away")
    second = subprocess.run([built("ivt-lab"), "start", "camera", "--loopback", *ports], capture_output=True, text=True, timeout=30)
    if second.returncode != 1 or f"ivt-lab (process {lab.pid}) listens there" not in second.stderr or "--rtsp-port" not in second.stderr:
        raise Failed(f"a port in use is told so: {second.stderr}")
    ends(lab)


def full_disk(stack, folder):
    """A disk without room for the device's configuration is told with what to do, where --state names it and where it is that of temporary
    files."""
    disk = small_disk(stack, folder, "")
    with open(os.path.join(disk, "full"), "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    state = os.path.join(disk, "state")
    for options, place in (["--state", state], f"{state}:"), ([], f"{disk}/ivt-lab-"):
        command = [built("ivt-lab"), "start", "camera", "cloud", "device", "--loopback", "--qr", "none", *options, *free_ports()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": disk})
        if done.returncode != 1 or not all(word in done.stderr for word in (place, "the disk is full: make room", "--state")):
            raise Failed(f"expected 1 and a full disk, got {done.returncode}: {done.stderr[-400:]}")


add("ivt-lab start all: QR code, page, discovery, and no child left", starts_all)
add("ivt-lab shows the Pi's own camera to everyone", pi_camera)
add("ivt-lab says what to do without a camera or a port", missing_camera)
add("ivt-lab says what to do on a full disk", full_disk)
