"""The page of recordings: what is recorded, what waits and what is lost, and why."""
from peers.devicepage import Device, Page
from peers.ours import Cloud, clip, configuration
from peers.process import Failed, wait_for

from . import add
from .page_access import press

BROKEN = {"put": {"fault": {"status": 503}}}
HOME, RIGHT = "\ue011", "\ue014"
# What is said of the bar that was picked, to the eye and to the ear.
TOLD = "return [document.querySelector('.day ~ [role=status]').textContent, document.querySelector('.day svg').getAttribute('aria-valuetext')]"
SPANS = "return Array.from(document.querySelectorAll('.day .segment'), (box) => box.getAttribute('class').split(' ')[1])"


def tells_what_is_recorded(stack, folder):
    """From nothing to a recording, an outage of its service with losses, and back."""
    cloud = Cloud(stack, folder)
    device = Device(stack, folder, configuration(cloud, [clip(None)]))
    page = Page(stack, folder, device)
    page.go("recording")
    page.says("The cloud has not asked for a recording")
    page.says("There is no spool")
    wait_for("login", cloud.device, 30)
    cloud.record("r", seconds=1)
    page.says("recording\n")
    page.wait("an uploaded span", "return document.querySelector('.day .is-uploaded') !== null", seconds=30)
    cloud.record_faults(BROKEN)
    page.says("Uploads fail", 30)
    page.says("the memory was full", 40)
    page.says("Check the line to the cloud")
    kinds = set(page.script(SPANS))
    if kinds != {"is-uploaded", "is-waiting", "is-lost"}:
        raise Failed(f"the timeline shows {kinds}")
    # What a bar stands for is said where it is tapped.
    page.script("document.querySelector('.day .is-lost').dispatchEvent(new MouseEvent('click', { bubbles: true }))")
    page.says(r"\): lost\. Uploads failed or were too slow")
    page.script("document.querySelector('.day svg').focus()")
    press(page, HOME)
    first = page.script(TOLD)
    press(page, RIGHT)
    if first[0] != first[1] or "uploaded" not in first[0] or page.script(TOLD)[0] == first[0]:
        raise Failed(f"the keys Home and Right say {first}, then {page.script(TOLD)}")
    page.press_button("24 h")
    page.wait("the whole day", "return document.querySelector('.day .is-lost').width.baseVal.value < 2")
    page.press_button("10 min")
    page.look("recording")
    cloud.record_faults({})
    wait_for("end of the outage in the page", lambda: "Uploads fail:" not in page.text(), 40)
    cloud.call("StopCloudRecord", {"channel": 0, "session_id": "r"})
    page.says("not recording", 30)
    page.press_button("中文")
    page.says("最近 24 小时")
    if missing := page.missing():
        raise Failed(f"texts are missing: {missing}")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("page recording: what runs, what waits and what is lost", tells_what_is_recorded)
