"""The setup of a device on its page: from blank to live in the cloud, and the channels afterwards."""
import os
import re

from peers.devicepage import PASSWORD, Device, Page
from peers.ours import LOGIN, Camera, Cloud, pattern
from peers.process import Failed, wait_for

from . import add
from .page_access import ENTER, TAB
from .page_overview import saved

# Odd, since the agent masks them wherever they would be told.
CAMERA_PASSWORD = "Zaun-Kamera.7"
CLOUD_PASSWORD = "Wolke_0815-Q"
GROUP = "239.255.255.250:3702"
# What a technician may type and click from a blank device to a live picture in the cloud.
MOST_INPUTS = 12
# Name and text of what has the focus.
FOCUS = "const { name = '', textContent } = document.activeElement; return [name, textContent.trim()]"
MOVES = "return Array.from(document.querySelectorAll('video')).some((video) => video.currentTime > 0.3)"


def locked(stack, folder, *arguments):
    """A camera on the network that asks for a login; where its ONVIF service is."""
    camera = Camera(stack, folder, "--user", "admin", "--password", CAMERA_PASSWORD, *arguments)
    return camera.process.said(r"http://127\.0\.0\.1:\d+/onvif/\S+")[0]


def blank_to_live(stack, folder):
    """A technician claims a blank device, points at the camera on the network, and is live in the cloud by a dozen inputs at most."""
    cloud = Cloud(stack, folder, "debug", "--login", f"{LOGIN}:{CLOUD_PASSWORD}")
    address = locked(stack, folder, "--discovery", GROUP)
    Camera(stack, folder, "--discovery", GROUP)
    device = Device(stack, folder, password=None)
    page = Page(stack, folder, device)
    page.shown("claim")
    page.enter("new", PASSWORD)
    page.enter("again", PASSWORD)
    page.press_button("Set the password")
    page.shown("wizard")
    page.wait("the picture of a camera without a login", "return Array.from(document.querySelectorAll('.camera img')).some((one) => one.naturalWidth > 0)")
    page.find(f".camera[data-address='{address}']")
    page.look("wizard-camera")
    page.click(f".camera[data-address='{address}']")
    page.enter("password", CAMERA_PASSWORD)
    page.press_button("Use this camera")
    page.wait("the live picture", MOVES)
    page.says(r"H\.264 · 640 × 360 · [1-9]\d* fps")
    page.press_button("Next: the cloud")
    page.enter("url", cloud.device_url)
    page.enter("login_code", LOGIN)
    page.enter("login_passwd", CLOUD_PASSWORD)
    page.press_button("Test and save")
    page.says("The cloud sees this device, and it has a camera")
    for fact in (f"Login code\\s+{LOGIN}", r"Online since\s+\d+ \w+ \d{4}", "Channels\\s+0: (online|live)"):
        page.says(fact)
    if page.inputs > MOST_INPUTS:
        raise Failed(f"{page.inputs} inputs and clicks, {MOST_INPUTS} at most")
    wait_for("the device in the cloud", cloud.device, 15)
    cloud.publish(cloud.rtmp_url("s"), "s")
    wait_for("the live picture in the cloud", lambda: any(s["frames"] >= 30 for s in cloud.get("/api/streams")), 30)
    page.look("wizard-done")
    page.go("wizard/picture")
    page.wait("the live picture", MOVES)
    page.look("wizard-picture")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")
    log = device.process.output()
    if found := next((word for word in (CAMERA_PASSWORD, CLOUD_PASSWORD) if word in log), None):
        raise Failed(f"the log tells {found}")


def by_keyboard(stack, folder):
    """The keyboard alone leads from a blank device to the cloud."""
    cloud = Cloud(stack, folder, "debug", "--login", f"{LOGIN}:{CLOUD_PASSWORD}")
    page = Page(stack, folder, Device(stack, folder, f"[[channel]]\n{pattern()}\n", password=None))

    def come_to(what):
        """Presses Tab until the field of this name, or what begins with this text, has the focus."""
        for _ in range(60):
            page.keys(TAB)
            name, text = page.script(FOCUS)
            if what == name or text.startswith(what):
                return
        raise Failed(f"the key Tab does not lead to {what!r}")

    def at(step):
        page.shown("wizard")
        page.wait(f"step {step}", "return document.querySelector('.steps [aria-current]')?.hash === `#/wizard/${arguments[0]}`", step)

    for step, stops in ((None, [("new", PASSWORD), ("again", PASSWORD)]), ("camera", [("Built-in camera", "")]), ("picture", [("Next: the cloud", "")]),
                        ("cloud", [("url", cloud.device_url), ("login_code", LOGIN), ("login_passwd", CLOUD_PASSWORD)])):
        page.shown("claim") if step is None else at(step)
        for stop, text in stops:
            come_to(stop)
            page.keys(text)
        page.keys(ENTER)
    at("done")
    page.says("The cloud sees this device, and it has a camera")


