"""The forms and the list of packets on the simulated cloud's page."""
import json
import os
import subprocess
from datetime import datetime

from peers.browser import Browser
from peers.ours import LOGIN, Agent, Cloud, clip
from peers.paths import built
from peers.process import Failed, wait_for

from . import add

# Sends every form unchanged, and returns their names in the order of the page.
SEND_ALL = """
    return Array.from(document.querySelectorAll('#forms form'), (form) => {
        form.querySelector('button.go').click();
        return form.dataset.method ?? form.dataset.event;
    });
"""
# The filter ignores the case of letters.
FILTER = '"req":"getNETconfig'
# The names of the faults' fields.
FIELDS = "return Array.from(document.getElementById('faults').elements, (field) => field.name).filter(Boolean)"
# Gives one of them another value, which is a valid one.
CHANGE = """
    const field = document.getElementById('faults').elements.namedItem(arguments[0]);
    if (field.type === 'checkbox') field.checked = true;
    else if (field.type === 'select-one') field.selectedIndex = field.options.length - 1;
    else if (field.type === 'number') field.value = Math.max(Number(field.min), 7);
    else field.value = 'text';
"""
# The packets shown, newest first.
SHOWN = "return Array.from(document.querySelectorAll('#packets > li'), (row) => [Number(row.dataset.number), row.innerText])"


def start(stack, folder):
    """Starts cloud and agent, and opens the page of the device when it is online."""
    cloud = Cloud(stack, folder)
    Agent(stack, folder, cloud, [clip(None)])
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/?login_code={LOGIN}")
    browser.wait("device online in the page", "return document.getElementById('online').textContent === 'online'")
    browser.wait("prefilled forms", "return Boolean(document.querySelector('form[data-event=SyncTime]')?.elements.datetime.value)")
    return cloud, browser


def export(browser):
    """The text of the file that Export saves."""
    path = os.path.join(browser.downloads, f"packets-{LOGIN}.jsonl")
    browser.script("document.getElementById('export').click()")
    wait_for("exported file", lambda: os.path.exists(path), 10)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    os.remove(path)
    return text


def sends_what_its_forms_say(stack, folder):
    """Every form, as it is when the page opens, makes a packet that a device reads without loss."""
    _, browser = start(stack, folder)
    forms = browser.script(SEND_ALL)
    for name in forms:
        browser.wait(f"{name} in the list", "return document.getElementById('packets').innerText.includes(arguments[0])",
                     f': "{name}"')
    read = subprocess.run([built("examples/packets")], input=export(browser), capture_output=True, text=True, timeout=30)
    if read.returncode != 0:
        raise Failed(f"a device cannot read what a form sends: {read.stderr.strip()}")
    # A browser sends a few at a time, in an order of its own.
    if sorted(read.stdout.split()) != sorted(forms) or not forms:
        raise Failed(f"expected a packet of each form, {forms}, got {read.stdout.split()}")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def filters_pauses_and_exports(stack, folder):
    cloud, browser = start(stack, folder)
    for _ in range(2):
        cloud.post("/api/call", {"login_code": LOGIN, "method": "GetNetConfig", "params": {"channel": 0}})
    cloud.post("/api/call", {"login_code": LOGIN, "method": "GetWifiSSIDList", "params": {"channel": 0}})

    browser.type("#filter", FILTER)
    browser.wait("filtered list", "return document.getElementById('count').textContent.startsWith('2 of ')")
    shown = browser.script(SHOWN)
    if len(shown) != 2 or any("GetNetConfig" not in text for _, text in shown):
        raise Failed(f"expected the two requests for GetNetConfig, got {shown}")
    lines = [json.loads(line) for line in export(browser).splitlines()]
    kept = {p["number"]: p for p in cloud.packets()}
    if [line["number"] for line in lines] != sorted(number for number, _ in shown):
        raise Failed(f"expected the filtered packets in the export, got {lines}")
    for line in lines:
        packet = kept[line["number"]]
        time_ms = round(datetime.fromisoformat(line["time"]).timestamp() * 1000)
        if (time_ms, line["direction"], line["text"]) != (packet["time_ms"], packet["direction"], packet["text"]):
            raise Failed(f"exported {line}, the cloud has {packet}")

    browser.script("document.getElementById('pause').click()")
    cloud.post("/api/call", {"login_code": LOGIN, "method": "GetNetConfig", "params": {"channel": 0}})
    browser.wait("count that goes on", "return /^3 of .*, paused$/.test(document.getElementById('count').textContent)")
    if browser.script(SHOWN) != shown:
        raise Failed("the paused list changed")
    browser.script("document.getElementById('pause').click()")
    browser.wait("third request after the pause", "return document.querySelectorAll('#packets > li').length === 3")

    browser.type("#filter", "\ue003" * len(FILTER))  # The key Backspace.
    browser.wait("keepalive in the list", "return document.getElementById('packets').innerText.includes('Keepalive')")
    browser.script("document.getElementById('keepalives').click()")
    browser.wait("list without keepalives", "return !document.getElementById('packets').innerText.includes('Keepalive')")
    if not all(name in str(browser.script(SHOWN)) for name in ("GetNetConfig", "GetWifiSSIDList")):
        raise Failed(f"more than the keepalives is gone: {browser.script(SHOWN)}")


def applies_each_fault_and_keeps_the_others(stack, folder):
    """Each field of the form changes one fault, and none is lost when the form is applied."""
    cloud = Cloud(stack, folder)
    browser = Browser(stack, folder)

    def apply(field=None):
        """Opens the page, changes one field and applies; the faults then."""
        browser.open("about:blank")
        browser.open(f"{cloud.page}/?login_code={LOGIN}")
        # The form is filled in when the faults have come; its last field shows that.
        browser.wait("form as it is set", "return document.querySelector('[name=message_bytes]').value === '5'")
        if field:
            browser.script(CHANGE, field)
        browser.script("document.getElementById('faults').requestSubmit()")
        browser.wait("faults applied", "return document.getElementById('result').textContent === 'faults applied'")
        return flat(cloud.get("/api/faults"))

    faults = cloud.get("/api/faults")
    faults["rtmp_quirks"]["message_bytes"] = 5
    cloud.post("/api/faults", faults)
    before = apply()
    for field in browser.script(FIELDS):
        after = apply(field)
        changed = [name for name in before if before[name] != after[name]]
        if len(changed) != 1:
            raise Failed(f"{field} changed {changed}")
        kept = apply() if field != "message_bytes" else after
        if kept != after:
            raise Failed(f"{field} was lost: {changed} is {kept[changed[0]]!r}, expected {after[changed[0]]!r}")
        cloud.post("/api/faults", faults)
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def flat(value, name=""):
    """The leaves of an object by their path."""
    if not isinstance(value, dict):
        return {name: value}
    return {path: leaf for key, inner in value.items() for path, leaf in flat(inner, f"{name}.{key}").items()}


add("browser applies each fault and keeps the others", applies_each_fault_and_keeps_the_others)
add("browser sends every form as a device reads it", sends_what_its_forms_say)
add("browser filters, pauses and exports packets", filters_pauses_and_exports)
