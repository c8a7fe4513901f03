"""Chromium without a window, driven through chromedriver (W3C WebDriver over plain HTTP)."""
import base64
import contextlib
import json
import os
import shutil
import urllib.error
import urllib.request

from .process import Failed, Process, wait_for

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000",
             "--mute-audio", "--autoplay-policy=no-user-gesture-required", "--no-first-run", "--disable-component-update",
             "--disable-background-networking", "--lang=en"]


class Browser:
    """One tab. Scripts run in the page and return JSON values; what the page saves lies in `downloads`. `arguments` are added to those
    of the browser."""

    def __init__(self, stack, folder, arguments=()):
        self.folder = folder
        chrome = next((found for found in map(shutil.which, ("chromium", "google-chrome")) if found), None)
        if not chrome or not shutil.which("chromedriver"):
            raise Failed("chromium or chromedriver is missing: run tests/interop/setup")
        self.base = f"http://127.0.0.1:{_driver(stack, folder)}"
        self.downloads = os.path.join(folder, "downloads")
        options = {"binary": chrome, "args": [*ARGUMENTS, *arguments, f"--user-data-dir={os.path.join(folder, 'profile')}"],
                   "prefs": {"download.default_directory": self.downloads}}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._post("/session", {"capabilities": {"alwaysMatch": always}})
        self.base += f"/session/{made['sessionId']}"
        stack.callback(self._quit)

    def open(self, url):
        self._post("/url", {"url": url})

    def script(self, text, *arguments):
        return self._post("/execute/sync", {"script": text, "args": list(arguments)})

    def wait(self, what, text, *arguments, seconds=40):
        """Waits until the script returns something true; that."""
        return wait_for(what, lambda: self.script(text, *arguments), seconds)

    def type(self, selector, text):
        """Types into an element, key by key, behind what it holds."""
        (element,) = self._post("/element", {"using": "css selector", "value": selector}).values()
        self._post(f"/element/{element}/value", {"text": text})

    def press(self, x, y):
        """Presses the mouse at a point of the window, and holds it."""
        self._pointer({"type": "pointerMove", "x": round(x), "y": round(y)}, {"type": "pointerDown", "button": 0})

    def drag_on(self, x, y):
        """Moves the mouse, at most to the edge of the window."""
        size = self.script("return [innerWidth - 1, innerHeight - 1]")
        x, y = (min(max(round(at), 0), most) for at, most in zip((x, y), size))
        self._pointer({"type": "pointerMove", "x": x, "y": y, "duration": 50})

    def let_go(self):
        self._pointer({"type": "pointerUp", "button": 0})

    def swipe(self, *points):
        """Puts a finger down at the first point of the window, draws it along the others, and lifts it."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 50} for x, y in points]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        self._post("/actions", {"actions": [{"type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"}, "actions": actions}]})

    def keys(self, text):
        """Presses keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def key_down(self, key):
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": [{"type": "keyDown", "value": key}]}]})

    def key_up(self, key):
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": [{"type": "keyUp", "value": key}]}]})

    def devtools(self, command, **params):
        """Gives the browser a command of its developer tools."""
        return self._post("/goog/cdp/execute", {"cmd": command, "params": params})

    def media(self, **features):
        """Has the page shown as a person prefers it, such as `color_scheme="dark"`; without any, as by default."""
        given = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.devtools("Emulation.setEmulatedMedia", features=given)

    def show_again(self):
        """Shows the tab after it was hidden: another one is opened above it, and closed."""
        tab = self._request("GET", "/window")
        other = self._post("/window/new", {"type": "tab"})["handle"]
        self._post("/window", {"handle": other})
        self._request("DELETE", "/window")
        self._post("/window", {"handle": tab})

    def open_other(self):
        """Goes on in another tab; the one of before is closed."""
        other = self._post("/window/new", {"type": "tab"})["handle"]
        self._request("DELETE", "/window")
        self._post("/window", {"handle": other})

    def narrow(self, width):
        """Makes the page as wide as a phone; the window cannot be that narrow."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self._post("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def _pointer(self, *actions):
        self._post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": list(actions)}]})

    def screenshot(self, name):
        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(base64.b64decode(self._request("GET", "/screenshot")))

    def complaints(self):
        """What the page wrote to the console as an error."""
        return [row["message"] for row in self._post("/se/log", {"type": "browser"}) if row["level"] == "SEVERE"]

    def _post(self, path, body):
        return self._request("POST", path, body)

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Failed(f"chromedriver: {json.load(error)['value']['message'].splitlines()[0]}") from None

    def _quit(self):
        with contextlib.suppress(OSError, Failed):
            self._request("DELETE", "")


def _driver(stack, folder):
    """Starts chromedriver; its port. It takes a free port of IPv6 and then the same one of IPv4, which another program may have."""
    for left in reversed(range(5)):
        driver = stack.enter_context(Process("chromedriver", ["chromedriver", "--port=0"], folder))
        try:
            return driver.said(r"started successfully on port (\d+)", 60)[1]
        except Failed as why:
            if not left or "Address already in use" not in str(why):
                raise
