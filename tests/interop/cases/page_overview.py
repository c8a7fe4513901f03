"""The overview of the device's page: what works, what does not and why, and what to do, for the device as a whole as well."""
import json
import os
import signal
import tarfile
import urllib.request

from peers.devicepage import PASSWORD, Device, Page
from peers.ours import LOGIN, Cloud, clip
from peers.process import Failed, wait_for

from . import add

# State of a hop by its name; null until it is there.
STATE = "return document.querySelector(`details[data-hop='${arguments[0]}']`)?.dataset.state ?? null"
# Opens the line of a hop.
OPEN = "document.querySelector(`details[data-hop='${arguments[0]}']`).open = true"
SECRET = "kX9-cloud-4417"


def configuration(cloud):
    return (f'[cloud]\nurl = "{cloud.device_url}"\nlogin_code = "{LOGIN}"\nlogin_passwd = "{SECRET}"\n'
            f"[[channel]]\n{clip(None)}\n")


def becomes(page, hop, state, seconds=20):
    wait_for(f"{hop} that is {state}", lambda: page.script(STATE, hop) == state, seconds)


def tells_what_is_wrong(stack, folder):
    """Each hop works; the cloud is pulled away, and the page says so with what to do; the agent ends, and the page says that, too."""
    cloud = Cloud(stack, folder)
    device = Device(stack, folder, configuration(cloud))
    page = Page(stack, folder, device)
    page.go("overview")
    for hop in ("/network", "/cloud_tcp", "/login", "/keepalive", "/clock", "0/rtsp"):
        becomes(page, hop, "ok")
    page.look("overview", audit=False)

    os.killpg(cloud.process.pid, signal.SIGKILL)
    becomes(page, "/cloud_tcp", "bad")
    becomes(page, "/login", "unknown", 2)
    page.says("Connection to the cloud: The server takes no connection")
    page.says("Check the address of the cloud")
    page.script(OPEN, "/cloud_tcp")
    page.script(OPEN, "/memory")
    page.says("Next try")
    page.look("overview-fails")
    page.press_button("中文")
    page.says("连接平台：服务器的此端口拒绝连接")
    if missing := page.missing():
        raise Failed(f"texts are missing: {missing}")
    page.press_button("English")
    page.says("Connection to the cloud")

    os.killpg(device.process.pid, signal.SIGKILL)
    page.says("The device does not answer", 15)


def serves_support(stack, folder):
    """The log comes as it is written and by its level, the bundle is a tar without the password, settings go out and in again, and the
    agent starts anew below the page."""
    cloud = Cloud(stack, folder)
    device = Device(stack, folder, configuration(cloud))
    page = Page(stack, folder, device)
    page.go("log")
    page.says("logged in to the cloud")
    page.look("log")
    cloud.call("RTMPPublish", {"channel": 0, "quality": "hd", "url": cloud.rtmp_url("s"), "stream_id": "s", "max_bitrate": 0})
    page.says(r"Info \S+channel")

    page.go("system")
    page.says("Diagnostic|diagnostic")
    page.look("system")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(device.jar))
    bundle = os.path.join(folder, "bundle.tar")
    with opener.open(f"{device.url}/api/v1/bundle") as answer, open(bundle, "wb") as out:
        out.write(answer.read())
    with tarfile.open(bundle) as tar:
        texts = {name: tar.extractfile(name).read().decode() for name in tar.getnames()}
    if leaks := [name for name, text in texts.items() if SECRET in text or PASSWORD in text]:
        raise Failed(f"a password is in {leaks}")
    if "logged in to the cloud" not in texts["ivt-diagnostics/log.txt"]:
        raise Failed(f"no log in the bundle: {list(texts)}")

    told = device.expect("GET", "/configuration")
    told["file"]["values"]["log.level"] = "debug"
    answer = device.expect("PUT", "/configuration", told)
    if answer["applied"] != ["log.level"] or json.dumps(told).count(SECRET):
        raise Failed(f"imported: {answer}")

    page.press_button("Restart the agent")
    page.press_button("Restart")
    page.shown("overview")
    becomes(page, "/keepalive", "ok", 30)
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("the device's page tells what is wrong, and that the device is lost", tells_what_is_wrong)
add("the device's page serves support", serves_support)
