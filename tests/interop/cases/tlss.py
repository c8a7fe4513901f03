"""The TLSS simulator's page in Chromium: a session of the agent with `camera-sim`, and sessions of a hand-made device that passes
the server's commands on to `camera-sim`."""
import contextlib
import http.client
import json
import os
import socket
import struct
import urllib.request
import xml.etree.ElementTree

from peers.browser import Browser
from peers.cameras import PASSWORD, USER
from peers.ours import MAC, Camera, hosted
from peers.paths import built
from peers.process import Failed, Process

from . import add

SILENCE_MS = 300
LIST = "document.getElementById('packets')"
REPORT = "document.getElementById('report').textContent"
PICTURE = "const i = document.querySelector('#snapshot img'); return i.complete && i.naturalWidth === 640"
CELL = "return [...document.querySelectorAll('.parameters td')].some((cell) => cell.textContent === arguments[0])"
FAULT = """
    const form = document.getElementById('faults'), fields = form.elements;
    fields.wire.value = arguments[0];
    fields.wire.dispatchEvent(new Event('change'));
    fields.never_done.checked = arguments[1];
    form.requestSubmit();
"""
SCRIPT = "const f = document.querySelector('#work .script'); f.elements.script.value = arguments[0]; f.requestSubmit()"
SEND = "const f = document.getElementById('send'); f.elements.command.value = arguments[0]; f.requestSubmit()"
RAW = "[...document.querySelectorAll('#packets li')].at(-1).querySelector('button').click()"


class Server:
    """`tlss-sim` on free ports."""

    def __init__(self, stack, folder, *arguments):
        process = stack.enter_context(Process("tlss-sim", [built("tlss-sim"), "--bind", "127.0.0.1:0", "--http", "127.0.0.1:0",
                                                           *arguments], folder))
        self.page = process.said(r"http://127\.0\.0\.1:\d+")[0]
        self.port = int(process.said(r"devices +127\.0\.0\.1:(\d+)")[1])

    def get(self, path):
        with urllib.request.urlopen(self.page + path, timeout=30) as answer:
            return json.load(answer)

    def device(self):
        """The state of the device `MAC`; one without sessions before its first call."""
        return next((device for device in self.get("/api/devices") if device["mac"] == MAC), {"done": 0})


