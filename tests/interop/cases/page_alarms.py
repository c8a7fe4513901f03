"""The page of alarms: detections that reach the camera as they were set, and alarms that are shown as they come."""
import json
import urllib.request

from peers.devicepage import WIDTHS, Device, Page
from peers.ours import Camera, Cloud, configuration
from peers.process import Failed, wait_for

from . import add

USER, PASSWORD = "admin", "Zaun-Q7-camera"
BOX = "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
# A picture of another shape in the place of the camera's.
TALL = """
    const canvas = Object.assign(document.createElement('canvas'), { width: 360, height: 480 });
    const blob = new Promise((done) => canvas.toBlob(done, 'image/jpeg'));
    const ours = window.fetch;
    window.fetch = (url, ...rest) => String(url).includes('snapshot.jpg')
        ? blob.then((body) => new Response(body, { headers: { 'content-type': 'image/jpeg' } })) : ours(url, ...rest);
"""
SHAPE = "const { width, height } = document.querySelector('.area').getBoundingClientRect(); return Math.abs(width / height - arguments[0]) < .02"
LEFT, SHIFT = "\ue012", "\ue008"
MOTION, TRIPWIRE, INPUT = (f"section:nth-of-type({n})" for n in (1, 2, 3))


def start(stack, folder):
    cloud = Cloud(stack, folder)
    camera = Camera(stack, folder, "--http", "127.0.0.1:0", "--control", "127.0.0.1:0", "--family", "hikvision", "--pattern",
                    "--user", USER, "--password", PASSWORD)
    web, control = camera.process.said(r"(?sm)(http://127\.0\.0\.1:\d+)/.*^(http://127\.0\.0\.1:\d+)/$").groups()
    channel = (f'backend = "cgi"\nprofile = "hikvision"\nweb = "{web}"\nmain = "{camera.url}"\n'
               f'username = "{USER}"\npassword = "{PASSWORD}"')
    device = Device(stack, folder, configuration(cloud, [channel]))
    page = Page(stack, folder, device)
    page.go("alarms")
    page.find(f"{TRIPWIRE} .area")
    return cloud, control, device, page


def at_camera(control):
    """What the camera was set to."""
    with urllib.request.urlopen(f"{control}/status", timeout=10) as answer:
        return json.load(answer)["channels"][0]["camera"]


def fill(page, panel, values):
    """Types values into a panel's form; switches are set."""
    for name, value in values.items():
        page.script("""
            const input = document.querySelector(`${arguments[0]} [name=${arguments[1]}]`);
            if (input.type === 'checkbox') { if (input.checked !== arguments[2]) input.click(); return; }
            input.value = arguments[2];
            input.dispatchEvent(new Event('input', { bubbles: true }));
        """, panel, name, value)


def save(page, panel, answer):
    page.script("document.querySelector(`${arguments[0]} .result`).textContent = ''", panel)
    page.click(f"{panel} button.go")
    said = "return document.querySelector(arguments[0]).innerText.includes(arguments[1])"
    page.wait(f"answer {answer!r} in {panel}", said, panel, answer, seconds=20)


