"""Foreign ONVIF clients and servers. Each client prints what it saw of a camera as JSON; each server has a login that is `USER` and
`PASSWORD`, or its own."""
import json
import os
import subprocess

from .cameras import PASSWORD, USER
from .ours import Camera
from .paths import CACHE, INTEROP, ROOT, built
from .process import Failed, Process, free_port

FOLDER = os.path.join(CACHE, "onvif")
SCRIPTS = os.path.join(INTEROP, "onvif")
PEERS = os.path.join(ROOT, "tests/peers/target/debug")

# The command of each client, up to the camera's port.
CLIENTS = {
    "npm onvif": ["node", os.path.join(SCRIPTS, "npm.js"), os.path.join(FOLDER, "node/node_modules")],
    "onvif-zeep-async": [os.path.join(FOLDER, "zeep/bin/python"), os.path.join(SCRIPTS, "zeep_async.py")],
    "onvif-python": [os.path.join(FOLDER, "python/bin/python"), os.path.join(SCRIPTS, "python_onvif.py")],
}


def installed(name):
    """Whether the packages of a client or server are installed."""
    path = {"npm onvif": "node/node_modules/onvif", "onvif-zeep-async": "zeep", "onvif-python": "python", "ipycam": "ipycam"}[name]
    return os.path.exists(os.path.join(FOLDER, path))


def simulated(stack, folder, *quirks):
    """`camera-sim` with these ONVIF quirks: the camera, and the port of its services."""
    arguments = [word for quirk in quirks for word in ("--onvif-quirk", quirk)]
    camera = Camera(stack, folder, "--user", USER, "--password", PASSWORD, *arguments)
    return camera, int(camera.process.said(r"http://127\.0\.0\.1:(\d+)/onvif/device_service")[1])


def seen(client, port):
    """What a foreign client saw of the camera on `port`."""
    command = [*CLIENTS[client], str(port), USER, PASSWORD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise Failed(f"{client}: {(lines or done.stderr.strip().splitlines() or ['nothing said'])[-1][:400]}")
    return json.loads(lines[-1])


def asked(port, user, password):
    """What our client gets of the camera on `port`: the outcome of each question."""
    done = subprocess.run([built("examples/onvif"), f"127.0.0.1:{port}", user, password], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"onvif ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return dict(line.split(": ", 1) for line in done.stdout.strip().splitlines())


def onvif_server(stack, folder):
    """A camera of the crate onvif-server: process, port and login."""
    port = free_port()
    command = [os.path.join(PEERS, "onvif-device"), str(port), USER, PASSWORD]
    return stack.enter_context(Process("onvif-device", command, folder)).listening(port), port, USER, PASSWORD


def oxvif(stack, folder):
    """The mock camera of the crate oxvif, which has users of its own."""
    port = free_port()
    process = stack.enter_context(Process("onvif-mock", [os.path.join(PEERS, "onvif-mock"), str(port)], folder))
    process.said("listening")
    return process, port, "admin", "admin"


def ipycam(stack, folder):
    """The ONVIF service of PyPI `ipycam`. Its password has no blank, which its configuration refuses."""
    port = free_port()
    command = [os.path.join(FOLDER, "ipycam/bin/python"), os.path.join(SCRIPTS, "ipycam_server.py"), str(port), USER, "s3cret-pass"]
    process = stack.enter_context(Process("ipycam", command, folder, {"HOME": folder}))
    process.said("listening")
    return process, port, USER, "s3cret-pass"
