"""The device's page: an agent that serves it, and a browser that is logged in there, as a technician uses both."""
import base64
import contextlib
import hashlib
import http.cookiejar
import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request

from .browser import Browser
from .ours import keep_secret
from .paths import CACHE, built
from .process import Failed, Process, wait_for

# Odd, since the agent masks it wherever it would be told, and with what a password may hold.
PASSWORD = "gate 3 Straße 电池-Q7x"
AXE = os.path.join(CACHE, "page/node_modules/axe-core/axe.min.js")
# Where the pictures of the pages are left.
PICTURES = os.path.join(os.path.dirname(built("")).rsplit("/", 1)[0], "page")
WIDTHS = (360, 1280)
# Elements that reach beyond the page, unless they can be scrolled to.
BEYOND = """
    const room = document.documentElement.clientWidth + 1;
    return Array.from(document.querySelectorAll('body *')).filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width && (box.right > room || box.left < -1) && !element.closest('.scroll, .skip') && element.checkVisibility();
    }).map((element) => element.outerHTML.slice(0, 120));
"""
# Keys that the page asked for since it was opened, and that have no text.
KEYS = "return import('/parts/text.js').then(({ missing }) => [...missing])"
AUDIT = """
    return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 120)).join(' | ')}`));
"""
# The first visible element of a selector, or the first one whose text, label or name is the one wanted.
FIND = """
    const [selector, text] = arguments;
    const seen = Array.from(document.querySelectorAll(selector)).filter((element) => element.checkVisibility() && !element.disabled);
    // What lies below a dialog cannot be reached.
    const dialog = Array.from(document.querySelectorAll('dialog[open]')).at(-1);
    const near = dialog ? seen.filter((element) => dialog.contains(element)) : seen;
    return near.find((element) => text === null || element.textContent.trim() === text || element.getAttribute('aria-label') === text) ?? null;
"""


