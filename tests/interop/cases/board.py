"""The agent as the system of a board, in a network of its own: the kernel's interfaces, and Debian's wpa_supplicant on one of them."""
import contextlib
import ctypes
import grp
import os
import pwd
import re
import shutil
import signal
import subprocess

from peers.confined import USER
from peers.ours import LOGIN, Agent, Cloud
from peers.process import Failed, Process, output, wait_for

from . import Skipped, add

CLONE_NEWNET = 0x40000000
# Names of interfaces have up to 15 bytes. The socket of wpa_supplicant has this name in a folder that all share.
WIRELESS = f"ivtw{os.getpid()}"
SOCKETS = "/run/wpa_supplicant"
# Blanks, quotes, a comment's sign and another script: what wpa_supplicant's file and ours could take for something else.
SSID = ' Café "5G" #1 \\ 办公室'[:32].encode()[:32].decode(errors="ignore")
PASSWORD = " p#ss'w\"rd \\ $(x) `y` é密码 "
# The group of the agent's user may use the socket.
GROUP = grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name
# Without a radio an open network is joined at once, and one with a password never.
FILE = f"ctrl_interface=DIR={SOCKETS} GROUP={GROUP}\nupdate_config=1\nap_scan=0\nnetwork={{\n\tssid=\"before\"\n\tpsk=\"before-psk\"\n}}\n"


