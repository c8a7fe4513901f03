"""`badnet` between the agent and its cloud: its page in Chromium, and a short run of what `make badnet` measures."""
import os
import subprocess

from peers.badnet import BadNet, measure
from peers.browser import Browser
from peers.devicepage import BEYOND, PICTURES, WIDTHS, Page
from peers.ours import LOGIN, Agent, Cloud, clip
from peers.paths import built
from peers.process import Failed

from . import add

CLICK = "document.querySelector(arguments[0]).click()"
BADGE = "return document.querySelector('#lines h2 .badge')?.textContent.startsWith(arguments[0])"
ONLINE = "return document.getElementById('online').textContent === arguments[0]"


class NetPage(Browser):
    """The page of badnet; looked at as the device's page is."""

    audit, picture = Page.audit, Page.picture

    def look(self, name):
        os.makedirs(PICTURES, exist_ok=True)
        for width in WIDTHS:
            self.narrow(width)
            if beyond := self.script(BEYOND):
                raise Failed(f"{name}: does not fit {width} px: {beyond[:3]}")
            if found := self.audit():
                raise Failed(f"{name} at {width} px: {found[0]} ({len(found)} in all)")
            self.picture(os.path.join(PICTURES, f"{name}-{width}.png"), width)


def cuts_and_heals(stack, folder):
    """The button of the page takes the agent off the cloud, as the cloud's page shows, and another one brings it back. Conditions that
    are set in the form are those of the line."""
    cloud = Cloud(stack, folder)
    net = BadNet(stack, folder, cloud, "--profile", "satellite", "--seed", "42")
    Agent(stack, folder, net, [clip(None)], wait=False).online(cloud, 40)
    cloud_page = f"{cloud.page}/?login_code={LOGIN}"
    browser = NetPage(stack, folder)
    browser.open(net.page)
    browser.wait("line", BADGE, "open")
    browser.wait("traffic", "return /[1-9] open of .* up \\d/.test(document.querySelector('.counts')?.textContent)")
    browser.script("document.querySelector('.how').value = 'reset'; document.querySelector('.cut').click()")
    browser.wait("cut", BADGE, "cut (reset) by hand")
    browser.look("badnet-cut")
    browser.open(cloud_page)
    browser.wait("device offline", ONLINE, "offline")
    browser.open(net.page)
    browser.wait("line", BADGE, "cut")
    browser.script("document.querySelector('.profile').value = 'clean'; document.querySelector('.apply').click()")
    browser.wait("profile", "return document.getElementById('report').textContent.includes('clean')")
    browser.script(CLICK, ".heal")
    browser.wait("healed", BADGE, "open")
    browser.script(CLICK, "details summary")
    browser.script("""const form = document.querySelector('form');
        const rate = form.querySelectorAll('fieldset')[0].querySelectorAll('input[type=range]')[2];
        rate.value = 500; rate.dispatchEvent(new Event('input'));
        form.elements.outages.value = 'every=10m,for=30s'; form.requestSubmit()""")
    browser.wait("conditions", "return document.getElementById('report').textContent.includes('new conditions')")
    conditions = net.line()["conditions"]
    if (conditions["up"]["rate_kbit"], conditions["down"]["rate_kbit"], conditions["outages"]) != (500, 0, ["every=10m,for=30s"]):
        raise Failed(f"the form set {conditions}")
    browser.look("badnet")
    browser.open(cloud_page)
    browser.wait("device online", ONLINE, "online")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def keeps_up(stack, folder):
    """Over a satellite the picture comes, and nothing of the recording is lost; what badnet decided is decided again from its log."""
    log = os.path.join(folder, "decisions")
    found = measure(stack, folder, ["--profile", "satellite", "--seed", "42", "--log", log], 6, catch_up=30, settled=4)
    if not found["pictures"] or found["holes"] or found["dropped"] or found["unconfirmed"] or not found["segments"]:
        raise Failed(f"over a satellite: {found}")
    again = subprocess.run([built("badnet"), "--replay", log], capture_output=True, text=True, timeout=60)
    if again.returncode != 0 or "seed 42" not in again.stdout or "decided the same" not in again.stdout:
        raise Failed(f"the log is decided otherwise: {again.stdout}{again.stderr}")


add("badnet: its page cuts the agent off and heals it", cuts_and_heals, 120)
add("badnet: live and recorded over a satellite, decided again from the log", keeps_up, 90)