class Device:
    """An agent with its page at an address of its own. `config` is the text of its configuration, without `[web]`; it is claimed
    unless `password` is None. With `https = "on"` in `web`, calls know the certificate that the device has made."""

    # What the device has made, in PEM; None where it speaks plain HTTP.
    certificate = None

    def __init__(self, stack, folder, config="", web="", password=PASSWORD, env=None):
        self.password = password
        self.config = os.path.join(folder, "device.toml")
        # By default all devices of a machine have one reset button.
        own = f'listen = "127.0.0.1:0"\nreset_file = "{folder}/reset"\n'
        keep_secret(self.config, f'[web]\nenable = true\n{own}{web}\n{config}')
        self.process = stack.enter_context(Process("ivt-agent", [built("ivt-agent"), "--config", self.config], folder, env))
        self.url = self.process.said(r"the page: (https?://\S+?)/?\s")[1]
        self.jar = http.cookiejar.CookieJar()
        if self.url.startswith("https"):
            with open(os.path.join(folder, "state/certificate.json"), encoding="utf-8") as kept:
                self.certificate = json.load(kept)["certificate"]
        if password is not None:
            self.expect("POST", "/claim", {"password": password})

    def ask(self, method, path, body=None):
        """Makes a call of the interface as a page does; its status and its JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, {"Origin": self.url}, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/octet-stream" if isinstance(body, bytes) else "application/json")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=self.certificate)))
        try:
            with opener.open(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text else None

    def known_key(self):
        """The browser's arguments by which it takes the device's certificate, and no other one that nobody vouches for."""
        if not self.certificate:
            return []
        key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=self.certificate.encode(), capture_output=True, check=True).stdout
        key = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, capture_output=True, check=True).stdout
        return [f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(key).digest()).decode()}"]

    def expect(self, method, path, body=None):
        """Makes a call that must be carried out; its JSON."""
        status, answer = self.ask(method, path, body)
        if status >= 300:
            raise Failed(f"{method} {path}: {status} {answer}")
        return answer


class Page(Browser):
    """The device's page in a browser. `inputs` counts what a technician typed and clicked."""

    def __init__(self, stack, folder, device, language="en"):
        super().__init__(stack, folder, device.known_key())
        self.device = device
        self.inputs = 0
        self.open_url(language)

    def open_url(self, language="en"):
        """Opens the page anew, in a language; logged in if the device has a password."""
        self.open(f"{self.device.url}/healthz")
        self.script("localStorage.setItem('language', arguments[0])", language)
        if self.device.password is not None:
            self.log_in()
        self.open(f"{self.device.url}/")
        self.shown()

    def log_in(self):
        """Begins a session without the login page."""
        login = "return fetch('/api/v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: arguments[0] }).then((r) => r.status)"
        status = self.script(login, json.dumps({"password": self.device.password}))
        if status != 200:
            raise Failed(f"the login was answered with {status}")

    def shown(self, name=None, seconds=20):
        """Waits until a page is shown: the one of this name, or any."""
        script = "const { page } = document.querySelector('main')?.dataset ?? {}; return arguments[0] === null ? Boolean(page) : page === arguments[0]"
        self.wait(f"page {name or ''}", script, name, seconds=seconds)

    def go(self, path):
        """Goes to a page by its address, such as `channels/1`, and waits until it is shown."""
        self.script("delete document.querySelector('main').dataset.page; const wanted = `#/${arguments[0]}`;"
                    "if (location.hash === wanted) window.dispatchEvent(new HashChangeEvent('hashchange')); else location.hash = wanted", path)
        self.shown(path.split("/")[0])

    def find(self, selector, text=None, seconds=20):
        """Waits for a visible element, and returns its number; within a dialog if one is open."""
        found = self.wait(f"element {selector} {text or ''}", FIND, selector, text, seconds=seconds)
        return next(iter(found.values()))

    def click(self, selector, text=None):
        """Clicks an element as a person does."""
        element = self.find(selector, text)
        self.inputs += 1
        self._post(f"/element/{element}/click", {})

    def press_button(self, text):
        """Clicks the button or the link with this text."""
        self.click("button, a, summary", text)

    def enter(self, name, text):
        """Puts a text into the field of this name, in the place of what it holds."""
        element = self.find(f"[name='{name}']")
        self.inputs += 1
        self._post(f"/element/{element}/clear", {})
        self._post(f"/element/{element}/value", {"text": text})

    def choose(self, name, value):
        """Chooses a value of a list."""
        self.find(f"select[name='{name}']")
        self.inputs += 1
        self.script("const s = Array.from(document.getElementsByName(arguments[0])).find((e) => e.checkVisibility()); s.value = arguments[1];"
                    "s.dispatchEvent(new Event('input', { bubbles: true })); s.dispatchEvent(new Event('change', { bubbles: true }))", name, value)

    def text(self):
        """What stands in the page, or in the dialog above it."""
        return self.script("return (Array.from(document.querySelectorAll('dialog[open]')).at(-1) ?? document.body).innerText")

    def says(self, pattern, seconds=20):
        """Waits until the page holds a text, and returns the match."""
        try:
            return wait_for(pattern, lambda: re.search(pattern, self.text()), seconds)
        except Failed:
            raise Failed(f"no {pattern!r} in the page within {seconds} s: {self.text()[-600:]!r}") from None

    def look(self, name, audit=True):
        """Leaves pictures of the page, as wide as a phone and as a laptop, and fails if it does not fit, has a text missing, or if axe
        finds something serious."""
        os.makedirs(PICTURES, exist_ok=True)
        for width in WIDTHS:
            self.narrow(width)
            if beyond := self.script(BEYOND):
                raise Failed(f"{name}: does not fit {width} px: {beyond[:3]}")
            if audit and (found := self.audit()):
                raise Failed(f"{name} at {width} px: {found[0]} ({len(found)} in all)")
            self.picture(os.path.join(PICTURES, f"{name}-{width}.png"), width)
        if missing := self.missing():
            raise Failed(f"{name}: texts are missing: {missing}")

    def missing(self):
        """Keys without a text that the page asked for since it was opened."""
        return self.script(KEYS)

    def audit(self):
        """What axe finds, of its serious findings."""
        if not self.script("return Boolean(window.axe)"):
            with open(AXE, encoding="utf-8") as source:
                self.script(source.read())
        return self.script(AUDIT)

    def picture(self, path, width):
        """Saves a picture of the whole page, also of what has to be scrolled to."""
        height = self.script("return Math.min(4000, Math.max(innerHeight, document.documentElement.scrollHeight))")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        params = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        shot = self._post("/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": params})
        with open(path, "wb") as out:
            out.write(base64.b64decode(shot["data"]))

    def complaints(self):
        """What the page wrote to the console as an error, without the answers of the device that are refusals."""
        return [text for text in super().complaints() if not re.search(r"favicon.ico|/(api/\S+|healthz) - Failed to load resource: the server responded with a status of 4", text)]