def network(stack):
    """Enters a network namespace that the case leaves again, with a loopback and one interface that has an address."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = f"ivt-board-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        raise Skipped("network namespaces are not allowed here")
    stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    inside = os.open(f"/run/netns/{name}", os.O_RDONLY)
    stack.callback(os.close, before)
    stack.callback(os.close, inside)
    stack.callback(libc.setns, before, CLONE_NEWNET)
    if libc.setns(inside, CLONE_NEWNET):
        raise Skipped("network namespaces cannot be entered here")
    for words in [
        "link set lo up", f"link add {WIRELESS} type veth peer name far0", f"addr add 192.0.2.74/25 dev {WIRELESS}",
        f"link set {WIRELESS} up", "link set far0 up", f"route add default via 192.0.2.1 dev {WIRELESS} metric 9",
    ]:
        if subprocess.run(["ip", *words.split()], capture_output=True).returncode:
            raise Skipped("virtual interfaces are not allowed here")


def supplicant(folder, file):
    program = shutil.which("wpa_supplicant", path="/usr/sbin:/sbin")
    started = Process("wpa_supplicant", [program, "-D", "wired", "-i", WIRELESS, "-c", file], folder)
    wait_for("control socket", lambda: os.path.exists(f"{SOCKETS}/{WIRELESS}"), 10)
    return started


def ask(*words):
    return output(["wpa_cli", "-p", SOCKETS, "-i", WIRELESS, *words], 10)


def unescaped(text):
    return re.sub(rb"\\(x[0-9a-f]{2}|.)", lambda m: bytes.fromhex(m[1][1:].decode()) if m[1][:1] == b"x" else m[1], text.encode())


def board(stack, folder):
    network(stack)
    file = os.path.join(folder, "wpa_supplicant.conf")
    with open(file, "w") as out:
        out.write(FILE)
    radio = stack.enter_context(supplicant(folder, file))
    fed = os.path.join(folder, "watchdog")
    open(fed, "w").close()
    cloud = Cloud(stack, folder)
    channel = f'backend = ["emulator", "linux"]\nwifi_interface = "{WIRELESS}"\n[channel.abilities]\nnetwork = "linux"\nwifi = "linux"\n'
    agent = Agent(stack, folder, cloud, [channel], extra=f'[runtime]\nwatchdog = "{fed}"\n[network]\ntell_wifi_password = true\nwifi_trial_seconds = 40\n')

    far = next((i for i in cloud.call("GetNetConfig", {"channel": 0}) if i["name"] == WIRELESS), {})
    told = {key: far.get(key) for key in ("ip", "netmask", "gateway", "dhcp")}
    if told != {"ip": "192.0.2.74", "netmask": "255.255.255.128", "gateway": "192.0.2.1", "dhcp": False}:
        raise Failed(f"GetNetConfig told {told}")
    wifi = cloud.call("GetWifiStatusAndConfig", {"channel": 0})
    if not wifi["enable"] or wifi["ip"] != "192.0.2.74" or "password" in wifi:
        raise Failed(f"GetWifiStatusAndConfig told {wifi}")

    cloud.call("SetWifiConfig", {"channel": 0, "ssid": SSID, "password": PASSWORD})
    wait_for("network beside the one before", lambda: len(ask("list_networks").splitlines()) == 3, 10)
    with open(file) as kept:
        if kept.read() != FILE:
            raise Failed("the file is written before the trial is over")
    # wpa_supplicant has the network a moment before it has its name.
    wait_for("password that was set, which is told since that is configured",
             lambda: cloud.call("GetWifiStatusAndConfig", {"channel": 0}).get("password") == PASSWORD, 10)
    # The cloud is there all the time by another way, and yet a network that is not joined is left again.
    agent.process.said("did not bring the cloud within 40 s: the one before is joined again", 60)
    wait_for("network of before alone", lambda: [row.split("\t")[1::2] for row in ask("list_networks").splitlines()[1:]] == [["before", "[CURRENT]"]], 10)
    with open(file) as kept:
        if kept.read() != FILE:
            raise Failed("the file is written although the network was left")

    cloud.call("SetWifiConfig", {"channel": 0, "ssid": SSID, "password": ""})
    agent.process.said("its wireless network is kept", 60)
    with open(file) as kept:
        if kept.read().count("network={") != 2:
            raise Failed("the file does not hold the network that is kept beside the one before")

    # What wpa_supplicant would write of a password.
    cloud.call("SetWifiConfig", {"channel": 0, "ssid": SSID, "password": PASSWORD})
    wait_for("network with a password", lambda: len(ask("list_networks").splitlines()) == 4, 10)
    ask("save_config")

    # A new wpa_supplicant reads what the other one has saved.
    radio.__exit__(None, None, None)
    wait_for("end of the control socket", lambda: not os.path.exists(f"{SOCKETS}/{WIRELESS}"), 10)
    stack.enter_context(supplicant(folder, file))
    rows = [row.split("\t") for row in ask("list_networks").splitlines()[1:]]
    names = {unescaped(row[1]): row[3:] for row in rows}
    if set(names) != {b"before", SSID.encode()} or names[b"before"] != ["[DISABLED]"]:
        raise Failed(f"wpa_supplicant knows {rows}")
    with open(file) as kept:
        if f'psk="{PASSWORD}"' not in kept.read():
            raise Failed("the password is not in the file as it was sent")

    agent.process.child.send_signal(signal.SIGTERM)
    agent.process.child.wait(10)
    with open(fed, "rb") as watchdog:
        said = watchdog.read()
    if not re.fullmatch(rb"\0{2,}V", said):
        raise Failed(f"the watchdog was told {said!r}")


add("a board's network, Wi-Fi by wpa_supplicant and watchdog", board, 200, alone=True)


def revert(stack, folder):
    network(stack)
    file = os.path.join(folder, "wpa_supplicant.conf")
    with open(file, "w") as out:
        out.write(FILE)
    radio = stack.enter_context(supplicant(folder, file))
    cloud = Cloud(stack, folder)
    channel = f'backend = ["emulator", "linux"]\nwifi_interface = "{WIRELESS}"\n[channel.abilities]\nnetwork = "linux"\nwifi = "linux"\n'
    extra = f'[device]\nstate_dir = "{os.path.join(folder, "state")}"\n[network]\nwifi_trial_seconds = 40\n'
    agent = Agent(stack, folder, cloud, [channel], extra=extra)
    cloud.call("SetWifiConfig", {"channel": 0, "ssid": SSID, "password": PASSWORD})
    wait_for("network beside the one before", lambda: len(ask("list_networks").splitlines()) == 3, 10)
    cloud.post("/api/faults", {"link": {"refuse_login": 503}})
    cloud.post("/api/hang_up", {"login_code": LOGIN})

    # The power is cut in the middle of the trial.
    for program in (agent.process, radio):
        program.child.kill()
        program.child.wait(10)
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{SOCKETS}/{WIRELESS}")
    stack.enter_context(supplicant(folder, file))
    agent = Agent(stack, folder, cloud, [channel], extra=extra, wait=False)
    agent.process.said("its wireless network is on trial since before the start", 10)
    agent.process.said("the one before is joined again", 90)
    rows = [row.split("\t") for row in ask("list_networks").splitlines()[1:]]
    if [(row[1], "[DISABLED]" in row[3:]) for row in rows] != [("before", False)]:
        raise Failed(f"wpa_supplicant knows {rows}")
    with open(file) as kept:
        if kept.read() != FILE:
            raise Failed("the file was written although the cloud was never there")
    cloud.post("/api/faults", {})
    agent.online(cloud, 150)


add("a board's Wi-Fi that does not bring the cloud back, over a power cut", revert, 200, alone=True)
