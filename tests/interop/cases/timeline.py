"""The simulated cloud's page of recordings in Chromium: what was uploaded is shown on its timeline and replayed."""
import csv
import json
import os
import subprocess
import urllib.parse
import urllib.request

from peers.browser import Browser
from peers.ours import Cloud
from peers.paths import CLIPS, ROOT
from peers.process import Failed

from . import add

HEVC = os.path.join(ROOT, "sim/tests/fixtures/hevc.ts")
BEGIN = 1700000000
TIME = "return document.getElementById('video').currentTime"
PLAYS_AT = "const at = document.getElementById('video').currentTime - arguments[0]; return at > 0.3 && at < 2.5"
AIMED = ("const {session_id, cbk_url} = document.querySelector('form[data-method=StartCloudRecord]').elements; "
         "return session_id.value.length === 22 && cbk_url.value === `${location.origin}/record/${session_id.value}`")
STATE = "return document.getElementById('state').textContent.includes(arguments[0])"


class Uploader:
    """A device that records into one session."""

    def __init__(self, cloud, session):
        self.cloud, self.session, self.last = cloud, session, None

    def call(self, **form):
        request = urllib.request.Request(f"{self.cloud.page}/record/{self.session}", urllib.parse.urlencode(form).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def create(self, size, start, duration):
        last = {"last_file_name": self.last} if self.last else {}
        return self.call(op="create", content_type="video/mp2t", size=size, start=f"{BEGIN + start:.6f}",
                         duration=f"{duration:.6f}", **last)

    def upload(self, path, start, duration):
        """Uploads a file as a segment, and returns its name."""
        with open(path, "rb") as segment:
            body = segment.read()
        made = self.create(len(body), start, duration)
        put = urllib.request.Request(made["uri"], body, {"Content-Type": "video/mp2t"}, method="PUT")
        with urllib.request.urlopen(put, timeout=30):
            self.last = made["name"]
        return made["name"]


def cut(folder, source, count):
    """Segments of two seconds by ffmpeg: (path, start, duration) of each."""
    listing = os.path.join(folder, "segments.csv")
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-stream_loop", "-1", "-i", source, "-t", str(2 * count), "-c", "copy",
                    "-f", "segment", "-segment_time", "2", "-segment_format", "mpegts", "-segment_list", listing,
                    os.path.join(folder, "segment%d.ts")], check=True, timeout=60)
    with open(listing, newline="") as rows:
        return [(os.path.join(folder, name), float(start), float(end) - float(start)) for name, start, end in csv.reader(rows)]


def count(browser, what):
    return browser.script("return document.querySelectorAll(`#chart ${arguments[0]}`).length", what)


def replays_what_was_uploaded(stack, folder):
    cloud = Cloud(stack, folder)
    device = Uploader(cloud, "timeline")
    segments = cut(folder, os.path.join(CLIPS, "main.flv"), 8)
    for segment in segments[:2]:
        device.upload(*segment)
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/recordings?session=timeline")
    browser.wait("picture", "const v = document.getElementById('video'); return v.videoWidth === 640 && v.readyState > 2")
    browser.wait("play over the boundary", f"{TIME} > arguments[0]", segments[1][1] + 0.5)

    # A segment that comes while the page is open is played behind the one before.
    browser.wait("word that more is awaited", STATE, "waiting for the next segment")
    path, start, duration = segments[2]
    device.upload(path, start, duration)
    browser.wait("play into the new segment", f"{TIME} > arguments[0]", start + 0.5)
    dropped = browser.script("return document.getElementById('video').getVideoPlaybackQuality().corruptedVideoFrames")
    if dropped:
        raise Failed(f"{dropped} pictures were corrupted")

    path, start, duration = segments[4]
    behind_gap = device.upload(path, start, duration)  # The fourth segment is missing.
    device.upload(segments[5][0], segments[5][1] - 1, segments[5][2])
    device.upload(path, start, duration)
    device.call(op="stat", dropped_nb=1, dropped_time="2.000000")
    browser.wait("words on what is irregular", "return document.getElementById('summary').textContent === arguments[0]",
                 "6 segments, 1 gap, 1 overlap, 1 duplicate")
    drawn = [count(browser, what) for what in (".segment", ".gap", ".overlap", ".duplicate")]
    if drawn != [6, 1, 1, 1]:
        raise Failed(f"6 segments, a gap, an overlap and a duplicate drawn as {drawn}")
    browser.wait("drops in the findings", "return document.getElementById('findings').textContent.includes('dropped by the device')")
    browser.script("document.querySelector(`#chart [data-name='${arguments[0]}']`).dispatchEvent(new Event('click', {bubbles: true}))",
                   behind_gap)
    browser.wait("play of the segment behind the gap", PLAYS_AT, start)
    browser.screenshot("recordings.png")

    browser.script("document.getElementById('not-now').click()")
    browser.wait("not now", "return document.getElementById('not-now').getAttribute('aria-pressed') === 'true'")
    if device.create(1, start, duration) != {"name": "", "uri": ""}:
        raise Failed("a create was answered although it is not now")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def offers_its_own_address(stack, folder):
    cloud = Cloud(stack, folder)
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/?login_code=anybody")
    browser.wait("cbk_url of a fresh session in the form", AIMED)
    browser.script("document.querySelector('form[data-method=StartCloudRecord] .buttons a').click()")
    browser.wait("timeline of the session", "return location.pathname === '/recordings' && " + STATE.removeprefix("return "),
                 "nothing stored yet")


def says_what_it_cannot_play(stack, folder):
    cloud = Cloud(stack, folder)
    Uploader(cloud, "hevc").upload(HEVC, 0, 1.6)
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/recordings?session=hevc")
    if browser.script("return MediaSource.isTypeSupported('video/mp4; codecs=\"hvc1.1.6.L60.90\"')"):
        browser.wait("play", f"{TIME} > 1")
    else:
        browser.wait("word on H.265", STATE, "cannot play H.265")


add("browser replays a recording on its timeline", replays_what_was_uploaded, 90)
add("browser offers its own address for a recording", offers_its_own_address)
add("browser says that it cannot replay HEVC", says_what_it_cannot_play)
