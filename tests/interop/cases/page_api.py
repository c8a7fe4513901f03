"""The interface of the device's page, called by schemathesis with everything that its description allows, and with what it does not."""
import json
import os
import re
import subprocess
import urllib.request

from peers.ours import keep_secret
from peers.paths import CACHE, ROOT, built
from peers.process import Failed, Process

from . import Skipped, add

TOOL = os.path.join(CACHE, "onvif/schemathesis/bin/st")
DESCRIPTION = os.path.join(ROOT, "page/openapi.json")
# Odd, since the agent masks it wherever it would be told.
PASSWORD = "gate 7 Straße 电池-K2m"
# What restarts or resets the device, or replaces what it is: the calls after it would meet another one.
NOT_CALLED = []
# What ends the session by which all others are called: called last, and alone.
LAST = ["logOut"]
SETTINGS = """
[checks.positive_data_acceptance]
# A wrong password is refused (401), another state of the device as well (409), and whoever guesses too often (429).
expected-statuses = ["2xx", "401", "404", "409", "429", "501", "502", "503"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "422", "428", "429", "431", "501", "502", "503"]
"""


class Session:
    """An agent with a page of its own, and somebody who is logged in."""

    def __init__(self, stack, folder):
        config = os.path.join(folder, "page.toml")
        keep_secret(config, '[web]\nenable = true\nlisten = "127.0.0.1:0"\n[[channel]]\nbackend = "emulator"\n')
        self.process = stack.enter_context(Process("ivt-agent", [built("ivt-agent"), "--config", config], folder))
        self.url = self.process.said(r"the page: (http://\S+?)/?\s")[1]
        self.cookie = self.begin("claim")

    def begin(self, way):
        """Claims the device, or logs in; returns the cookie."""
        body = json.dumps({"password": PASSWORD}).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{way}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers["Set-Cookie"].split(";")[0]


def try_out(session, folder, *arguments):
    """Runs schemathesis; fails with what it finds."""
    settings = os.path.join(folder, "schemathesis.toml")
    with open(settings, "w", encoding="utf-8") as out:
        out.write(f'{SETTINGS}[auth.openapi.session]\napi_key = "{session.cookie.split("=")[1]}"\n')
    command = [TOOL, "--config-file", settings, "run", DESCRIPTION, "--url", session.url, "--checks", "all",
               "--continue-on-failure", "--seed", "14", "--generation-deterministic", "--workers", "4", "--no-color",
               "--warnings", "off", "--request-timeout", "30", *arguments]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, env={**os.environ, "COLUMNS": "200"})
    if done.returncode != 0:
        with open(os.path.join(folder, "schemathesis.log"), "a", encoding="utf-8") as out:
            out.write(done.stdout)
        found = re.findall(r"^- .*$", done.stdout, re.MULTILINE) or [done.stdout.strip()[-600:]]
        raise Failed(f"schemathesis: {'; '.join(dict.fromkeys(found))[:1500]}")


def each(names, option):
    return [word for name in names for word in (option, name)]


def answers_as_described(stack, folder):
    if not os.path.exists(TOOL):
        raise Skipped("no schemathesis: tests/interop/setup")
    session = Session(stack, folder)
    try_out(session, folder, "--phases", "examples,coverage,fuzzing", "--max-examples", "10",
            *each(NOT_CALLED + LAST, "--exclude-operation-id"))
    with urllib.request.urlopen(urllib.request.Request(f"{session.url}/api/v1/session", headers={"Cookie": session.cookie})) as answer:
        if not json.load(answer)["logged_in"]:
            raise Failed("the session ended meanwhile, so that most calls were refused")
    try_out(session, folder, "--phases", "coverage", *each(LAST, "--include-operation-id"))
    if session.process.child.poll() is not None:
        raise Failed("the agent has ended")


add("page api: schemathesis finds nothing", answers_as_described, deadline=240)
