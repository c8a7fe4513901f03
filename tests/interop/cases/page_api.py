"""The interface of the device's page, called by schemathesis with everything that its description allows, and with what it does not."""
import copy
import json
import os
import re
import socket
import subprocess
import urllib.request

from peers.ours import keep_secret
from peers.paths import CACHE, ROOT, built
from peers.process import Failed, Process
from peers.sinks import self_signed

from . import Skipped, add

TOOL = os.path.join(CACHE, "onvif/schemathesis/bin/st")
DESCRIPTION = os.path.join(ROOT, "page/openapi.json")
# Odd, since the agent masks it wherever it would be told.
PASSWORD = "gate 7 Straße 电池-K2m"
# setTime, joinWifi and leaveWifi are called, since the emulator has a clock and a network of its own.
CONFIG = """
[web]
enable = true
listen = "127.0.0.1:0"
reset_file = "reset"
metrics = true
[cloud]
allow_hosts = ["127.0.0.1"]
[device]
model = "nvr"
[[channel]]
backend = "emulator"
[[channel]]
backend = "emulator"
"""
# What restarts or resets the device, or replaces what it is: the calls after it would meet another one.
NOT_CALLED = ["restartAgent", "resetDevice", "restartCamera", "rollBackFirmware", "importConfiguration"]
# What never works at a fresh device with the emulator, so that only its refusals are seen.
NEVER_DONE = {
    "claim": "it is claimed",
    "confirmPlace": "the page does not move",
    "readAlarmPicture": "there was no alarm",
    "setZone": "the emulator is not this machine's system, whose zone stays as it is",
    "checkFirmware": "it has no slots for firmware", "keepFirmware": "as well",
    "uploadFirmware": "as well", "judgeSignature": "as well",
}
SETTINGS = """
[checks.not_a_server_error]
# What a camera or a server cannot do, or does not answer, is told by these.
expected-statuses = ["2xx", "3xx", "4xx", "501", "502", "503", "504"]
[checks.positive_data_acceptance]
# A wrong password is refused (401), another state of the device as well (409), and whoever guesses too often (429).
expected-statuses = ["2xx", "401", "404", "409", "429", "501", "502", "503", "504"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "422", "428", "429", "431", "501", "502", "503", "504"]
"""


class Session:
    """An agent with a page of its own, and somebody who is logged in."""

    def __init__(self, stack, folder):
        config = os.path.join(folder, "page.toml")
        keep_secret(config, CONFIG)
        self.process = stack.enter_context(Process("ivt-agent", [built("ivt-agent"), "--config", config], folder))
        self.url = self.process.said(r"the page: (http://\S+?)/?\s")[1]
        self.begin("claim")

    def begin(self, way):
        """Claims the device, or logs in."""
        body = json.dumps({"password": PASSWORD}).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{way}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]

    def open(self, path):
        return urllib.request.urlopen(urllib.request.Request(self.url + path, headers={"Cookie": self.cookie}), timeout=30)

    def read(self, path):
        with self.open(path) as answer:
            return json.load(answer)