class Device(contextlib.AbstractContextManager):
    """One call of a device, which has told its identity. Commands are passed on to the camera's web server."""

    def __init__(self, server, camera):
        self.camera = camera
        self.socket = socket.create_connection(("127.0.0.1", server.port), 20)
        self.say(f"mac={MAC}&brand=CAP&model=NS202HD".encode())

    def __exit__(self, *_):
        self.socket.close()

    def say(self, message):
        self.socket.sendall(struct.pack("<I", len(message)) + message)

    def command(self):
        """The next command; None when the server closed the connection."""
        header = self.exactly(4)
        return header and self.exactly(struct.unpack("<I", header)[0]).decode()

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                return None
            data += part
        return data

    def answer(self, command):
        connection = http.client.HTTPConnection(self.camera, timeout=10)
        connection.request("GET", "/" + command.strip("\0\r\n").lstrip("/"))
        got = connection.getresponse()
        body = got.read()
        head = [f"HTTP/1.1 {got.status} {got.reason}", f"Content-Type: {got.headers['Content-Type']}", f"Content-Length: {len(body)}"]
        self.say("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def answer_one(self, expected):
        command = self.command()
        if command != expected:
            raise Failed(f"expected {expected}, got {command}")
        self.answer(command)

    def answer_all(self):
        """Answers all commands until `done`, and returns them."""
        commands = []
        while (command := self.command()) not in (None, "done"):
            commands.append(command)
            self.answer(command)
        return commands


def web_server(camera):
    """Host and port of the camera's web server."""
    return camera.process.said(r"http://(\S+)/uapi-cgi")[1]


def agent(stack, folder, server, camera):
    """Starts the agent, which calls `server` at once."""
    config = hosted(folder, server.port, camera.url, web_server(camera), "NS202HD")
    return stack.enter_context(Process("ivt-agent", [built("ivt-agent"), "--config", config], folder))


def shows_a_session(stack, folder):
    server = Server(stack, folder, "--silence-ms", str(SILENCE_MS))
    agent(stack, folder, server, Camera(stack, folder, "--user", USER, "--password", PASSWORD))
    browser = Browser(stack, folder)
    browser.open(server.page)
    browser.wait("device in the list", f"return document.getElementById('devices').textContent.includes('{MAC}')")
    browser.script("document.querySelector('#devices a').click()")
    browser.wait("end of the session", "return document.getElementById('facts').textContent.includes('done, ')")
    browser.wait("parameters as a table", CELL, "VERSION.firmware")
    browser.wait("snapshot as a picture", PICTURE)
    for text in ("Records:2000 Counter:2", "stores 24 heat maps", "HTTP/1.1 200 OK", "image/jpeg", "snapshot.fcgi"):
        browser.wait(text, f"return {LIST}.textContent.includes(arguments[0])", text)
    if browser.script("return document.querySelectorAll('#packets .wrong').length"):
        raise Failed("a good reply is called wrong")
    browser.script(f"{LIST}.querySelectorAll('details').forEach((one) => {{ one.open = true; }}); {RAW}")
    browser.wait("raw bytes", f"return {LIST}.textContent.includes(arguments[0])", "Content-Type: text/plain\\r\\n")
    browser.script(RAW)
    browser.screenshot("tlss.png")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def steers_a_session(stack, folder):
    server = Server(stack, folder, "--by-length")
    camera = web_server(Camera(stack, folder))
    with Device(server, camera) as device:
        commands = device.answer_all()
    if len(commands) != 6 or not commands[3].endswith("snapshot.fcgi"):
        raise Failed(f"expected the typical session, got {commands}")
    browser = Browser(stack, folder)

    # The device gets a script of its own, and a command while its session is open.
    browser.open(server.page)
    browser.script(FAULT, "", True)
    browser.wait("word on the fault", "return document.getElementById('faults-on').textContent === 'On: never done'")
    browser.open(f"{server.page}/?mac={MAC}")
    browser.wait("script in the editor", "return document.querySelector('#work .script').elements.script.value.includes('done')")
    browser.script(SCRIPT, "uapi-cgi/netinfo.cgi\ndone")
    browser.wait("word that the script is saved", f"return {REPORT} === 'script saved'")
    with Device(server, camera) as device:
        device.answer_one("uapi-cgi/netinfo.cgi")
        browser.wait("word that a session is open", "return document.getElementById('online').textContent === 'in a session'")
        browser.script(SEND, "/uapi-cgi/nothing.cgi")
        device.answer_one("/uapi-cgi/nothing.cgi")
        browser.wait("reply to what was sent", f"return {LIST}.textContent.includes('404 - Not Found')")
        browser.script("document.getElementById('done').click()")
        if device.command() != "done":
            raise Failed("expected done")
    browser.wait("end of the session", "return document.getElementById('facts').textContent.includes('done, ')")
    browser.screenshot("steered.png")

    # A fault of the wire is set and ended.
    browser.open(server.page)
    browser.script(FAULT, "length", False)
    browser.wait("word on the fault", "return document.getElementById('faults-on').textContent === 'On: another length: 4294967295'")
    with Device(server, camera) as device:
        if device.exactly(4) != b"\xff\xff\xff\xff":
            raise Failed("the fault is not on the wire")
    browser.screenshot("home.png")
    browser.script("document.getElementById('end-faults').click()")
    browser.wait("word that no fault is on", "return document.getElementById('faults-on').textContent === 'no fault is on'")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


def reports(stack, folder):
    """`tlss-sim conformance` on the agent: its page opens by itself, its JSON and JUnit agree with it."""
    files = {form: os.path.join(folder, f"report.{form}") for form in ("html", "json", "junit")}
    options = [word for form, file in files.items() for word in (f"--{form}", file)]
    run = stack.enter_context(Process("tlss-sim", [built("tlss-sim"), "conformance", "--listen", "127.0.0.1:0", "--only",
                                                   "identity.*,command.*,picture,refuse.unknown,done.four", *options], folder))
    port = int(run.said(r"devices +127\.0\.0\.1:(\d+)")[1])
    camera = Camera(stack, folder, "--user", USER, "--password", PASSWORD)
    config = hosted(folder, port, camera.url, web_server(camera), "NS202HD")
    stack.enter_context(Process("ivt-agent", [built("ivt-agent"), "--config", config], folder))
    if run.ended(60) != 0:
        raise Failed(f"the agent does not pass: {run.tail()}")
    with open(files["json"]) as report:
        cases = json.load(report)["cases"]
    suite = xml.etree.ElementTree.parse(files["junit"]).getroot()
    if not cases or int(suite.get("tests")) != len(cases) or suite.get("failures") != "0":
        raise Failed(f"JSON has {len(cases)} cases, JUnit {suite.attrib}")
    browser = Browser(stack, folder)
    browser.open(f"file://{files['html']}")
    shown = browser.script("return [...document.querySelectorAll('td code, summary code')].map((code) => code.textContent)")
    if shown != [case["id"] for case in cases]:
        raise Failed(f"the page shows {shown}")
    browser.wait("picture of the camera", "const i = document.querySelector('img'); i.closest('details').open = true; return i.naturalWidth === 640")
    if MAC not in browser.script("return document.body.textContent"):
        raise Failed("the page does not say whose report it is")
    if complaints := browser.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("tlss-sim conformance: the agent's report in a browser", reports)
add("browser shows a TLSS session of the agent: parameters, picture, reports", shows_a_session)
add("browser steers a TLSS session", steers_a_session)
