"""The forms of the simulated cloud's page for cameras: the pad, the area, the lists, the password of a network."""
import json
import os
import urllib.request
from datetime import datetime

from peers.browser import Browser
from peers.cameras import PASSWORD, USER
from peers.ours import LOGIN, Agent, Camera, Cloud
from peers.process import Failed, wait_for

from . import add
from .page import start

UNFOLD = "document.querySelector(arguments[0]).closest('details').open = true"
PLACE = """
    const element = document.querySelector(arguments[0]);
    element.scrollIntoView({block: 'center'});
    const box = element.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height];
"""
SEND = "document.querySelector(arguments[0]).requestSubmit()"
ROWS = "return Array.from(document.querySelectorAll(arguments[0] + ' .answer tbody tr'), (row) => row.innerText)"
# Whatever is wider than the window and cannot be scrolled by itself.
WIDER = """
    for (const details of document.querySelectorAll('#forms details')) details.open = true;
    return Array.from(document.querySelectorAll('#forms *')).filter((element) =>
        !element.closest('.scroll') && element.getBoundingClientRect().right > innerWidth + 1).map((element) => element.outerHTML.slice(0, 99));
"""
LEFT, UP, PLUS, SHIFT = "\ue012", "\ue013", "+", "\ue008"


def sent(cloud, name):
    """The params of all requests or events of this name, in the order they were sent."""
    packets = [json.loads(p["text"]) for p in cloud.packets() if p["direction"] == "to_device"]
    return [p.get("params") for p in packets if name in (p.get("req"), p.get("event"))]


def orders(cloud):
    return [(p["op"], p["value"]) for p in sent(cloud, "CtrlPTZ")]


def moves_while_the_pad_is_held(stack, folder):
    cloud, browser = start(stack, folder)
    expected = []

    def expect(*more):
        expected.extend(more)
        wait_for(f"{more} of {expected}", lambda: orders(cloud)[len(expected) - len(more):], 20)
        if orders(cloud) != expected:
            raise Failed(f"expected the movements {expected}, got {orders(cloud)}")

    for op in ("up", "downleft", "zoomin"):
        x, y, width, height = browser.script(PLACE, f"#ptz [data-op={op}]")
        browser.press(x + width / 2, y + height / 2)
        expect((op, 50))
        # A finger that slides off the button is still one that holds it.
        browser.drag_on(x + width / 2 + 300, y + height / 2)
        browser.let_go()
        expect(("stop", 0))
    browser.script("document.querySelector('#ptz .keys').focus()")
    browser.key_down(LEFT)
    expect(("left", 50))
    browser.key_down(UP)
    expect(("upleft", 50))
    browser.key_up(LEFT)
    expect(("up", 50))
    browser.key_up(UP)
    expect(("stop", 0))
    browser.script("const s = document.querySelector('#ptz [name=speed]'); s.value = 7; document.querySelector('#ptz [data-op=left]').focus()")
    browser.key_down(PLUS)
    expect(("zoomin", 7))
    # Whoever leaves the pad holds nothing.
    browser.script("document.getElementById('filter').focus()")
    expect(("stop", 0))
    browser.key_up(PLUS)
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def sends_the_area_as_it_is_drawn(stack, folder):
    cloud, browser = start(stack, folder)
    form = "form[data-method=AlarmRectIntrusionDetectConfig]"
    browser.script(UNFOLD, form)
    rect = {"ulx": 20, "uly": 20, "urx": 80, "ury": 20, "dlx": 20, "dly": 80, "drx": 80, "dry": 80}

    def expect(what):
        before = len(sent(cloud, "AlarmRectIntrusionDetectConfig"))
        browser.script(SEND, form)
        wait_for("area", lambda: len(sent(cloud, "AlarmRectIntrusionDetectConfig")) > before, 20)
        drawn = sent(cloud, "AlarmRectIntrusionDetectConfig")[-1].get("rect")
        if drawn != what:
            raise Failed(f"expected {what}, got {drawn}")

    expect(rect)
    for corner, (x, y) in {"ul": (10, 30), "dr": (95, 70), "ur": (140, -40)}.items():
        left, top, width, height = browser.script(PLACE, f"{form} .area")
        at = browser.script("const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]",
                            f"{form} [data-corner={corner}]")
        browser.press(*at)
        browser.drag_on(left + width * x / 100, top + height * y / 100)
        browser.let_go()
        # What lies outside the picture is at its edge.
        rect |= {f"{corner}x": min(x, 100), f"{corner}y": max(y, 0)}
    expect(rect)
    browser.script("document.querySelector(arguments[0]).focus()", f"{form} [data-corner=dl]")
    browser.key_down(LEFT)
    browser.key_up(LEFT)
    browser.key_down(SHIFT)
    browser.key_down(UP)
    browser.key_up(UP)
    browser.key_up(SHIFT)
    expect(rect | {"dlx": 19, "dly": 70})
    browser.script("document.querySelector(arguments[0]).click()", f"{form} [name=rect]")
    expect(None)
    browser.script("document.querySelector(arguments[0]).click()", f"{form} [name=rect]")
    browser.script(SEND, "form[data-method=RTMPPublish]")
    # The picture of the card is bright; a blank frame is not.
    browser.wait("live picture under the area", "const c = document.querySelector('.area canvas');"
                 "return c.width && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 < 3 && v > 90)")


