"""`ivc-sim run`: the scenarios that ship, what a broken device does to them, their report, and the recorder on the page."""
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
import types
import xml.etree.ElementTree as ET

from peers.browser import Browser
from peers.ours import LOGIN, Agent, Cloud, clip
from peers.paths import ROOT, built
from peers.process import Failed, Process, free_port, wait_for
from peers.reportpage import ReportPage

from . import add
from .record import small_disk

SHIPPED = os.path.join(ROOT, "lab", "scenarios")
LIAR = os.path.join(ROOT, "tests", "interop", "peers", "liar.py")
EVERY = os.path.join(ROOT, "tests", "interop", "scenarios")
FOREIGN = os.path.join(ROOT, "tests", "interop", "peers", "foreign.py")
# Subjects that are tables of facts, with the key that only names the thing.
FACTS = {"device": None, "stream": "key", "recording": "session", "camera": "number"}
# Most of a scenario is waiting.
JOBS = "12"
# Rows of the timeline, pictures that are shown, and packets of the case that is unfolded.
SHOWN = """
    const open = document.querySelector('details[open]');
    return { lanes: open.querySelectorAll('.timeline svg').length, bars: open.querySelectorAll('.timeline rect').length,
        pictures: Array.from(open.querySelectorAll('img')).filter(({ naturalWidth }) => naturalWidth > 0).length,
        stills: Array.from(open.querySelectorAll('video')).filter(({ videoWidth, readyState }) => videoWidth > 0 && readyState >= 2).length,
        packets: open.querySelectorAll('.packets pre').length };
"""
FILL = "const f = document.querySelector(`form[data-${arguments[0]}=${arguments[1]}]`); f.closest('details').open = true; f.querySelector('button.go').click()"


def shipped(name):
    """The file of a scenario that ships."""
    return os.path.join(SHIPPED, f"{name}.toml")


