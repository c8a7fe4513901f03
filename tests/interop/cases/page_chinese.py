"""Every page of the device in Chinese: it fits a phone and a laptop, no text is missing, and axe finds nothing serious."""
import re

from peers.devicepage import Device, Page
from peers.ours import Cloud, configuration, pattern
from peers.process import Failed, wait_for

from . import add
from .page_live import SIZE

PAGES = ["overview", "live", "channels", "recording", "alarms", "cloud", "hosted", "network", "time", "firmware", "log", "trace", "system", "wizard"]
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
        # A whole sentence in English is one that nobody has translated.
        if found := re.search(r"[A-Za-z]{2,}(?: [a-z]{2,}){4,}", page.script(LATIN)):
            if name not in ("log", "trace"):
                raise Failed(f"{name} says in English: {found[0]!r}")
    # A picture that is on its way when its page is left is not needed any more.
    if complaints := [text for text in page.complaints() if not text.startswith("blob:")]:
        raise Failed(f"the console says {complaints[0]}")


add("page chinese: every page fits and is translated", fits, 180)
