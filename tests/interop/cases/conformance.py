"""`ivc-sim conformance` as QA runs it, and its report in a browser."""
import json
import os
import xml.etree.ElementTree as xml

from peers.browser import Browser
from peers.devicepage import AXE, AUDIT, BEYOND, PICTURES, WIDTHS
from peers.ours import LOGIN, keep_secret
from peers.paths import built
from peers.process import Failed, Process

from . import add

# Quick cases, one of them with a picture, and one that a device without previews does not support.
CASES = "login.first*,packet.*,method.Get*,publish.arrives,alarm.start,alarm.picture,preview.*"
AGENT = """
[cloud]
url = "{url}"
login_code = "{login}"
login_passwd = "conformance 7-Q"
hardware_model = "<b>model</b> & more"
[alarm]
enable = ["motion"]
[[channel]]
backend = "emulator"
alarms = ["motion:every=5s,for=2s"]
"""


def names(report):
    return {case["id"]: case["verdict"] for case in report["cases"]}


def opens_in_a_browser(stack, folder):
    """The report of the real agent: one file, without a fault of its own, on a phone and a laptop."""
    paths = {form: os.path.join(folder, f"report.{form}") for form in ("html", "json", "junit")}
    options = [word for form, path in paths.items() for word in (f"--{form}", path)]
    tried = stack.enter_context(Process("conformance", [
        built("ivc-sim"), "conformance", "--login", f"{LOGIN}:conformance 7-Q", "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0",
        "--only", CASES, *options], folder))
    url = tried.said(r"device URL +(ws://\S+)")[1]
    config = os.path.join(folder, "agent.toml")
    keep_secret(config, AGENT.format(url=url, login=LOGIN))
    stack.enter_context(Process("ivt-agent", [built("ivt-agent"), "--config", config], folder))
    status = tried.ended(90)
    if status != 0:
        raise Failed(f"expected no failure, status is {status}: {tried.tail()}")
    with open(paths["json"], encoding="utf-8") as file:
        report = json.load(file)
    found = names(report)
    if found.get("preview.picture") != "not_supported" or found.get("publish.arrives") != "pass" or not report["passed"]:
        raise Failed(f"unexpected verdicts: {found}")
    tests = xml.parse(paths["junit"]).getroot().findall("./testsuite/testcase")
    if len(tests) != len(found) or sum(test.find("skipped") is not None for test in tests) < 1:
        raise Failed(f"{len(tests)} test cases for {len(found)} cases")
    for path in paths.values():
        with open(path, encoding="utf-8") as file:
            if "conformance 7-Q" in file.read():
                raise Failed(f"{path} has the password")
    browser = Browser(stack, folder)
    browser.open(f"file://{paths['html']}")
    sums = browser.script("return Array.from(document.querySelectorAll('.sums li'), (sum) => sum.innerText)")
    if sums[0].split()[0] != str(report["sums"]["pass"]) or len(sums) != 4:
        raise Failed(f"the page says {sums}, the JSON {report['sums']}")
    if "<b>model</b> & more" not in browser.script("return document.querySelector('main > p').innerText"):
        raise Failed("the name of the device is not shown as it is")
    browser.script("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    if not browser.script("const i = document.querySelector('img'); return i && i.complete && i.naturalWidth > 0"):
        raise Failed("the picture of the alarm is not shown")
    packets = browser.script("return document.querySelectorAll('.packets pre').length")
    if packets < 50:
        raise Failed(f"only {packets} packets are shown")
    os.makedirs(PICTURES, exist_ok=True)
    for width in WIDTHS:
        browser.narrow(width)
        browser.screenshot(os.path.join(PICTURES, f"conformance-{width}.png"))
        if beyond := browser.script(BEYOND):
            raise Failed(f"{width} px: beyond the page: {beyond[:3]}")
    with open(AXE, encoding="utf-8") as file:
        browser.script(file.read())
    if findings := browser.script(AUDIT):
        raise Failed(f"axe: {findings[:3]}")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("conformance: the report of our agent opens in a browser", opens_in_a_browser, 150)