def sets_detections_up(stack, folder):
    """What a technician sets reaches the camera; what makes no sense is said at its field, and what the cloud has changed meanwhile is
    told before it is lost."""
    cloud, control, _, page = start(stack, folder)
    fill(page, MOTION, {"enable": True, "all_day": False, "start_seconds": "22:00", "end_seconds": "00:00", "sensitivity": "70", "delay_seconds": "0"})
    save(page, MOTION, "From 1 to 86400")
    fill(page, MOTION, {"delay_seconds": "3"})
    save(page, MOTION, "Saved: the camera has taken it.")
    motion = at_camera(control)["motion"]
    if not motion["enable"] or (motion["from"], motion["to"]) != (79200, 86400):
        raise Failed(f"the camera has {motion}")
    wait_for("login", cloud.device, 30)
    cloud.call("AlarmMoveDetectConfig", {"channel": 0, "enable": False, "sensitivity": 20, "delay": 9})
    fill(page, MOTION, {"delay_seconds": "4"})
    save(page, MOTION, "Meanwhile it was changed: switched, hours, sensitivity, quiet time (Set by the cloud.)")
    save(page, MOTION, "Set on this page")
    if at_camera(control)["motion"]["sensitivity"] == motion["sensitivity"]:
        raise Failed("what the cloud has set and nobody has typed over is not shown")

    fill(page, INPUT, {"external": False})
    save(page, INPUT, "Saved.")
    page.says("The last 50 alarms")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def sends_the_rectangle_as_it_is_drawn(stack, folder):
    """The tripwire's rectangle, dragged on a phone and on a laptop, over a wide picture and a tall one, and moved by keyboard and by
    finger, is what the camera gets."""
    _, control, _, page = start(stack, folder)
    page.says("The camera's present area is not known here")
    before = at_camera(control)["area"]
    fill(page, TRIPWIRE, {"enable": True})
    save(page, TRIPWIRE, "Saved: the camera has taken it.")
    if at_camera(control)["area"] != before:
        raise Failed("an area that nobody has drawn was sent")

    def drag(begin, end):
        page.script("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", f"{TRIPWIRE} .area")
        left, top, width, height = page.script(BOX, f"{TRIPWIRE} .area")
        page.press(left + width * begin[0] / 100, top + height * begin[1] / 100)
        page.drag_on(left + width * end[0] / 100, top + height * end[1] / 100)
        page.let_go()

    def expect(left, top, right, bottom):
        save(page, TRIPWIRE, "Saved: the camera has taken it.")
        area = at_camera(control)["area"]
        wanted = [[left, top], [right, top], [right, bottom], [left, bottom]]
        if any(abs(a - b) > 1 for got, want in zip(area, wanted) for a, b in zip(got, want)):
            raise Failed(f"drawn were {wanted}, the camera has {area}")

    # The camera's pattern is bright; a blank frame is not.
    page.wait("picture of the camera", "const c = document.querySelector('.area canvas'); return c.getContext('2d')"
              ".getImageData(0, 0, c.width, c.height).data.some((value, i) => i % 4 < 3 && value > 90)")
    # A new one is drawn from corner to corner; one of its corners is dragged on, beyond the picture.
    for width, begin, end, drawn, to, dragged in ((WIDTHS[0], (5, 5), (60, 80), (5, 5, 60, 80), (90, 130), (5, 5, 90, 100)),
                                                  (WIDTHS[1], (96, 6), (40, 75), (40, 6, 96, 75), (70, 130), (40, 6, 70, 100))):
        page.narrow(width)
        drag(begin, end)
        expect(*drawn)
        drag(drawn[2:], to)
        expect(*dragged)
    page.script(TALL)
    page.wait("tall picture", SHAPE, 3 / 4)
    for width, begin, end, drawn in ((WIDTHS[0], (95, 90), (30, 20), (30, 20, 95, 90)), (WIDTHS[1], (25, 95), (80, 30), (25, 30, 80, 95))):
        page.narrow(width)
        drag(begin, end)
        expect(*drawn)
    # As a whole, and one corner of it, by keyboard.
    page.script("document.querySelector('.area .whole').focus()")
    page.key_down(SHIFT)
    page.key_down(LEFT)
    page.key_up(LEFT)
    page.key_up(SHIFT)
    expect(15, 30, 70, 95)
    page.script("document.querySelector('.area [data-corner=ul]').focus()")
    page.key_down(LEFT)
    page.key_up(LEFT)
    expect(14, 30, 70, 95)
    # A corner, and the whole, by finger.
    page.narrow(WIDTHS[0])
    for handle, by, moved in (("[data-corner=dr]", (10, -35), (14, 30, 80, 60)), (".whole", (-7, 20), (7, 50, 73, 80))):
        page.script("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", f"{TRIPWIRE} .area")
        _, _, width, height = page.script(BOX, f"{TRIPWIRE} .area")
        x, y, breadth, depth = page.script(BOX, f"{TRIPWIRE} .area {handle}")
        x, y = x + breadth / 2, y + depth / 2
        page.swipe((x, y), (x + width * by[0] / 200, y + height * by[1] / 200), (x + width * by[0] / 100, y + height * by[1] / 100))
        expect(*moved)
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def shows_alarms_as_they_come(stack, folder):
    """An alarm is shown with its picture while it is on, with its end and what the cloud knows of it; in an outage too."""
    cloud, control, _, page = start(stack, folder)
    page.says("No alarm since the program started")
    fill(page, MOTION, {"enable": True, "delay_seconds": "1"})
    save(page, MOTION, "Saved: the camera has taken it.")
    wait_for("login", cloud.device, 30)

    def move(on):
        urllib.request.urlopen(f"{control}/trigger/0/motion?on={on}", b"", timeout=10).read()

    def rows():
        return page.script("return Array.from(document.querySelectorAll('.alarms > li'), (row) => row.innerText)")

    def alarm():
        # The agent may not listen yet.
        move("true")
        return rows() or move("false")
    wait_for("alarm in the page", alarm, 40)
    page.wait("its picture", "const i = document.querySelector('.alarms img'); return i && i.complete && i.naturalWidth > 99")
    page.says("cloud told")
    move("false")
    page.says("lasted")
    page.click(".alarms .shot button")
    page.wait("large picture", "const i = document.querySelector('dialog .large'); return i && i.naturalWidth > 99")
    page.press_button("Close")

    cloud.process.stop()
    page.says("cloud told")
    known = len(rows())
    move("true")
    wait_for("alarm of the outage", lambda: len(rows()) > known and "waits for the cloud" in rows()[0], 30)
    page.look("alarms")
    page.press_button("中文")
    page.says("等待上报平台")
    if missing := page.missing():
        raise Failed(f"texts are missing: {missing}")


add("page alarms: detections are set up", sets_detections_up)
add("page alarms: the rectangle arrives as it is drawn", sends_the_rectangle_as_it_is_drawn)
add("page alarms: alarms are shown as they come", shows_alarms_as_they_come)
