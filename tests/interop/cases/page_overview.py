"""The overview of the device's page: what works, what does not and why, and what to do, for the device as a whole as well."""
import json
import os
import signal
import tarfile

from peers.devicepage import PASSWORD, Device, Page
from peers.ours import LOGIN, Cloud, clip
from peers.process import Failed, wait_for

from . import add
from .page_access import LOG_OUT

# State of a hop by its name; null until it is there.
STATE = "return document.querySelector(`details[data-hop='${arguments[0]}']`)?.dataset.state ?? null"
# Opens the line of a hop.
OPEN = "document.querySelector(`details[data-hop='${arguments[0]}']`).open = true"
SECRET = "kX9-cloud-4417"
WHERE = "return Array.from(document.querySelectorAll('.missing li'), (row) => [row.querySelector('a').hash, row.innerText])"


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


def saved(page, name):
    """Waits for a file that the browser saves; its path."""
    path = os.path.join(page.downloads, name)
    wait_for(name, lambda: os.path.exists(path), 20)
    return path


def newest(device, target=""):
    """The number of the newest line in the log that a part of the program has told; -1 while there is none."""
    lines = device.expect("GET", "/log?level=info")["lines"]
    return max((line["number"] for line in lines if target in line["target"]), default=-1)


def filters_the_log(page, device, cloud):
    """The log comes as it is written, by its level."""
    page.go("log")
    page.says("logged in to the cloud")
    page.look("log")
    page.choose("shown", "error")
    known = newest(device)
    cloud.call("RTMPPublish", {"channel": 0, "quality": "hd", "url": cloud.rtmp_url("s"), "stream_id": "s", "max_bitrate": 0})
    wait_for("line of the stream", lambda: newest(device, "channel") > known, 20)
    if "Info" in page.script("return document.querySelector('.log-lines').innerText"):
        raise Failed("the log of errors has other lines")
    page.choose("shown", "info")
    page.says(r"Info \S+channel")


def saves_the_bundle(page):
    """The bundle is a tar without a password; who asks for it after the end of the session logs in first."""
    page.script(LOG_OUT)
    page.press_button("Download the diagnostic bundle")
    page.says("The session has ended")
    page.enter("password", PASSWORD)
    page.press_button("Log in")
    with tarfile.open(saved(page, "ivt-diagnostics.tar")) as tar:
        texts = {name: tar.extractfile(name).read().decode() for name in tar.getnames()}
    if leaks := [name for name, text in texts.items() if SECRET in text or PASSWORD in text]:
        raise Failed(f"a password is in {leaks}")
    if "logged in to the cloud" not in texts["ivt-diagnostics/log.txt"]:
        raise Failed(f"no log in the bundle: {list(texts)}")


def brings_settings(page, device):
    """Settings go out as a file without secrets, and in again; what the device lacks of these is asked for, or named with where it is entered."""
    page.press_button("Save to a file")
    path = saved(page, "ivt-settings.json")
    with open(path, encoding="utf-8") as file:
        told = json.load(file)
    if SECRET in json.dumps(told):
        raise Failed("a password is in the file of settings")
    told["values"]["log.level"] = "debug"
    told["left_out"] += ["channel.0.password", "channel.0.snapshot"]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(told, file)
    page.type("input[accept*=json]", path)
    page.press_button("Read in")
    page.says("What the file leaves out")
    page.press_button("Read in")
    page.says("The settings of the file hold now")
    if (level := device.expect("GET", "/settings")["values"].get("log.level")) != "debug":
        raise Failed(f"the level of the log is {level}")
    rows = page.script(WHERE)
    if rows != [["#/channels/0", f"Channel 0: {what}"] for what in ("password (channel.0.password)", "address of the picture (channel.0.snapshot)")]:
        raise Failed(f"the page says of what is missing: {rows}")


def serves_support(stack, folder):
    """Log, bundle and settings serve who is asked for help, and the agent starts anew below the page."""
    cloud = Cloud(stack, folder)
    device = Device(stack, folder, configuration(cloud))
    page = Page(stack, folder, device)
    filters_the_log(page, device, cloud)
    page.go("system")
    page.says("Diagnostic|diagnostic")
    page.look("system")
    saves_the_bundle(page)
    brings_settings(page, device)
    page.press_button("Restart the agent")
    page.press_button("Restart")
    page.shown("overview")
    becomes(page, "/keepalive", "ok", 30)
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


add("the device's page tells what is wrong, and that the device is lost", tells_what_is_wrong)
add("the device's page serves support", serves_support)