def fills_tables_with_lists(stack, folder):
    cloud, browser = start(stack, folder)

    def table(method, rows):
        browser.script(UNFOLD, f"form[data-method={method}]")
        browser.script(SEND, f"form[data-method={method}]")
        got = browser.wait(f"table of {method}", ROWS, f"form[data-method={method}]")
        missing = [text for text in rows if text not in "\n".join(got)]
        if missing:
            raise Failed(f"{method}: {missing} is not in {got}")
        return f"form[data-method={method}] .answer"

    def click(selector):
        browser.script("document.querySelector(arguments[0]).click()", selector)

    def told(method):
        return cloud.call(method, {"channel": 0})

    presets = table("GetPTZPresetList", [row["name"] for row in told("GetPTZPresetList")])
    click(f"{presets} button")
    token = told("GetPTZPresetList")[0]["token"]
    wait_for("preset of the first row", lambda: {"channel": 0, "token": token} in sent(cloud, "GotoPTZPreset"), 20)
    tours = table("GetPTZPresetTourList", [row["name"] for row in told("GetPTZPresetTourList")])
    click(f"{tours} button")
    wait_for("tour of the first row", lambda: [p["op"] for p in sent(cloud, "CtrlPTZPresetTour")] == ["start"], 20)
    click(f"{tours} button:last-child")
    wait_for("end of the tour", lambda: [p["op"] for p in sent(cloud, "CtrlPTZPresetTour")] == ["start", "stop"], 20)
    table("GetNetConfig", [row["mac"] for row in told("GetNetConfig")])

    networks = table("GetWifiSSIDList", [row["ssid"] for row in told("GetWifiSSIDList")])
    click(f"{networks} button")
    password = ' p"ä\\\' '
    browser.type("form[data-method=SetWifiConfig] [name=password]", password)
    browser.script(SEND, "form[data-method=SetWifiConfig]")
    ssid = told("GetWifiSSIDList")[0]["ssid"]
    wait_for("network of the first row", lambda: sent(cloud, "SetWifiConfig") ==
             [{"channel": 0, "ssid": ssid, "password": password}], 20)
    table("GetWifiStatusAndConfig", [ssid])
    # The password stands in no field, no packet, no answer of the page.
    browser.wait("packet without its password", "return document.getElementById('packets').innerText.includes('\"password\": \"•••\"')")
    if browser.script("return document.body.innerText.includes('p\\\\\"ä') || document.body.innerText.includes('p\"ä')"
                      "|| Array.from(document.querySelectorAll('input'), (i) => i.value).some((v) => v.includes('p\"ä'))"):
        raise Failed("the page shows the password")

    browser.script(SEND, "form[data-method=SetRTMPPublishConfig]")
    wait_for("publishes", lambda: sent(cloud, "SetRTMPPublishConfig"), 20)
    if sent(cloud, "SetRTMPPublishConfig") != [[{"enable": True, "channel": 0, "quality": "hd", "url": "rtmp://"}]]:
        raise Failed(f"the table of publishes became {sent(cloud, 'SetRTMPPublishConfig')}")
    publishes = [{"enable": False, "channel": 0, "quality": "ld", "url": cloud.rtmp_url("kept")}]
    cloud.call("SetRTMPPublishConfig", publishes)
    kept = table("GetRTMPPublishConfig", [publishes[0]["url"]])
    click(f"{kept} > button")
    browser.script(SEND, "form[data-method=SetRTMPPublishConfig]")
    wait_for("list as it was", lambda: sent(cloud, "SetRTMPPublishConfig")[1:] == [publishes, publishes], 20)

    browser.narrow(360)
    if browser.script(WIDER):
        raise Failed(f"wider than a phone: {browser.script(WIDER)}")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def shows_alarms_and_sends_firmware_and_the_time(stack, folder):
    cloud = Cloud(stack, folder)
    camera = Camera(stack, folder, "--http", "127.0.0.1:0", "--control", "127.0.0.1:0", "--family", "hikvision", "--pattern",
                    "--user", USER, "--password", PASSWORD)
    web, control = camera.process.said(r"(?sm)(http://127\.0\.0\.1:\d+)/.*^(http://127\.0\.0\.1:\d+)/$").groups()
    channel = (f'backend = "cgi"\nprofile = "hikvision"\nweb = "{web}"\nmain = "{camera.url}"\n'
               f'username = "{USER}"\npassword = "{PASSWORD}"')
    Agent(stack, folder, cloud, [channel], extra='[alarm]\nenable = ["motion"]\ndelay_seconds = 1\n')
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/?login_code={LOGIN}")
    browser.wait("device online in the page", "return document.getElementById('online').textContent === 'online'")

    def move(on):
        urllib.request.urlopen(f"{control}/trigger/0/motion?on={on}", b"", timeout=10).read()

    def alarm():
        # The agent may not listen yet.
        move("true")
        shown = browser.script("return document.querySelectorAll('#alarms .start').length")
        move("false")
        return shown
    wait_for("alarm in the log", alarm, 60)
    browser.wait("picture of the alarm", "const i = document.querySelector('#alarms .start img'); return i && i.complete && i.naturalWidth > 99")
    browser.wait("end of the alarm", "return document.querySelector('#alarms .alarm').innerText.includes('motion, end')")

    # The time, as it is filled in and as it is typed; the page sends the seconds that a browser leaves out.
    time = "form[data-event=SyncTime]"
    browser.script(UNFOLD, time)
    browser.script(SEND, time)
    wait_for("time of now", lambda: sent(cloud, "SyncTime"), 20)
    browser.script("document.querySelector(arguments[0]).elements.datetime.value = '2031-02-03T04:05'", time)
    browser.script(SEND, time)
    wait_for("another time", lambda: len(sent(cloud, "SyncTime")) == 2, 20)
    now, other = (params["datetime"] for params in sent(cloud, "SyncTime"))
    if abs((datetime.fromisoformat(now) - datetime.now()).total_seconds()) > 60 or other != "2031-02-03T04:05:00":
        raise Failed(f"the times sent are {now} and {other}")

    # The firmware: two files become an offer.
    for name in ("fw.img", "fw.img.minisig"):
        with open(os.path.join(folder, name), "w") as file:
            file.write(name)
    browser.script("document.getElementById('firmware-panel').open = true")
    browser.type("#firmware [name=image]", os.path.join(folder, "fw.img"))
    browser.type("#firmware [name=signature]", os.path.join(folder, "fw.img.minisig"))
    browser.type("#firmware [name=firmware_model]", "2.0.1")
    browser.script(SEND, "#firmware")
    wait_for("offer", lambda: cloud.get("/api/firmware")["firmware_model"] == "2.0.1", 20)
    offer = cloud.get("/api/firmware")
    if (offer["bytes"], offer["signature_bytes"]) != (len("fw.img"), len("fw.img.minisig")):
        raise Failed(f"the page hosts {offer}")
    browser.wait("hosted image in the page", "return document.getElementById('hosted').textContent.includes('signature of 14 bytes')")
    browser.script("document.querySelector('#firmware .upgrade').click()")
    wait_for("UpgradeFirmware", lambda: [None] == sent(cloud, "UpgradeFirmware"), 20)

    # A fault of each group is set, and the others stay.
    for group, field, value in (("alarm", "refuse", "7"), ("firmware", "cut_after", "1000")):
        form = f"form[data-faults={group}]"
        browser.script("for (let at = document.querySelector(arguments[0]).closest('details'); at; at = at.parentElement.closest('details'))"
                       " at.open = true", form)
        browser.type(f"{form} [name={field}]", value)
        browser.script(SEND, form)
        wait_for(f"fault {field}", lambda: cloud.get("/api/faults")[group][field] == int(value), 20)
    if cloud.get("/api/faults")["alarm"]["refuse"] != 7:
        raise Failed("faults of alarms end with those of the firmware")
    browser.narrow(360)
    if browser.script(WIDER.replace("#forms *", "#work *")):
        raise Failed(f"wider than a phone: {browser.script(WIDER.replace('#forms *', '#work *'))}")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("browser moves the camera while the pad is held", moves_while_the_pad_is_held)
add("browser sends the area as it is drawn", sends_the_area_as_it_is_drawn)
add("browser fills tables with the camera's lists", fills_tables_with_lists)
add("browser shows alarms and sends firmware and the time", shows_alarms_and_sends_firmware_and_the_time, 120)
