"""The device itself on its page: Wi-Fi on trial, the clocks, and a firmware that is uploaded."""
import os
import time

from peers.devicepage import PASSWORD, Device, Page
from peers.ours import clip
from peers.process import Failed, wait_for

from . import add
from .firmware import MODEL, Image, board, boot, change, read

# What a stranger may call a network, in 32 bytes.
HOSTILE = "<img src=x onerror=window.hit=1>"
TRIAL = 10
# What the page says of an upload while it goes on.
PROGRESS = """
    window.told = [];
    const result = document.querySelector('[name=image]').form.querySelector('.result');
    new MutationObserver(() => window.told.push(result.textContent)).observe(result, { childList: true });
"""


def stands_beside(stack, folder):
    """A technician joins networks, of which one is not confirmed, sets the clock, uploads a firmware and keeps it, and takes a further one back."""
    image = Image(os.path.join(folder, "images"))
    place, restarted = board(os.path.join(folder, "slots")), os.path.join(folder, "restarted")
    config = (f'[cloud]\nhardware_model = "{MODEL}"\n[[channel]]\n{clip(None)}\n[network]\nwifi_trial_seconds = {TRIAL}\n'
              f'[firmware]\n{place}restart = ["touch", "{restarted}"]\nkeys = ["{image.key}"]\n')
    device = Device(stack, folder, config)
    page = Page(stack, folder, device)
    begun = strange_network(page)
    sets_the_clock(page, device)
    uploads(page, image)

    def restarts(slot):
        """Waits until the device restarts, in this slot, and opens the page of the firmware then."""
        wait_for("restart", lambda: os.path.exists(restarted), 30)
        os.remove(restarted)
        if (started := boot(os.path.join(folder, "slots"))) != slot:
            raise Failed(f"slot {started} starts, not {slot}")
        page.device.process.child.terminate()
        page.device.process.child.wait(20)
        page.device = Device(stack, folder, config, password=None)
        page.device.password = PASSWORD
        page.open_url()
        page.go("firmware")

    goes_back(page, device, begun)
    stays(page, device)
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")
    restarts("b")
    if read(os.path.join(folder, "slots/b")) != read(image.path):
        raise Failed("slot b is another image")
    is_decided(page, image, restarts)


def wifi(device):
    """State and trial of the Wi-Fi."""
    (seen,) = device.expect("GET", "/wifi")["channels"]
    return seen["state"], seen["trial"]


def strange_network(page):
    """Joins a network whose name is HTML, and looks at what becomes of it; when that was."""
    page.go("network")
    page.says("office")
    page.press_button("Search for networks")
    page.says("workshop 5G")
    page.look("network")
    page.press_button("Hidden network")
    page.enter("ssid", HOSTILE)
    page.enter("password", "short12")
    page.press_button("Join")
    page.says("password has at least 8")
    page.enter("password", "long enough")
    page.press_button("Join")
    page.says("is on trial")
    begun = time.monotonic()
    page.says("Connecting|Not in reach")
    if HOSTILE not in page.text() or page.script("return Boolean(window.hit || document.querySelector('img'))"):
        raise Failed("the name of the network is not text")
    page.look("network-trial")
    return begun


def goes_back(page, device, begun):
    """The network that nobody has confirmed is left."""
    wait_for("end of the trial", lambda: wifi(device)[1] is None, TRIAL + 20)
    if (spent := time.monotonic() - begun) < TRIAL - 2:
        raise Failed(f"the trial ended after {spent:.0f} s")
    if (name := wifi(device)[0]["ssid"]) != "office":
        raise Failed(f"the device went to {name}")


def stays(page, device):
    """A network that the technician confirms is there to stay."""
    page.go("network")
    page.press_button("Search for networks")
    page.says("guests")
    page.script("Array.from(document.querySelectorAll('.networks li')).find((row) => row.textContent.includes('guests')).querySelector('button').click()")
    page.press_button("Join")
    page.says("is on trial")
    wait_for("network", lambda: wifi(device)[0]["status"] == "connected", 20)
    page.press_button("Keep this network")
    page.says("The network stays")
    state, trial = wifi(device)
    if state["ssid"] != "guests" or trial is not None:
        raise Failed(f"the device is in {state['ssid']}, {trial}")


def sets_the_clock(page, device):
    """A clock that is years away is set after a question."""
    device.expect("PUT", "/time", {"utc": "2001-02-03T04:05:06Z", "confirmed": True})
    page.go("time")
    page.says("2001-02-03")
    page.look("time")
    page.press_button("Set from this browser")
    page.says("This is a long step")
    page.press_button("Cancel")
    if not device.expect("GET", "/time")["cameras"][0]["shows"].startswith("2001"):
        raise Failed("the clock was set without a confirmation")
    page.wait("end of the first press", "return !document.querySelector('[aria-busy=true]')")
    page.press_button("Set from this browser")
    page.press_button("Set the clock")
    page.says("The clocks are set")
    shown, here = device.expect("GET", "/time")["cameras"][0]["shows"], page.script(
        "return new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString()")
    if shown[:15] != here[:15] and shown[:13] != here[:13]:
        raise Failed(f"the clock shows {shown}, and the browser {here}")


def uploads(page, image):
    """What is signed by a stranger, or damaged, is refused with its reason; what is right is installed."""
    page.go("firmware")
    page.says("two slots, a runs")
    image.new_key("stranger")
    image.sign("stranger")
    sends(page, image)
    page.says("a key that this device does not trust")
    page.look("firmware")
    image.sign()
    change(image.path, -1)
    sends(page, image)
    page.press_button("Install")
    page.says("not the one that was signed")
    change(image.path, -1)
    sends(page, image)
    page.says("Version 2.4.2 for CAM-200")
    page.script(PROGRESS)
    page.press_button("Install")
    page.says("2.4.2 is whole and signed right")
    if not any(text.startswith("Sending") for text in page.script("return window.told")):
        raise Failed("the page tells no progress")
    page.says("About to restart|Installing")
    page.look("firmware-installed")


def is_decided(page, image, restarts):
    """The firmware on trial is kept; a further one is taken back."""
    page.press_button("Keep it")
    page.press_button("Keep it")
    page.wait("end of the trial", "return !document.querySelector('.notice.warn')")
    image.sign(comment=image.comment(version="2.4.3", counter=243))
    sends(page, image)
    page.press_button("Install")
    restarts("a")
    page.press_button("Roll back")
    page.press_button("Roll back")
    restarts("b")
    page.says("2.4.3 was installed and did not stay")


def sends(page, image):
    """Chooses image and signature, and begins to send them."""
    for name, path in (("image", image.path), ("signature", image.path + ".minisig")):
        page.script("document.querySelector(`[name=${arguments[0]}]`).value = ''", name)
        page._post(f"/element/{page.find(f'[name={name}]')}/value", {"text": path})
    page.press_button("Check and upload")


add("page device: Wi-Fi on trial, the clock, a firmware", stands_beside)