def run(*arguments, timeout=150, env=None):
    """Runs scenarios; exit code and what was said."""
    done = subprocess.run([built("ivc-sim"), "run", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout


def verdicts(junit):
    """The name of each case, and whether it failed."""
    cases = ET.parse(junit).getroot().iter("testcase")
    return {case.get("name"): case.find("failure") is not None for case in cases}


def leaves(pattern):
    """Number of places of a pattern that say something."""
    inner = pattern.values() if isinstance(pattern, dict) else pattern if isinstance(pattern, list) else ()
    return sum(map(leaves, inner)) if inner else 1


def claims(expect):
    """Number of things that an expectation says."""
    for subject, name in FACTS.items():
        if subject in expect:
            return len(expect[subject]) - (name in expect[subject])
    pattern = next(expect[subject] for subject in ("packet", "alarm", "note", "order", "log") if subject in expect)
    # What must not be seen at all is changed as a whole.
    return 1 + (1 if expect.get("count") == 0 else leaves(pattern)) + ("rising" in expect) + ("spacing_seconds" in expect)


def all_can_fail(report):
    """Each thing that each expectation says was changed and was told as wrong then, with what was expected and seen."""
    with open(report, encoding="utf-8") as text:
        cases = json.load(text)["cases"]
    for case in cases:
        notes = [seen["text"] for seen in case["evidence"] if seen["text"].startswith("doubted: ")]
        if silent := [note for note in notes if note.endswith(("not noticed", ": "))]:
            raise Failed(f"{case['id']}: {silent}")
        with open(shipped(case["id"]), encoding="utf-8") as text:
            lines = text.read().splitlines()
        scenario = tomllib.loads("\n".join(lines))
        places = [number for number, line in enumerate(lines, 1) if line == "[[expect]]"]
        for number, expect in zip(places, scenario["expect"], strict=True):
            told = [note for note in notes if note.startswith(f"doubted: line {number}: {expect['name']}: with ")]
            # Beside what it says, whether it has to be so at all was turned round.
            if len(told) < claims(expect) + 1:
                raise Failed(f"{case['id']}:{number}: {claims(expect)} claims and one, changed were only {told}")
        places = [number for number, line in enumerate(lines, 1) if line == "[[step]]"]
        for number, step in zip(places, scenario["step"], strict=True):
            if "call" in step and not any(f"line {number}: {step['call']}: with" in note for note in notes):
                raise Failed(f"{case['id']}:{number}: the answer to {step['call']} was not doubted: {notes}")


def all_pass(stack, folder):
    """Every scenario passes with our agent, each of its expectations can fail, and the report shows what was seen."""
    html, junit, report = (os.path.join(folder, f"report.{form}") for form in ("html", "xml", "json"))
    code, said = run(SHIPPED, "--agent", built("ivt-agent"), "--jobs", JOBS, "--html", html, "--junit", junit, "--json", report, "--doubt")
    if code != 0:
        failed = [line for line in said.splitlines() if not line.startswith(("run ", "pass ", "[20"))]
        raise Failed(f"exit code {code}: {' '.join(failed)[-1500:]}")
    count, told = len(glob.glob(f"{SHIPPED}/*.toml")), verdicts(junit)
    if count < 20 or len(told) != count or any(told.values()):
        raise Failed(f"{count} scenarios, JUnit tells of {told}")
    all_can_fail(report)
    seeds = {case.get("name").split(":")[0]: case.find("properties/property[@name='seed']") for case in ET.parse(junit).getroot().iter("testcase")}
    if seeds["publish_cable_cut"].get("value") != "20" or "publish_cable_cut (seed 20)" not in said or seeds["keepalive"] is not None:
        raise Failed(f"the seed of a scenario's network is not told: {seeds}")
    page = ReportPage(stack, folder, html)
    names = page.script("return Array.from(document.querySelectorAll('details code'), (code) => code.textContent)")
    for name, least in (("alarm_with_picture", {"pictures": 1}), ("record_cable_cut", {"packets": 2}), ("publish_and_stop", {"packets": 4, "stills": 1})):
        page.unfold(names.index(name))
        shown = page.wait("pictures", f"const shown = (() => {{ {SHOWN} }})(); return shown.pictures >= arguments[0] && shown.stills >= arguments[1]"
                          " ? shown : null", least.get("pictures", 0), least.get("stills", 0))
        for what, count in {"lanes": 4, "bars": 6, **least}.items():
            if shown[what] < count:
                raise Failed(f"{name}: expected {count} {what}, the report shows {shown}")
        page.look(f"scenarios-{name}")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def every_action(_, __):
    """What the scenarios that ship do not need works as well: each action, each fault of a camera, each kind of part."""
    code, said = run(EVERY, "--agent", built("ivt-agent"), "--jobs", "2", "--doubt", timeout=60)
    if code != 0:
        raise Failed(f"exit code {code}: {said[-1000:]}")


def each_fails_with_a_liar(_, folder):
    """A device that says yes and does nothing passes no scenario."""
    junit = os.path.join(folder, "report.xml")
    code, said = run(SHIPPED, "--agent", LIAR, "--jobs", "8", "--patience", "6s", "--junit", junit)
    passed = [name for name, failed in verdicts(junit).items() if not failed]
    if code != 1 or passed:
        raise Failed(f"exit code {code}, passed: {passed}: {said[-500:]}")


def mistakes_are_told(_, folder):
    """What a person gets wrong is told with what to do."""
    wrong, empty, blind, misset, unfit = (os.path.join(folder, f"{name}.toml") for name in ("wrong", "empty", "blind", "misset", "unfit"))
    right = shipped("unknown_method")
    with open(right, encoding="utf-8") as source:
        text = source.read()
    # A slip; an expectation that is always so; a camera that is not there; a slip in the agent's settings; and a value that it refuses.
    for path, old, new in ((wrong, "error = 102", "eror = 102"), (empty, "logins = 1", 'logins = ">= 0"'),
                           (blind, "error = 101", 'error = 101\n[[step]]\ncamera = "reboot"'),
                           (misset, "section = ", "device.settings.record.disconect_seconds = 60\nsection = "),
                           (unfit, "section = ", "device.channel.ring_bytes = 1\nsection = ")):
        with open(path, "w", encoding="utf-8") as out:
            out.write(text.replace(old, new))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        for arguments, code, words in (
            ((wrong,), 2, ("wrong.toml:", "unknown key `eror`", "did you mean `error`?")),
            ((empty,), 2, ("empty.toml:", "always so")),
            ((blind,), 2, ("blind.toml:", "there is no camera 0: write [[camera]]")),
            ((misset, "--check"), 2, ("misset.toml:2: ", "disconect_seconds", "did you mean `disconnect_seconds`?")),
            ((unfit,), 1, ("the agent ended by itself", "unfit.toml:2: channel.ring_bytes")),
            ((right, "--rtmp", port), 1, (port, "in use", "--rtmp")),
            ((right, "--agent", "/nowhere/agent"), 1, ("/nowhere/agent", "--agent PATH")),
            ((right, "--http", port), 1, (port, "in use", "--http")),
            ((right, "--html", "/nowhere/report.html"), 2, ("/nowhere", "make it")),
            ((os.path.join(folder, "none.toml"),), 2, ("none.toml",)),
        ):
            got, said = run(*arguments, timeout=30)
            if got != code or not all(word in said for word in words):
                raise Failed(f"{arguments}: expected {code} and {words}, got {got}: {said[-400:]}")


def records_by_hand(stack, folder):
    """Whatever a person can do to a device on the page becomes a file that runs and passes."""
    cloud = Cloud(stack, folder)
    Agent(stack, folder, cloud, [clip(None)])
    browser = Browser(stack, folder)
    browser.open(f"{cloud.page}/?login_code={LOGIN}")
    online = "return document.getElementById('online').textContent === 'online'"
    browser.wait("device online in the page", online)
    browser.wait("prefilled form", "return document.querySelector('form[data-method=RTMPPublish]').elements.url.value.startsWith('rtmp://127')")
    browser.script("document.getElementById('script-record').click()")
    browser.wait("recording", "return document.getElementById('script-record').getAttribute('aria-pressed') === 'true'")

    def steps(count):
        browser.wait(f"{count} steps", "return document.getElementById('script-state').textContent.includes(`: ${arguments[0]} steps`)", count)

    def send(kind, name):
        browser.script(FILL, kind, name)
        browser.wait(f"answer to {name}", "return document.getElementById('result').textContent.startsWith(`${arguments[0]}: `) &&"
                     " !document.getElementById('result').textContent.endsWith('…')", name)
    for kind, name in (("method", "RTMPPublish"), ("method", "GetPTZPresetList"), ("event", "GotoPTZPreset")):
        send(kind, name)
    steps(3)
    wait_for("pictures", lambda: sum(stream["video_frames"] for stream in cloud.get("/api/streams")) > 20, 20)
    browser.script("document.getElementById('fresh').click()")
    for name in ("RTMPPublish", "StartCloudRecord", "StopCloudRecord"):
        send("method", name)
    steps(6)
    for count, act in enumerate((
        "document.getElementById('previews').click()",
        "const f = document.getElementById('faults'); f.elements.delay_ms.value = 5; f.requestSubmit()",
        "const f = document.getElementById('faults'); f.elements.delay_ms.value = 0; f.requestSubmit()",
        "document.getElementById('raw-form').requestSubmit()",
        "document.getElementById('hang-up').click()",
    ), 7):
        browser.script(act)
        steps(count)
    wait_for("the second login", lambda: (cloud.device() or {"logins": 0})["logins"] == 2, 30)
    browser.wait("device online again", online)
    send("method", "GetPTZPresetList")
    steps(12)
    browser.screenshot("recording.png")
    browser.script("document.getElementById('script-record').click()")
    browser.wait("end", "return document.getElementById('script-record').getAttribute('aria-pressed') === 'false'")
    browser.script("document.getElementById('script-file').click()")
    path = os.path.join(browser.downloads, "recorded.toml")
    wait_for("download", lambda: os.path.exists(path), 20)
    with open(path, encoding="utf-8") as recorded:
        text = recorded.read()
    for part in ('call = "RTMPPublish"', "${rtmp_url:", 'notify = "GotoPTZPreset"', '"token" = "*"', ">= 10", "error = 12", "${record_url:",
                 'answers = { "previews" = true }', 'faults = { "link" = { "delay_ms" = 5 } }', "faults = {}", "raw = ", "hang_up = true"):
        if part not in text:
            raise Failed(f"no {part} in the file: {text}")
    code, said = run(path, "--agent", built("ivt-agent"), "--doubt")
    if code != 0:
        raise Failed(f"the recorded scenario fails: {said[-600:]}: {text}")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def full_disk(stack, folder):
    """A full disk is told with its place and what to do, for a report as for what a scenario needs."""
    right, junit = shipped("unknown_method"), os.path.join(folder, "report.xml")
    arguments = (right, "--agent", built("ivt-agent"))
    code, said = run(*arguments, "--html", "/dev/full", "--junit", junit, timeout=60)
    if code != 1 or not all(word in said for word in ("cannot be written to /dev/full", "is full: make room")):
        raise Failed(f"expected 1 and a full disk, got {code}: {said[-400:]}")
    if any(verdicts(junit).values()):
        raise Failed("the other report is missing or tells of a failure")
    disk = small_disk(stack, folder, "")
    with open(os.path.join(disk, "full"), "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    html = os.path.join(disk, "report.html")
    code, said = run(*arguments, "--html", html, timeout=60)
    if code != 1 or not all(word in said for word in (f"cannot be written to {html}", f"the disk of {disk} is full: make room")):
        raise Failed(f"expected 1 and a full disk, got {code}: {said[-400:]}")
    if os.listdir(disk) != ["full"]:
        raise Failed(f"a part of a report is left: {os.listdir(disk)}")
    code, said = run(*arguments, "--junit", junit, env={"TMPDIR": disk}, timeout=60)
    if code != 1 or not all(word in said for word in (f"the disk of {disk}", "is full: make room", "TMPDIR")):
        raise Failed(f"expected 1 and a full disk, got {code}: {said[-400:]}")
    if list(verdicts(junit).values()) != [True]:
        raise Failed(f"JUnit tells of {verdicts(junit)}")


def children(pid):
    """The processes that a process has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
        return listed.read().split()


def broken_off(stack, folder):
    """Ctrl-C in the middle ends the agent and writes a report that says so; pressed again it ends at once."""
    html, junit = os.path.join(folder, "report.html"), os.path.join(folder, "report.xml")
    files = (shipped("slow_uplink"), shipped("wrong_seq"))
    command = (built("ivc-sim"), "run", *files, "--verbose", "--html", html, "--junit", junit, "--agent")
    runner = stack.enter_context(Process("runner", [*command, built("ivt-agent")], folder))
    runner.said("call RTMPPublish")
    started = wait_for("the agent", lambda: children(runner.pid), 10)
    os.kill(runner.pid, signal.SIGINT)
    if (code := runner.ended()) != 130:
        raise Failed(f"expected 130, got {code}: {runner.tail()}")
    if left := [pid for pid in started if os.path.exists(f"/proc/{pid}")]:
        raise Failed(f"the agent {left} runs on")
    if list(verdicts(junit).values()) != [True, True]:
        raise Failed(f"JUnit tells of {verdicts(junit)}")
    with open(html, encoding="utf-8") as page:
        text = page.read()
    for part in ("the run was stopped by hand", "it was stopped by hand before it was over", "it was not begun", "RTMPPublish"):
        if part not in text:
            raise Failed(f"the report does not say {part!r}")
    os.remove(html)
    # An agent that does not end: the runner would wait for it.
    stubborn = os.path.join(folder, "stubborn")
    with open(stubborn, "w", encoding="ascii") as script:
        script.write("#!/bin/sh\ntrap '' TERM\n: > \"$0.deaf\"\nwhile :; do sleep 1; done\n")
    os.chmod(stubborn, 0o755)
    runner = stack.enter_context(Process("impatient", [*command, stubborn], folder))
    wait_for("the agent", lambda: os.path.exists(f"{stubborn}.deaf"), 10)
    started = children(runner.pid)
    os.kill(runner.pid, signal.SIGINT)
    runner.said("stopping: ")

    def ended():
        if runner.child.poll() is None:
            os.kill(runner.pid, signal.SIGINT)
        return runner.child.poll()
    if (code := wait_for("end", ended, 5)) != 130 or "no report is written" not in runner.output():
        raise Failed(f"expected 130 and no report, got {code}: {runner.tail()}")
    wait_for("the agent's end", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in started), 5)
    if os.path.exists(html):
        raise Failed("there is a report")


def somebody_elses(stack, folder):
    """Devices that the runner has not started: one of ours, a foreign one, and a foreign one that is broken."""
    def told(login, names, start):
        """Runs scenarios with the device that `start(url)` starts; exit code, what was said, and the verdicts."""
        address, junit = f"127.0.0.1:{free_port()}", os.path.join(folder, f"{login}.xml")
        files = [shipped(name) for name in names]
        runner = stack.enter_context(Process(f"run-{login}", [built("ivc-sim"), "run", *files, "--login", login, "--http", address,
                                                              "--junit", junit, "--patience", "30s", "--doubt"], folder))
        start(f"ws://{address}/ivc")
        return runner.ended(120), runner.output(), verdicts(junit)

    def foreign(login, *more):
        return lambda url: stack.enter_context(Process(login, [sys.executable, FOREIGN, url, login, "secret-7", *more], folder))
    names = ("unknown_method", "wrong_seq", "keepalive")
    code, said, cases = told("foreign-1", names, foreign("foreign-1"))
    if code != 0 or len(cases) != 3 or any(cases.values()):
        raise Failed(f"expected that the foreign device passes, got {code}: {said[-600:]}")
    if "not supported" not in said or "it needs emulated cameras" not in said:
        raise Failed(f"nothing is said of the scenario with cameras: {said[-600:]}")
    code, said, cases = told("foreign-2", names[:2], foreign("foreign-2", "--broken"))
    if code != 1 or not all(cases.values()) or "expected an error" not in said:
        raise Failed(f"expected that the broken device fails, got {code}: {said[-600:]}")

    def ours(url):
        Agent(stack, folder, types.SimpleNamespace(device_url=url), [clip(None)], wait=False)
    code, said, cases = told(LOGIN, ("unknown_method", "publish_twice", "agent_crash"), ours)
    if code != 0 or any(cases.values()) or "it restarts the device" not in said:
        raise Failed(f"expected that the agent passes, got {code}: {said[-600:]}")


add("scenarios: all that ship pass, each expectation can fail, and their report opens", all_pass, 180)
add("scenarios: every action that there is works", every_action, 75)
add("scenarios: a device that lies passes none", each_fails_with_a_liar, 120)
add("scenarios: mistakes are told with what to do", mistakes_are_told, 60)
add("scenarios: what is done by hand is recorded and runs", records_by_hand, 120)
add("scenarios: a full disk is told with what to do", full_disk, 90)
add("scenarios: Ctrl-C ends what runs and writes a report that says so", broken_off, 90)
add("scenarios: devices of somebody else pass or fail", somebody_elses, 150)