def stops_at_wrong_inputs(stack, folder):
    """Each wrong input stops with its message at its field; going back, and loading the page again, loses nothing typed but passwords."""
    address = locked(stack, folder)
    device = Device(stack, folder)
    page = Page(stack, folder, device)
    page.shown("wizard")
    place = re.search(r"127\.0\.0\.1:\d+", address)[0]
    for wrong, name, answer in (
            ({"address": ""}, "address", "Fill this in"),
            ({"address": "ftp://x"}, "address", "http://HOST"),
            ({"address": "http://u:p@h"}, "address", "without login"),
            ({"address": "rtsp://"}, "address", "rtsp://HOST"),
            ({"address": "127.0.0.1:1"}, "address", "Nobody answers"),
            ({"address": place, "password": "no such word"}, "password", "refuses this user name or password"),
            ({"address": place, "username": "", "password": ""}, "username", "asks for a login"),
            ({"address": place, "username": "admin", "password": CAMERA_PASSWORD, "input": "0"}, "input", "From 1 to 256")):
        for field, text in wrong.items():
            page.enter(field, text)
        page.press_button("Use this camera")
        page.wait(f"{answer} at {name}", "const input = document.getElementsByName(arguments[0])[0];"
                  "return input.getAttribute('aria-invalid') === 'true' && input.closest('.field').innerText.includes(arguments[1])", name, answer)
    if device.expect("GET", "/settings")["values"].get("channel.0.backend"):
        raise Failed("a camera was saved that cannot be used")
    page.enter("input", "1")
    page.go("wizard/cloud")
    page.script("history.back()")
    page.wait("what was typed", "return document.getElementsByName('password')[0]?.value === arguments[0]", CAMERA_PASSWORD)
    page.open(f"{device.url}/#/wizard/camera")
    page.script("location.reload()")
    page.wait("what was typed but the password", "return document.getElementsByName('address')[0]?.value === arguments[0]"
              "&& document.getElementsByName('password')[0].value === ''", place)
    if CAMERA_PASSWORD in page.script("return JSON.stringify([sessionStorage, localStorage])"):
        raise Failed("the browser keeps the password")
    page.enter("password", CAMERA_PASSWORD)
    page.press_button("Use this camera")
    page.wait("the live picture", MOVES)
    if page.script("return location.hash") != "#/wizard/picture":
        raise Failed("the wizard did not go on")


