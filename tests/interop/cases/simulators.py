"""Our simulators, used by foreign programs: QA must be able to trust them without the agent."""
import os
import subprocess
import urllib.parse
import urllib.request

from peers.browser import Browser
from peers.cameras import PASSWORD, USER
from peers.judge import judge
from peers.ours import Camera, Cloud
from peers.paths import CLIPS, FFMPEG, FIXTURES
from peers.process import Failed, Process, wait_for

from . import add
from .browser import plays

MAIN = os.path.join(CLIPS, "main.flv")
B_FRAMES = os.path.join(FIXTURES, "h264_bframes.flv")
HEVC = os.path.join(FIXTURES, "hevc.flv")
PCMA = os.path.join(FIXTURES, "pcma.flv")


def pulled(path, transport, *arguments):
    """ffmpeg pulls `camera-sim`, and its file is judged."""
    def run(stack, folder):
        camera = Camera(stack, folder, "--main", path, "--user", USER, "--password", PASSWORD, *arguments)
        login = f"{USER}:{urllib.parse.quote(PASSWORD, safe='')}@"
        out = os.path.join(folder, "pulled.flv")
        command = [FFMPEG, "-nostdin", "-v", "error", "-rtsp_transport", transport, "-i", camera.url.replace("//", f"//{login}"),
                   "-t", "5", "-c", "copy", "-f", "flv", out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode != 0 or done.stderr:
            raise Failed(f"ffmpeg: {done.stderr.strip()[:300]}")
        judge(out, path, 3)
    return run


def published(path, size, video, quirks={}):
    """ffmpeg publishes to `ivc-sim`, which counts the stream and plays it in its page."""
    def run(stack, folder):
        cloud = Cloud(stack, folder)
        cloud.rtmp_quirks(quirks)
        stack.enter_context(Process("publisher", ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", path,
                                                  "-c", "copy", "-f", "flv", cloud.rtmp_url("foreign")], folder))
        wait_for("publish", lambda: cloud.get("/api/streams"), 10)
        browser = Browser(stack, folder)
        browser.open(f"{cloud.page}/?play=foreign")
        plays(browser, size)
        frames = cloud.stream("foreign")["frames"]
        wait_for("more frames", lambda: cloud.stream("foreign")["frames"] >= frames + 20, 10)
        stream = cloud.stream("foreign")
        seen = (stream["video"], stream["dts_violations"], stream["malformed"])
        if seen != (video, 0, 0):
            raise Failed(f"expected {video} without faults, got {stream}")
    return run


def logs_in(method):
    """ffmpeg proves its login to `ivc-sim` by `method`, and gets nowhere with a wrong password."""
    def run(stack, folder):
        cloud = Cloud(stack, folder)
        cloud.rtmp_quirks({"authmod": method, "user": "encoder", "password": "right"})
        for password in ("wrong", "right"):
            url = cloud.rtmp_url(password).replace("//", f"//encoder:{password}@")
            stack.enter_context(Process(password, ["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", MAIN, "-c", "copy", "-f", "flv", url],
                                        folder))
        wait_for("publish", lambda: cloud.stream("right")["frames"] > 20, 10)
        if cloud.stream("wrong")["frames"]:
            raise Failed("a wrong password was taken")
    return run


def raises_alarms_by_its_page(stack, folder):
    """The buttons of `camera-sim`'s page set off what its event stream tells."""
    camera = Camera(stack, folder, "--family", "hikvision", "--pattern", "--control", "127.0.0.1:0")
    web = camera.process.said(r"(http://\S+)/ISAPI/System/deviceInfo")[1]
    page = camera.process.said(r"(?m)^(http://[\d.]+:\d+)/$")[1]
    stream = stack.enter_context(urllib.request.urlopen(f"{web}/ISAPI/Event/notification/alertStream", timeout=20))
    browser = Browser(stack, folder)
    browser.open(page)
    press = "document.querySelector(arguments[0]).click()"
    browser.wait("buttons", "return document.querySelector('.triggers [data-name=motion]') !== null")
    browser.script(press, ".triggers [data-name=motion]")
    browser.wait("motion on the page", "return document.querySelector('[data-name=motion]').getAttribute('aria-pressed') === 'true'")
    browser.wait("picture", "const i = document.querySelector('.view img'); return i.complete && i.naturalWidth === 640")
    browser.screenshot("control.png")
    while b"<eventType>VMD</eventType>" not in stream.readline():
        pass
    browser.script(press, ".triggers [data-name=motion]")
    browser.wait("its end", "return document.querySelector('[data-name=motion]').getAttribute('aria-pressed') === 'false'")
    browser.wait("quirks", "return document.querySelector('.quirks [name=hangs_up]') && document.querySelector('.quirks [name=tapo]') !== null")
    browser.script(press, ".quirks [name=tapo]")
    browser.wait("the quirk", "return document.getElementById('result').textContent === 'quirks: tapo'")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("ffmpeg pulls camera-sim over TCP", pulled(MAIN, "tcp"))
add("ffmpeg pulls camera-sim over TCP, Basic login", pulled(MAIN, "tcp", "--basic"))
add("ffmpeg pulls camera-sim over UDP", pulled(MAIN, "udp"))
add("ffmpeg pulls HEVC from camera-sim over TCP", pulled(HEVC, "tcp"))
add("ffmpeg pulls G.711 from camera-sim over UDP", pulled(PCMA, "udp"))
add("ffmpeg publishes to ivc-sim, whose page plays it", published(MAIN, (640, 360), "H.264"))
add("ffmpeg publishes to ivc-sim by MediaMTX's first-metadata rule", published(MAIN, (640, 360), "H.264", {"first_metadata": "hang_up"}))
for method in ("adobe", "llnw"):
    add(f"ffmpeg logs in to ivc-sim by authmod={method}", logs_in(method))
add("ffmpeg publishes B-frames to ivc-sim, whose page plays it", published(B_FRAMES, (256, 144), "H.264"))
add("simulators: the page of camera-sim raises alarms", raises_alarms_by_its_page, 60)
