"""Every page of the device in Chinese: it fits a phone and a laptop, no text is missing, and axe finds nothing serious, also in the dark and with
more contrast. What is wrong with an input is said in Chinese, too."""
import re

from peers.devicepage import Device, Page
from peers.ours import Cloud, configuration, pattern
from peers.process import Failed, wait_for

from . import add
from .page_live import SIZE

PAGES = ["overview", "live", "channels", "recording", "alarms", "cloud", "hosted", "network", "time", "firmware", "log", "trace", "system", "wizard"]
PREFERRED = ({"color_scheme": "dark"}, {"color_scheme": "light", "contrast": "more"})
# What stands in a page in English letters, without what has one name in every language, such as a codec.
LATIN = """
    const ours = document.querySelector('.page').cloneNode(true);
    ours.querySelectorAll('code, pre, table.log, option, input, textarea, [lang=en]').forEach((element) => element.remove());
    return ours.innerText;
"""


def fits(stack, folder):
    cloud = Cloud(stack, folder)
    device = Device(stack, folder, configuration(cloud, [pattern()]))
    page = Page(stack, folder, device, language="zh")
    wait_for("login", cloud.device, 30)
    for name in PAGES:
        page.go(name)
        page.wait(f"content of {name}", "return document.querySelector('.page').childElementCount > 0 && !document.querySelector('[aria-busy=true]')")
        if name == "live":
            page.wait("picture", SIZE, 640)
        page.look(f"{name}-zh")
        for features in PREFERRED:
            page.media(**features)
            if found := page.audit():
                raise Failed(f"{name} with {features}: {found[0]} ({len(found)} in all)")
        page.media()
        # A whole sentence in English is one that nobody has translated.
        if found := re.search(r"[A-Za-z]{2,}(?: [a-z]{2,}){4,}", page.script(LATIN)):
            if name not in ("log", "trace"):
                raise Failed(f"{name} says in English: {found[0]!r}")
    # A picture that is on its way when its page is left is not needed any more.
    if complaints := [text for text in page.complaints() if not text.startswith("blob:")]:
        raise Failed(f"the console says {complaints[0]}")


# What the page says of wrong inputs: at its fields, below its forms, and for a few seconds.
SAID = """
    return Array.from(document.querySelectorAll('[role=alert], p.result.bad, .notice.bad'))
        .filter((element) => element.checkVisibility() && element.innerText.trim()).map((element) => element.innerText.trim());
"""


def refused(page, what, field=None):
    """Presses the button of the form, and waits for a refusal, which must begin in Chinese; at the field of this name if there is one."""
    page.script("for (const one of document.querySelectorAll('.notices p')) one.remove()")
    page.click(f"form:has([name='{field}']) button.go" if field else "form button.go")
    said = page.wait(f"a refusal of {what}", SAID, seconds=40)
    for text in said:
        if not re.match(r"[^A-Za-z]*[\u4e00-\u9fff]", text):
            raise Failed(f"{what} is refused in English: {text!r}")
    return said


def refuses(stack, folder):
    """Wrong inputs of the wizard, of settings, passwords and times are refused in Chinese, also where the device says what is wrong."""
    device = Device(stack, folder, "[[channel]]\nbackend = 'emulator'\n")
    page = Page(stack, folder, device, language="zh")
    page.go("wizard/camera")
    for wrong in ("", "ftp://x", "http://u:p@h", "rtsp://", "127.0.0.1:1"):
        page.enter("address", wrong)
        refused(page, f"the address {wrong!r}", "address")
    page.go("wizard/cloud")
    for name, text in (("url", "http://example.com"), ("login_code", "c"), ("login_passwd", "w")):
        page.enter(name, text)
    said = refused(page, "an address of the cloud", "url")
    if not any("cloud.url must" in text for text in said):
        raise Failed(f"the page does not say what the device said: {said}")
    page.go("system")
    for name, text in (("old", "not the password"), ("new", device.password), ("again", device.password)):
        page.enter(name, text)
    refused(page, "a wrong password", "old")
    page.go("hosted")
    for name, text in (("server", "127.0.0.1"), ("port", "7"), ("mac", "no address")):
        page.enter(name, text)
    refused(page, "a hardware address", "mac")


add("page chinese: every page fits and is translated", fits, 180)
add("page chinese: what is refused is refused in Chinese", refuses, 120)
