"""The device's live picture: how far it is behind, what moves the camera, and what the browser cannot play."""
import os
import re
import statistics
import time

from peers.devicepage import Device, Page
from peers.ours import clip, pattern
from peers.paths import FIXTURES, ROOT
from peers.process import Failed, wait_for

from . import add

LEFT = "\ue012"
# Reads a row of the test pattern's text out of the picture shown, and when it was read, in milliseconds since 1970. The text is
# drawn in cells of 8 x 16 dots, a letter of 5 x 7 dots begins one dot from the cell's corner, and a dot is two lines high.
READ = """
    const [glyphs, scale, row, letters] = arguments;
    const video = document.querySelector('video'), canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(video, 0, 0);
    const now = Date.now();
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const lit = (x, y) => data[4 * (Math.floor(y) * canvas.width + Math.floor(x)) + 1] > 150;
    let text = '';
    for (let letter = 0; letter < letters; letter += 1) {
        const rows = [0, 1, 2, 3, 4, 5, 6].map((line) => [0, 1, 2, 3, 4].reduce((dots, dot) => 2 * dots + Number(lit(
            (8 * (letter + 1) + 1.5 + dot) * scale, (16 * row + 2 + 2 * line) * scale)), 0));
        text += glyphs[rows.join()] ?? '?';
    }
    return [text, now];
"""
SIZE = "const v = document.querySelector('video'); return v.videoWidth === arguments[0] && !v.paused && v.readyState > 2"


def glyphs():
    """The letters of the pattern, by their rows."""
    with open(os.path.join(ROOT, "media/src/pattern/font.rs"), encoding="utf-8") as source:
        found = re.findall(r"'(.)' => \[([0-9, ]+)\]", source.read())
    letters = {",".join(rows.split(", ")): letter for letter, rows in found}
    return letters | {"0,0,0,0,0,0,0": " "}


class Pattern:
    """The test pattern, as the page shows it."""

    def __init__(self, page, scale):
        self.page, self.scale, self.glyphs = page, scale, glyphs()

    def read(self, row, letters):
        return self.page.script(READ, self.glyphs, self.scale, row, letters)

    def behind(self):
        """Seconds between what the burnt-in clock shows and now; None while it cannot be read."""
        text, now = self.read(1, 22)
        if not (found := re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d\d)", text)):
            return None
        shown = time.strptime(found[1], "%Y-%m-%d %H:%M:%S")
        return now / 1000 - (time.mktime(shown) - time.timezone + int(found[2]) / 100)

    def position(self):
        """Pan, tilt and zoom; None while they cannot be read."""
        found = re.fullmatch(r"#\d{7} P([+-]\d\.\d\d) T([+-]\d\.\d\d) Z(\d\.\d\d)", self.read(2, 28)[0])
        return found and tuple(map(float, found.groups()))

    def is_close(self):
        """Whether the picture is no more than a second behind, as a rule."""
        seen = []
        while len(seen) < 15:
            seen += [behind for behind in [self.behind()] if behind is not None]
            time.sleep(0.07)
        self.last = statistics.median(seen)
        return self.last <= 1.0


def start(stack, folder, *channels):
    tables = "".join(f"[[channel]]\n{channel}\n" for channel in channels)
    model = '[device]\nmodel = "nvr"\n' if len(channels) > 1 else ""
    device = Device(stack, folder, model + tables)
    page = Page(stack, folder, device)
    page.go("live")
    return page


def is_live(stack, folder):
    """The picture is under a second behind, in both streams; it is heard, taken and seen full."""
    page = start(stack, folder, pattern())
    for stream, width, scale in (("main", 640, 2), ("sub", 320, 1)):
        if stream == "sub":
            page.choose("stream", stream)
        page.wait(f"picture of {stream}", SIZE, width)
        shown = Pattern(page, scale)
        wait_for(f"{stream} at most a second behind", shown.is_close, 20)
        print(f"  {stream}: {shown.last:.2f} s behind")
    page.says(r"H\.264, 320 × 180")
    page.press_button("Sound")
    page.wait("sound", "const v = document.querySelector('video'); return !v.muted && v.webkitAudioDecodedByteCount > 0 && v.readyState > 2")
    wait_for("a picture with sound at most a second behind", Pattern(page, 1).is_close, 20)
    page.press_button("Take a picture")
    page.wait("picture of the camera", "return document.querySelector('dialog img')?.naturalWidth > 0")
    page.script("document.querySelector('dialog').close()")
    page.look("live")
    page.go("overview")
    page.go("live")
    page.wait("the stream that was chosen before", SIZE, 320)
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def moves_the_camera(stack, folder):
    """The pad moves the camera while it is held, by pointer and by key; presets and tours do, too."""
    page = start(stack, folder, pattern())
    page.wait("picture", SIZE, 640)
    shown = Pattern(page, 2)
    home = wait_for("position", shown.position, 20)

    def rests():
        """Waits until the camera stands still; where."""
        before = shown.position()
        time.sleep(0.4)
        return before is not None and before == shown.position() and before

    x, y, width, height = page.script("const r = document.querySelector('[data-op=right]').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]")
    page.press(x + width / 2, y + height / 2)
    wait_for("pan to the right", lambda: (at := shown.position()) and at[0] > home[0] + 0.2, 20)
    page.let_go()
    right = wait_for("rest", rests, 10)
    page.script("document.querySelector('.pad .keys').focus()")
    page.key_down(LEFT)
    # Longer than the device lets a movement go on that nobody asks for again.
    time.sleep(2.2)
    page.key_up(LEFT)
    left = wait_for("rest", rests, 10)
    if not left[0] < right[0] - 0.2:
        raise Failed(f"the arrow key moved from {right} to {left}")

    page.press_button("Go")
    page.says("The camera goes there")
    wait_for("preset", lambda: (at := rests()) and at != left, 15)
    page.script("Array.from(document.querySelectorAll('.tours button')).at(0).click()")
    page.says("It runs")


def says_what_it_cannot_play(stack, folder):
    """A stream in H.265 is named, and the sub stream offered; a camera that is away is told of."""
    away = 'backend = "rtsp"\nmain = "rtsp://127.0.0.1:1/a"'
    page = start(stack, folder, clip(os.path.join(FIXTURES, "hevc.flv")), away)
    if not page.script("return MediaSource.isTypeSupported('video/mp4; codecs=\"hvc1.1.6.L60.90\"')"):
        page.says("This browser cannot play H.265")
        page.look("live-h265")
        page.press_button("Show the sub stream")
        page.wait("sub stream", SIZE, 320)
    page.choose("channel", "1")
    page.says("The camera cannot be reached")
    page.says(r"127\.0\.0\.1:1")
    page.look("live-away")


add("page shows live pictures under a second behind", is_live, 90)
add("page moves the camera and calls its presets", moves_the_camera, 90)
add("page says why there is no live picture", says_what_it_cannot_play, 90)