def keeps_what_was_typed(stack, folder):
    """What was typed and chosen in the third step outlasts going back, another language and the browser's tab; passwords do not outlast the
    tab, and nothing of an abandoned setup shows on the page of the cloud, or after a reset, which takes the device's own passwords, too."""
    device = Device(stack, folder, "[cloud]\nurl = 'ws://127.0.0.1:9/saved'\nlogin_code = 'saved'\nlogin_passwd = 'w'\n[[channel]]\nbackend = 'emulator'\n")
    file = os.path.join(folder, "authority.pem")
    with open(file, "w", encoding="utf-8") as out:
        out.write("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    page = Page(stack, folder, device)
    page.go("wizard/cloud")
    page.enter("url", "wss://cloud.example/typed")
    page.enter("login_code", "typed")
    page.enter("login_passwd", CLOUD_PASSWORD)
    page.type("#cloud-ca", file)
    typed = "return ['url', 'login_code', 'login_passwd'].map((name) => document.getElementsByName(name)[0]?.value).join(' ')"
    page.says("To be trusted: authority.pem")
    page.go("wizard/picture")
    page.script("history.back()")
    page.says("To be trusted: authority.pem")
    page.press_button("中文")
    page.says("将信任：authority.pem")
    page.press_button("English")

    page.open_other()
    page.open(f"{device.url}/#/wizard/cloud")
    page.shown("wizard")
    page.says("To be trusted: authority.pem")
    page.wait("what was typed", typed + " === 'wss://cloud.example/typed typed '")
    if CLOUD_PASSWORD in page.script("return JSON.stringify([sessionStorage, localStorage])"):
        raise Failed("the browser keeps the password")
    page.go("cloud")
    page.wait("what is saved", typed + " === 'ws://127.0.0.1:9/saved saved '")
    page.go("system")
    page.enter("confirm", "RESET")
    page.press_button("Take everything away")
    page.shown("claim")
    with open(device.config, encoding="utf-8") as config:
        if "login_passwd" in config.read():
            raise Failed("the configuration keeps the password of the cloud")
    if "typed" in page.script("return JSON.stringify([sessionStorage, localStorage])"):
        raise Failed("the browser keeps what was typed for the owner of before")


def comes_back(stack, folder):
    """A device that was reset takes its settings from a file, with the password that the file does not have, and is in the cloud again."""
    cloud = Cloud(stack, folder, "debug", "--login", f"{LOGIN}:{CLOUD_PASSWORD}")
    account = f"[cloud]\nurl = '{cloud.device_url}'\nlogin_code = '{LOGIN}'\nlogin_passwd = '{CLOUD_PASSWORD}'\nhardware_model = 'Kept-7'\n"
    page = Page(stack, folder, Device(stack, folder, f"{account}[[channel]]\nbackend = 'emulator'\n"))
    page.go("system")
    page.press_button("Save to a file")
    file = saved(page, "ivt-settings.json")
    page.enter("confirm", "RESET")
    page.press_button("Take everything away")
    page.shown("claim")
    wait_for("the end in the cloud", lambda: not cloud.device(), 20)
    page.enter("new", PASSWORD)
    page.enter("again", PASSWORD)
    page.press_button("Set the password")
    page.shown("wizard")
    page.go("system")
    page.type("input[accept*=json]", file)
    page.press_button("Read in")
    page.says("The file has no passwords")
    page.enter("cloud.login_passwd", CLOUD_PASSWORD)
    page.press_button("Read in")
    page.says("The settings of the file hold now")
    wait_for("the device in the cloud", lambda: (cloud.device() or {}).get("hardware_model") == "Kept-7", 20)


def channels_are_kept_up(stack, folder):
    """On the page of channels a camera is probed, another is added, which makes the device a recorder, and one is removed; the push list
    is changed and shows no stream key."""
    address = locked(stack, folder)
    place = re.search(r"127\.0\.0\.1:\d+", address)[0]
    device = Device(stack, folder, config="[[channel]]\nbackend = 'emulator'\n")
    page = Page(stack, folder, device)
    page.go("channels")
    page.says("emulator")
    page.press_button("Add a camera")
    for field, text in (("address", place), ("username", "admin"), ("password", CAMERA_PASSWORD)):
        page.enter(field, text)
    page.press_button("Use this camera")
    page.says("Make this device a recorder")
    page.press_button("Make it a recorder")
    page.wait("the new channel", "return location.hash === '#/channels/1'")
    page.says("Quality map")
    page.press_button("Probe")
    page.says(r"H\.264 640 × 360")
    page.look("channel")
    page.choose("hd", "sub")
    page.click(".panel:has([name=hd]) button.go")
    page.says("Saved")
    page.choose("transport", "tcp")
    page.click(".panel:has([name=transport]) button.go")
    wait_for("the transport", lambda: device.expect("GET", "/settings")["values"].get("channel.1.transport") == "tcp", 15)
    settings = device.expect("GET", "/settings")
    values = settings["values"]
    if not settings["secrets"]["channel.1.password"]:
        raise Failed("the password is gone")
    if values.get("channel.1.quality.hd") != "sub" or values.get("device.model") != "nvr":
        raise Failed(f"the settings are {values}")

    page.go("channels")
    page.press_button("Add a push address")
    page.enter("url", "http://192.0.2.1/live/Push-K3y")
    page.click(".panel form button.go")
    page.says("rtmp")
    page.enter("url", "rtmp://192.0.2.1/live/Push-K3y")
    page.click(".panel form button.go")
    page.says(r"rtmp://192\.0\.2\.1/live/\*\*\*")
    if "Push-K3y" in page.script("return document.documentElement.outerHTML"):
        raise Failed("the page shows a stream key")
    page.look("channels")

    page.go("channels/0")
    page.press_button("Remove this channel")
    page.press_button("Remove this channel")
    page.says("The channel is removed")
    page.wait("one channel", "return document.querySelectorAll('table.list tbody tr').length === 1")
    if [row["channel"] for row in device.expect("GET", "/publishes")["rows"]] != []:
        raise Failed("a channel that is gone is pushed")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("page: from blank to live in the cloud", blank_to_live)
add("page: the wizard by keyboard alone", by_keyboard)
add("page: the wizard stops at wrong inputs", stops_at_wrong_inputs)
add("page: the wizard keeps what was typed", keeps_what_was_typed)
add("page: a device that was reset takes its settings back", comes_back)
add("page: channels are added, probed and removed", channels_are_kept_up)