class Tool:
    """Schemathesis, and which operations were carried out for it."""

    def __init__(self, session, folder):
        self.session, self.folder, self.done = session, folder, set()
        with open(DESCRIPTION, encoding="utf-8") as source:
            self.description = json.load(source)
        self.calls = {call["operationId"]: (method, path, call) for path, calls in self.description["paths"].items()
                      for method, call in calls.items()}

    def try_out(self, names, *arguments, description=DESCRIPTION):
        """Calls operations; fails with what is found."""
        settings, report = os.path.join(self.folder, "schemathesis.toml"), os.path.join(self.folder, "calls.ndjson")
        with open(settings, "w", encoding="utf-8") as out:
            out.write(f'{SETTINGS}[auth.openapi.session]\napi_key = "{self.session.cookie.split("=")[1]}"\n')
        command = [TOOL, "--config-file", settings, "run", description, "--url", self.session.url, "--checks", "all",
                   "--continue-on-failure", "--seed", "14", "--generation-deterministic", "--workers", "1", "--no-color",
                   "--warnings", "off", "--request-timeout", "60", "--report", "ndjson", "--report-ndjson-path", report,
                   *arguments, *[word for name in names for word in ("--include-operation-id", name)]]
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=300, env={**os.environ, "COLUMNS": "200"})
        with open(os.path.join(self.folder, "schemathesis.log"), "a", encoding="utf-8") as out:
            out.write(done.stdout)
        if done.returncode != 0:
            found = re.findall(r"^- .*$|^_{3,} [A-Z]+ /.*? _{3,}$", done.stdout, re.MULTILINE) or [done.stdout.strip()[-600:]]
            raise Failed(f"schemathesis: {'; '.join(line.strip('_ ') for line in found)[:1500]}")
        with open(report, encoding="utf-8") as lines:
            for event in map(json.loads, lines):
                recorder = event.get("ScenarioFinished", {}).get("recorder", {})
                answers = [interaction.get("response") or {} for interaction in recorder.get("interactions", {}).values()]
                if any(200 <= answer.get("status_code", 0) < 300 for answer in answers):
                    self.done.add(recorder["label"])

    def try_values(self, values, *arguments):
        """Calls operations with these values alone, such as `{"logIn": {"password": [...]}}`."""
        narrow = copy.deepcopy(self.description)
        for name, fields in values.items():
            method, path, _ = self.calls[name]
            call = narrow["paths"][path][method]
            for parameter in call.get("parameters", []):
                if parameter.get("name") in fields:
                    parameter["schema"] = {"enum": fields[parameter["name"]]}
            if "requestBody" in call:
                body = {"type": "object", "properties": {field: {"enum": each} for field, each in fields.items()},
                        "required": list(fields), "additionalProperties": False}
                call["requestBody"]["content"]["application/json"]["schema"] = body
        file = os.path.join(self.folder, "narrow.json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(narrow, out)
        self.try_out(values, "--phases", "coverage", "--mode", "positive", *arguments, description=file)

    def listen(self, name):
        """Begins a call that is answered as long as somebody listens."""
        _, path, call = self.calls[name]
        with self.session.open(path.replace("{channel}", "0")) as answer:
            kind = answer.headers.get_content_type()
            if answer.status != 200 or kind not in call["responses"]["200"]["content"]:
                raise Failed(f"{name}: {answer.status} {kind}")


def judged(session, folder):
    """Good values of what only the device can judge (it counts bytes, too): at random they would be refused, or reach strangers."""
    certificate, _ = self_signed(folder)
    with open(certificate, encoding="utf-8") as source:
        pem = source.read()
    settings, publishes = session.read("/api/v1/settings"), session.read("/api/v1/publishes")
    row = {"enable": False, "channel": 1.0, "quality": "hd", "url": "rtmp://127.0.0.1:9/live/x"}
    login = {"username": ["admin"], "password": ["Ca1m-River"]}
    # Nobody listens at port 9 of this machine.
    return {
        "logIn": {"password": [PASSWORD]},
        "discoverCameras": {"to": ["127.0.0.1:9"], **login},
        "probeCamera": {"address": ["127.0.0.1:9", "rtsp://127.0.0.1:9/main"], "input": [1, 16.0], **login},
        "testCloud": {"url": ["ws://127.0.0.1:9/"], "login_code": ["code"], "login_passwd": ["Ca1m-River"], "ca": [None, pem]},
        "testHosted": {"server": ["127.0.0.1"], "port": [9.0], "tls": [False], "mac": ["02:00:00:00:00:01"]},
        "joinWifi": {"ssid": ["Hof 3", "庭院"], "password": ["Ca1m-River", ""]},
        "keepAuthorities": {"pem": [pem]},
        "replacePublishes": {"version": [publishes["version"]], "rows": [[row], []]},
        "changeSettings": {"version": [settings["version"]], "changes": [{"log.level": "debug"}, {"log.level": None}, {}]},
    }


def answers_as_described(stack, folder):
    if not os.path.exists(TOOL):
        raise Skipped("no schemathesis: tests/interop/setup")
    session = Session(stack, folder)
    tool = Tool(session, folder)
    endless = [name for name, (_, _, call) in tool.calls.items() if call.get("x-endless")]
    for name in endless:
        tool.listen(name)
    values = judged(session, folder)
    tool.try_values(values)
    # Each ends the session, or takes the channel away that others look at.
    last = ["removeChannel", "changePassword", "logOut"]
    others = [name for name in tool.calls if name not in [*NOT_CALLED, *endless, *values, *last]]
    tool.try_out(others, "--phases", "coverage,fuzzing", "--max-examples", "5")
    tool.try_out([*values, *last[:2]], "--phases", "coverage,fuzzing", "--max-examples", "5", "--mode", "negative")
    if not session.read("/api/v1/session")["logged_in"]:
        raise Failed("the session ended meanwhile, so that most calls were refused")
    version = session.read("/api/v1/settings")["version"]
    tool.try_values({"removeChannel": {"channel": [1], "version": [version]}})
    tool.try_values({"changePassword": {"old": [PASSWORD], "new": [PASSWORD]}})
    session.begin("session")
    tool.try_out(last[2:], "--phases", "coverage")
    if session.process.child.poll() is not None:
        raise Failed("the agent has ended")
    done = {name for name, (method, path, _) in tool.calls.items() if f"{method.upper()} {path}" in tool.done}
    if wrong := done ^ {*others, *values, *last} ^ {*NEVER_DONE}:
        raise Failed(f"never done, or done against NEVER_DONE: {', '.join(sorted(wrong))}")


add("page api: schemathesis finds nothing", answers_as_described, deadline=480)
