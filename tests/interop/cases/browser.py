"""The simulated cloud's page in Chromium, used as QA uses it."""
import os

from peers.browser import Browser
from peers.ours import LOGIN, Agent, Cloud, clip
from peers.paths import FIXTURES
from peers.process import Failed, wait_for

from . import add

NOTE_OFFLINE = """
    const online = document.getElementById('online');
    new MutationObserver(() => { window.offline ||= online.textContent === 'offline'; })
        .observe(online, {childList: true, characterData: true, subtree: true});
"""
FORM = "document.querySelector('form[data-method=RTMPPublish]')"
# Mean colours of three of the card's bars, and the sweeping bar's column: the brightest of the row it moves in.
LOOK = """
    const video = document.getElementById('video'), canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    const at = (x, y) => Array.from(context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data.slice(0, 3));
    const row = context.getImageData(0, 0.76 * canvas.height, canvas.width, 1).data;
    const white = Array.from({length: canvas.width}, (_, x) => row[4 * x] > 200 && row[4 * x + 1] > 200 && row[4 * x + 2] > 200);
    return {bars: [at(0.49, 0.1), at(0.6, 0.1), at(0.82, 0.1)], white};
"""


def start(stack, folder, source):
    """Starts cloud and agent, and opens a page on which `RTMPPublish` is sent by its form."""
    cloud = Cloud(stack, folder)
    Agent(stack, folder, cloud, [clip(source)])
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/?login_code={LOGIN}")
    browser.wait("device online in the page", "return document.getElementById('online').textContent === 'online'")
    browser.wait("prefilled form", f"return {FORM}.elements.url.value.startsWith('rtmp://127')")
    browser.script(f"{FORM}.querySelector('button.go').click()")
    browser.wait("answer to RTMPPublish", "return /^RTMPPublish: \\{/.test(document.getElementById('result').textContent)")
    return cloud, browser


def plays(browser, size):
    """Waits for a picture of this size that moves on for more than 2 s."""
    browser.wait("picture", "const v = document.getElementById('video'); return v.videoWidth === arguments[0] && "
                 "v.videoHeight === arguments[1] && !v.paused && v.readyState > 2", *size)
    began = browser.script("return document.getElementById('video').currentTime")
    browser.wait("2 s of play", "return document.getElementById('video').currentTime > arguments[0] + 2", began)


def shows_the_stream(stack, folder):
    cloud, browser = start(stack, folder, None)
    plays(browser, (640, 360))
    first = browser.script(LOOK)
    for (red, green, blue), want in zip(first["bars"], ((0, 190, 0), (190, 0, 190), (0, 0, 190))):
        if any(abs(a - b) > 60 for a, b in zip((red, green, blue), want)):
            raise Failed(f"the picture is not the test card: {first['bars']}")
    wait_for("motion in the picture", lambda: browser.script(LOOK)["white"] != first["white"], 20)
    for text in ('"req": "RTMPPublish"', '"resp"', "Keepalive"):
        browser.wait(f"packet with {text}", "return document.getElementById('packets').innerText.replace(/\\s+/g, ' ')"
                     ".includes(arguments[0])", text)
    browser.screenshot("page.png")

    logins = cloud.device()["logins"]
    # The agent may be back before the page is looked at.
    browser.script(NOTE_OFFLINE)
    browser.script("document.getElementById('raw').value = arguments[0]; document.getElementById('raw-form').requestSubmit()",
                   '{"req": "GetNetConfig", ')
    browser.wait("malformed packet in the list", "return document.getElementById('packets').innerText.includes(arguments[0])",
                 '{"req": "GetNetConfig", ')
    browser.wait("hang-up of the agent", "return window.offline")
    # The agent comes back by itself: its first delay is at most 15 s.
    wait_for("new login of the agent", lambda: (cloud.device() or {"logins": 0})["logins"] > logins, 30)
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def says_what_it_cannot_play(stack, folder):
    _, browser = start(stack, folder, os.path.join(FIXTURES, "hevc.flv"))
    if browser.script("return MediaSource.isTypeSupported('video/mp4; codecs=\"hvc1.1.6.L60.90\"')"):
        plays(browser, (256, 144))
    else:
        browser.wait("word on H.265", "return document.getElementById('state').textContent.includes('cannot play H.265')")


def plays_without_its_sound(stack, folder):
    _, browser = start(stack, folder, os.path.join(FIXTURES, "pcma.flv"))
    plays(browser, (256, 144))
    browser.wait("word on G.711", "return document.getElementById('notice').textContent.includes('G.711')")


add("browser shows the stream and every packet", shows_the_stream, 120)
add("browser plays B-frames", lambda stack, folder: plays(
    start(stack, folder, os.path.join(FIXTURES, "h264_bframes.flv"))[1], (256, 144)))
add("browser says that it cannot play HEVC", says_what_it_cannot_play)
add("browser plays the picture of a stream with G.711", plays_without_its_sound)
