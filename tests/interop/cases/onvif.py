"""ONVIF: foreign clients against `camera-sim`, also where it misbehaves as they know cameras to, and our client against foreign
servers.

What a foreign server does not have, our client has to say so of: onvif-server has no tours, no network and no restart; oxvif's mock
models no restart; ipycam has neither tours nor network nor restart, and its pictures need a stream. None of them serves streams.
"""
from peers import onvif
from peers.process import Failed, wait_for

from . import Skipped, add

# Quirks that a client knows how to bear.
BORNE = {
    "npm onvif": ["other_year", "digest_only", "no_services", "other_port", "clock_locked", "letters", "bare"],
    "onvif-zeep-async": ["other_year", "no_services", "other_port", "letters", "bare"],
    "onvif-python": ["letters", "bare"],
}


def client(name, *quirks):
    """A foreign client asks, moves and restarts the simulated camera."""
    def run(stack, folder):
        if not onvif.installed(name):
            raise Skipped(f"{name} is not installed: tests/interop/setup")
        camera, port = onvif.simulated(stack, folder, *quirks)
        saw = onvif.seen(name, port)
        expected = {
            "model": "camera-sim", "profiles": ["profile_0_main", "profile_0_sub"], "size": [640, 360], "stream": camera.url,
            "snapshot": f"http://127.0.0.1:{port}/onvif/snapshot?profile=profile_0_main", "interfaces": 1, "nodes": ["node_0"],
            "moved": True, "stands": True, "presets": 4, "removed": True, "reboot": "Rebooting in 1 second",
            "stream2": camera.url, "picture": True, "touring": "Touring", "events": True,
        }
        always = {"model", "profiles", "size", "stream", "moved", "stands", "removed", "reboot"}
        wrong = {key: saw.get(key) for key, value in expected.items() if (key in saw or key in always) and saw.get(key) != value}
        if wrong:
            raise Failed(f"{name} saw {wrong}")
        for order in ("Move(Movement { direction: Right, speed: 50 })", "order: Stop", 'Preset("', "order: Reboot"):
            if order not in camera.process.output():
                raise Failed(f"{name}: {order} did not reach the camera")
    return run


def server(start, expected, told=()):
    """Our client asks and moves a foreign camera; `told` is what its log must say then."""
    def run(stack, folder):
        if start is onvif.ipycam and not onvif.installed("ipycam"):
            raise Skipped("ipycam is not installed: tests/interop/setup")
        process, port, user, password = start(stack, folder)
        got = onvif.asked(port, user, password)
        wrong = {what: got.get(what) for what, words in expected.items() if words not in got.get(what, "")}
        if wrong:
            raise Failed(f"our client got {wrong}")
        for words in told:
            wait_for(f"{words!r} from {process.name}", lambda words=words: words in process.output(), 5)
    return run


for name, quirks in BORNE.items():
    add(f"onvif client {name}", client(name), 60)
    for quirk in quirks:
        add(f"onvif client {name} {quirk}", client(name, quirk), 60)

MISSING = "kind: Unsupported"
add("onvif server onvif-server", server(onvif.onvif_server, {
    "describe": "foreign [profile_0 1920x1080] ptz=true presets=true tours=false", "stream main": "rtsp://127.0.0.1:554/profile_0",
    "reach": "yes", "move": "done", "stop": "done", "presets": "2", "preset": "1", "tours": MISSING, "network": MISSING,
    "reboot": MISSING,
}, ["move profile_0 0.5 0 0", "stop profile_0 true true", "preset 1"]), 60)
add("onvif server oxvif", server(onvif.oxvif, {
    "describe": "MockCam-1080p [Profile_1 1920x1080", "stream main": "rtsp://127.0.0.1:", "stream sub": "rtsp://127.0.0.1:",
    "reach": "yes", "move": "done", "stop": "done", "presets": "2", "preset": "Preset_1", "tours": "1", "network": "1",
    "reboot": "kind: Refused",
}, ["goto preset: Preset_1"]), 60)
add("onvif server ipycam", server(onvif.ipycam, {
    "describe": "VirtualCam-1 [Profile_Main 1920x1080,Profile_Sub 640x360] ptz=true presets=true tours=false",
    "stream main": "rtsp://127.0.0.1:8554/video_main", "stream sub": "rtsp://127.0.0.1:8554/video_sub", "reach": "yes",
    "move": "done", "stop": "done", "presets": "1", "preset": "home", "tours": MISSING, "network": MISSING, "reboot": MISSING,
}), 60)
