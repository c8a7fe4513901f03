"""`ivc-sim run`: the scenarios that ship, what a broken device does to them, their report, and the recorder on the page."""
import glob
import os
import socket
import subprocess
import xml.etree.ElementTree as ET

from peers.browser import Browser
from peers.ours import LOGIN, Agent, Cloud, clip
from peers.paths import ROOT, built
from peers.process import Failed, wait_for
from peers.reportpage import ReportPage

from . import add

SHIPPED = os.path.join(ROOT, "lab", "scenarios")
LIAR = os.path.join(ROOT, "tests", "interop", "peers", "liar.py")
# Most of a scenario is waiting.
JOBS = "12"
# Rows of the timeline, pictures that are shown, and packets of the case that is unfolded.
SHOWN = """
    const open = document.querySelector('details[open]');
    return { lanes: open.querySelectorAll('.timeline svg').length, bars: open.querySelectorAll('.timeline rect').length,
        pictures: Array.from(open.querySelectorAll('img')).filter(({ naturalWidth }) => naturalWidth > 0).length,
        packets: open.querySelectorAll('.packets pre').length };
"""
FILL = "const f = document.querySelector(`form[data-${arguments[0]}=${arguments[1]}]`); f.closest('details').open = true; f.querySelector('button.go').click()"


def run(*arguments, timeout=150):
    """Runs scenarios; exit code and what was said."""
    done = subprocess.run([built("ivc-sim"), "run", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout)
    return done.returncode, done.stdout


def verdicts(junit):
    """The name of each case, and whether it failed."""
    cases = ET.parse(junit).getroot().iter("testcase")
    return {case.get("name"): case.find("failure") is not None for case in cases}


def all_pass(stack, folder):
    """Every scenario passes with our agent, and the report shows what was seen."""
    html, junit = os.path.join(folder, "report.html"), os.path.join(folder, "report.xml")
    code, said = run(SHIPPED, "--agent", built("ivt-agent"), "--jobs", JOBS, "--html", html, "--junit", junit)
    if code != 0:
        failed = [line for line in said.splitlines() if not line.startswith(("run ", "pass ", "[20"))]
        raise Failed(f"exit code {code}: {' '.join(failed)[-1500:]}")
    shipped, told = len(glob.glob(f"{SHIPPED}/*.toml")), verdicts(junit)
    if shipped < 20 or len(told) != shipped or any(told.values()):
        raise Failed(f"{shipped} scenarios, JUnit tells of {told}")
    page = ReportPage(stack, folder, html)
    names = page.script("return Array.from(document.querySelectorAll('details code'), (code) => code.textContent)")
    for name, least in (("alarm_with_picture", {"pictures": 1}), ("record_cable_cut", {"packets": 2}), ("publish_and_stop", {"packets": 4})):
        page.unfold(names.index(name))
        shown = page.wait("pictures", f"const shown = (() => {{ {SHOWN} }})(); return shown.pictures >= arguments[0] ? shown : null",
                          least.get("pictures", 0))
        for what, count in {"lanes": 4, "bars": 6, **least}.items():
            if shown[what] < count:
                raise Failed(f"{name}: expected {count} {what}, the report shows {shown}")
        page.look(f"scenarios-{name}")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def each_fails_with_a_liar(_, folder):
    """A device that says yes and does nothing passes no scenario."""
    junit = os.path.join(folder, "report.xml")
    code, said = run(SHIPPED, "--agent", LIAR, "--jobs", "8", "--patience", "6s", "--junit", junit)
    passed = [name for name, failed in verdicts(junit).items() if not failed]
    if code != 1 or passed:
        raise Failed(f"exit code {code}, passed: {passed}: {said[-500:]}")


def mistakes_are_told(_, folder):
    """What a person gets wrong is told with what to do."""
    wrong = os.path.join(folder, "wrong.toml")
    right = os.path.join(SHIPPED, "unknown_method.toml")
    with open(right, encoding="utf-8") as source, open(wrong, "w", encoding="utf-8") as out:
        out.write(source.read().replace("error = 102", "eror = 102"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        for arguments, code, words in (
            ((wrong,), 2, ("wrong.toml:", "unknown key `eror`", "did you mean `error`?")),
            ((right, "--agent", "/nowhere/agent"), 1, ("/nowhere/agent", "--agent PATH")),
            ((right, "--http", port), 1, (port, "in use", "--http")),
            ((right, "--html", "/nowhere/report.html"), 2, ("/nowhere", "make it")),
            ((os.path.join(folder, "none.toml"),), 2, ("none.toml",)),
        ):
            got, said = run(*arguments, timeout=30)
            if got != code or not all(word in said for word in words):
                raise Failed(f"{arguments}: expected {code} and {words}, got {got}: {said[-400:]}")


def records_by_hand(stack, folder):
    """Three actions on the page become a file that runs and passes."""
    cloud = Cloud(stack, folder)
    Agent(stack, folder, cloud, [clip(None)])
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/?login_code={LOGIN}")
    browser.wait("device online in the page", "return document.getElementById('online').textContent === 'online'")
    browser.wait("prefilled form", "return document.querySelector('form[data-method=RTMPPublish]').elements.url.value.startsWith('rtmp://127')")
    browser.script("document.getElementById('script-record').click()")
    browser.wait("recording", "return document.getElementById('script-record').getAttribute('aria-pressed') === 'true'")
    for kind, name in (("method", "RTMPPublish"), ("method", "GetPTZPresetList"), ("event", "GotoPTZPreset")):
        browser.script(FILL, kind, name)
        browser.wait(f"answer to {name}", "return document.getElementById('result').textContent.startsWith(`${arguments[0]}: `) &&"
                     " !document.getElementById('result').textContent.endsWith('…')", name)
    browser.wait("three steps", "return document.getElementById('script-state').textContent.includes('3 steps')")
    wait_for("pictures", lambda: sum(stream["video_frames"] for stream in cloud.get("/api/streams")) > 20, 20)
    browser.screenshot("recording.png")
    browser.script("document.getElementById('script-record').click()")
    browser.wait("end", "return document.getElementById('script-record').getAttribute('aria-pressed') === 'false'")
    browser.script("document.getElementById('script-file').click()")
    path = os.path.join(browser.downloads, "recorded.toml")
    wait_for("download", lambda: os.path.exists(path), 20)
    with open(path, encoding="utf-8") as recorded:
        text = recorded.read()
    for part in ('call = "RTMPPublish"', "${rtmp_url:", 'notify = "GotoPTZPreset"', '"token" = "*"', ">= 10"):
        if part not in text:
            raise Failed(f"no {part} in the file: {text}")
    code, said = run(path, "--agent", built("ivt-agent"))
    if code != 0:
        raise Failed(f"the recorded scenario fails: {said[-600:]}: {text}")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("scenarios: all that ship pass, and their report opens", all_pass, 180)
add("scenarios: a device that lies passes none", each_fails_with_a_liar, 120)
add("scenarios: mistakes are told with what to do", mistakes_are_told, 60)
add("scenarios: what is done by hand is recorded and runs", records_by_hand, 90)
