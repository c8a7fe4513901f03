"""The device's page where the way to it changes: encrypted, and in a tab that slept."""
import http.client
import time

from peers.devicepage import PASSWORD, Device, Page
from peers.ours import pattern
from peers.process import Failed, wait_for

from . import add
from .page_live import SIZE, Pattern

CAMERA = f"[[channel]]\n{pattern()}\n"
MENU = "return Boolean(document.querySelector('nav a[aria-current]'))"
# Seconds that the tab sleeps: longer than the page bears silence from the device.
ASLEEP = 20


def is_encrypted(stack, folder):
    """By the certificate that the device makes at its first start, a technician claims it, logs in and looks; who comes without
    encryption is led to it."""
    device = Device(stack, folder, f'{CAMERA}[device]\nstate_dir = "{folder}/state"\n', 'https = "on"\n', password=None)
    host = device.url.removeprefix("https://")
    page = Page(stack, folder, device)
    # The browser takes no other certificate, so that this one is the device's own.
    page.open(f"http://{host}/")
    page.shown("claim")
    if (origin := page.script("return location.origin")) != device.url:
        raise Failed(f"http led to {origin}, not to {device.url}")
    page.enter("new", PASSWORD)
    page.enter("again", PASSWORD)
    page.press_button("Set the password")
    page.wait("menu", MENU)
    page.script("return fetch('/api/v1/session', { method: 'DELETE' }).then((answer) => answer.status)")
    page.open(f"{device.url}/")
    page.shown("login")
    page.enter("password", PASSWORD)
    page.press_button("Log in")
    page.wait("menu", MENU)
    (cookie,) = page._request("GET", "/cookie")
    rules = {name: cookie[name] for name in ("name", "secure", "httpOnly", "sameSite")}
    if rules != {"name": "__Host-ivt_session", "secure": True, "httpOnly": True, "sameSite": "Strict"}:
        raise Failed(f"the cookie is {rules}")
    page.go("live")
    page.wait("picture", SIZE, 640)
    shown = Pattern(page, 2)
    wait_for("a picture at most a second behind", shown.is_close, 20)

    plain = http.client.HTTPConnection(host, timeout=20)
    plain.request("POST", "/api/v1/session?a=b", "{}", {"Content-Type": "application/json"})
    answer = plain.getresponse()
    if (answer.status, answer.getheader("Location")) != (308, f"{device.url}/api/v1/session?a=b"):
        raise Failed(f"a call without encryption is answered with {answer.status}, {answer.getheader('Location')}")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")
    # The certificate outlasts the program: a browser asks once.
    first = device.certificate
    device.process.child.terminate()
    device.process.child.wait(20)
    if Device(stack, folder, f'{CAMERA}[device]\nstate_dir = "{folder}/state"\n', 'https = "on"\n', password=None).certificate != first:
        raise Failed("the device has made another certificate at its second start")


def sleeps(page, seconds, meanwhile=lambda: None):
    """Freezes the tab and takes its network away, as a lid or a locked phone does."""
    page.devtools("Network.enable")
    page.devtools("Page.setWebLifecycleState", state="frozen")
    line(page, offline=True)
    meanwhile()
    time.sleep(seconds)
    line(page, offline=False)
    page.devtools("Page.setWebLifecycleState", state="active")
    # It stays hidden, as behind another tab, until that one is closed.
    page.show_again()


def line(page, offline):
    page.devtools("Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1)


def wakes_up(stack, folder):
    """A tab that slept goes on from now, by itself; one whose session ended meanwhile says so, and goes on after the login."""
    device = Device(stack, folder, CAMERA)
    page = Page(stack, folder, device)
    page.go("live")
    page.wait("picture", SIZE, 640)
    shown = Pattern(page, 2)
    wait_for("a picture at most a second behind", shown.is_close, 20)
    page.script("window.slept = true")
    sleeps(page, ASLEEP)
    woken = time.monotonic()
    is_now(page, shown, "after the sleep")
    print(f"  the picture is {shown.last:.2f} s behind {time.monotonic() - woken:.1f} s after the sleep of {ASLEEP} s")
    if not page.script("return window.slept"):
        raise Failed("the page was loaded anew")
    wait_for("end of the word of a lost device", lambda: not page.script("return document.querySelector('.lost').checkVisibility()"), 20)
    viewers(page, device)

    # Somebody changes the password meanwhile, which ends all sessions.
    other = PASSWORD[::-1]
    sleeps(page, 5, lambda: device.expect("PUT", "/password", {"old": PASSWORD, "new": other}))
    page.says("The session has ended", 40)
    page.enter("password", other)
    page.press_button("Log in")
    is_now(page, shown, "after the login")
    viewers(page, device)
    if not page.script("return window.slept"):
        raise Failed("the page was loaded anew after the login")

    # The overview changes by itself again, too.
    page.go("overview")
    sleeps(page, ASLEEP)
    device.expect("PUT", "/settings", {"version": device.expect("GET", "/settings")["version"],
                                       "changes": {"cloud.url": "ws://127.0.0.1:9/", "cloud.login_code": "c", "cloud.login_passwd": "w"}})
    page.says("Waits for: Connection to the cloud", 40)


def is_now(page, shown, when):
    """Waits for a picture that is no more than a second behind."""
    page.wait(f"picture {when}", SIZE, 640)
    wait_for(f"a picture at most a second behind, {when}", shown.is_close, 30)


def viewers(page, device):
    """One stream is read, and no other one is left open."""
    wait_for("one viewer", lambda: device.expect("GET", "/channels/0/live")["viewers"] == 1, 40)


add("page away: encrypted, with the certificate of the first start", is_encrypted, 90)
add("page away: a tab that slept comes back", wakes_up, 240)
