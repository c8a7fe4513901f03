"""The scripts and the unit of packaging/ start an agent again that ended as by a panic."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from peers.confined import section
from peers.image import IVT, Image, inside, pids
from peers.ours import Agent, Cloud, clip, configuration, keep_secret, pattern
from peers.paths import ROOT, built
from peers.process import Failed, wait_for

from . import Skipped, add

PACKAGING = os.path.join(ROOT, "packaging")
UNIT = os.path.join(PACKAGING, "init/ivt-agent.service")
AGENT, SCRIPT = "/usr/bin/ivt-agent", "/etc/init.d/ivt-agent"
# The first process of a device, which starts the script and stays.
FIRST = ["/bin/sh", "-c", 'trap "exit 0" TERM; "$0" start; while :; do sleep 1 & wait $!; done', SCRIPT]
ROUNDS = 3
# Most seconds from the end of the process to the first keepalive of the next one.
LIMIT = 15
# Seconds that hold the script's pause before it starts the agent again.
PAUSE = 8


def device(stack, folder, script, name):
    """Makes an image with a script; returns it and the path of its configuration on this machine."""
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        raise Skipped("mounts of one's own are not allowed here")
    image = Image(folder)
    image.add(os.path.join(PACKAGING, script), name)
    os.makedirs(os.path.join(image.root, "etc/ivt"))
    return image, os.path.join(image.root, "etc/ivt/agent.toml")


def configure(config, text):
    """Writes a configuration that root may change and the agent's user may read."""
    keep_secret(config, f"{text}\n{section()}")
    os.chown(config, 0, IVT)
    os.chmod(config, 0o640)


def comes_back(stack, folder):
    """With the SysV script on BusyBox the agent is back in time after each of three panics, gone when told to stop, and not started
    again when its configuration is wrong. The agent runs as its own user."""
    cloud = Cloud(stack, folder)
    image, config = device(stack, folder, "init/ivt-agent.init", SCRIPT.lstrip("/"))
    configure(config, configuration(cloud, [pattern()]))
    init = image.start(stack, folder, "init", FIRST)
    wait_for("login of the agent", cloud.device, 15)
    expect(init, "reload", 0)
    users = [os.stat(f"/proc/{pid}").st_uid for pid in pids(init, AGENT)]
    if users != [IVT]:
        raise Failed(f"the agent should run as user {IVT}, and runs as {users}")
    # A second agent, if that had started one, would be noticed here.
    took = [panic(cloud, init) for _ in range(ROUNDS)]
    print(f"        keepalive back after {', '.join(f'{seconds:.1f}' for seconds in took)} s")

    expect(init, "status", 0)
    expect(init, "stop", 0)
    expect(init, "status", 1)
    if pids(init, AGENT):
        raise Failed("the script says it has stopped the agent, which still runs")
    expect(init, "start", 0)
    wait_for("login after a start by hand", cloud.device, 15)

    configure(config, "nothing = true\n")
    (agent,) = pids(init, AGENT)
    os.kill(agent, signal.SIGABRT)
    wait_for("end of the script", lambda: inside(init, SCRIPT, "status").returncode == 1, LIMIT)
    if pids(init, AGENT):
        raise Failed("an agent with a wrong configuration runs")
    refused = expect(init, "start", 1)
    if "cloud.url is missing" not in refused.stderr:
        raise Failed(f"the script does not say why it starts nothing: {refused.stderr!r}")


def panic(cloud, init):
    """Ends the agent as a panic does, and returns the seconds until the cloud has a keepalive of the next one."""
    (agent,) = pids(init, AGENT)
    ended = time.time()
    os.kill(agent, signal.SIGABRT)
    back = wait_for("keepalive of the next agent", lambda: cloud.keepalives(since=ended), LIMIT)[0] - ended
    if pids(init, AGENT) in ([], [agent]):
        raise Failed("a keepalive, and no new agent")
    return back


def expect(init, verb, code):
    """Runs the script and returns its output; fails unless it ended with `code`."""
    done = inside(init, SCRIPT, verb)
    if done.returncode != code:
        raise Failed(f"{verb} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def shares(stack, folder):
    """The SysV script lets the agent's group read a configuration of root's and what that names, where it can; otherwise it says what to
    do. It does not where that group is nogroup."""
    image, _ = device(stack, folder, "init/ivt-agent.init", SCRIPT.lstrip("/"))
    data = os.path.join(image.root, "data")
    os.makedirs(os.path.join(data, "apart"))
    os.chmod(data, 0o755)
    config, beside, apart = (os.path.join(data, name) for name in ("agent.toml", "login.toml", "apart/login.toml"))
    login = '[cloud]\nlogin_code = "c"\nlogin_passwd = "p"\n'
    text = configuration(Nowhere, [pattern()]).split("login_code")[0] + configuration(Nowhere, [pattern()]).split('"interop"\n')[1]
    init = image.start(stack, folder, "init", ["/bin/sh", "-c", "sleep 170 & wait"])
    wait_for("shell", lambda: pids(init, "sleep"), 15)
    verb = "CONFIG=/data/agent.toml LOG=cat " + SCRIPT

    def start(line, file, link=None):
        for old in (config, beside, apart):
            if os.path.lexists(old):
                os.remove(old)
        keep_secret(config, f"{line}\n{text}")
        keep_secret(link or file, login)
        if link:
            os.symlink(os.path.relpath(link, os.path.dirname(file)), file)
        done = inside(init, "/bin/sh", "-c", f"{verb} start")
        inside(init, "/bin/sh", "-c", f"{verb} stop")
        modes = [(there.st_gid, there.st_mode & 0o777) for there in map(os.stat, (config, file))]
        return done, modes

    shared, kept = (IVT, 0o640), (0, 0o600)
    for line, file in (('credentials = "login.toml"', beside), ("\tcredentials\t='apart/login.toml' # of \"this\" device", apart),
                       ('credentials="/data/apart/login.toml"', apart)):
        done, modes = start(line, file)
        if done.returncode != 0 or modes != [shared, shared]:
            raise Failed(f"{line} leads to {modes}: {done.stderr}")
    # The login lies in a folder of the agent's user, or is a link.
    os.chown(os.path.dirname(apart), IVT, IVT)
    for link in (None, os.path.join(data, "other.toml")):
        done, modes = start('credentials = "apart/login.toml"', apart, link)
        if done.returncode == 0 or modes != [shared, kept] or "has to be able to read /data/apart/login.toml" not in done.stderr:
            raise Failed(f"{modes}: {done.stderr}")
    os.chown(os.path.dirname(apart), 0, 0)
    for name, line in (("passwd", "root:x:0:0::/:/bin/sh\nivt:x:990:65534::/:/bin/false\n"), ("group", "root:x:0:\nnogroup:x:65534:\n")):
        with open(os.path.join(image.root, "etc", name), "w", encoding="utf-8") as out:
            out.write(line)
    done, modes = start('credentials = "login.toml"', beside)
    if done.returncode == 0 or modes != [kept, kept] or "nogroup" not in done.stderr:
        raise Failed(f"a configuration for nogroup: {modes}: {done.stderr}")


def handed_to_procd(stack, folder):
    """The case plays OpenWrt's shell functions: the command that the script hands to them starts the agent, with a pause."""
    image, config = device(stack, folder, "openwrt/files/ivt-agent.init", "etc/init.d/ivt-agent")
    stub = ('procd_open_instance() { :; }; procd_close_instance() { :; }; procd_set_param() { echo "$@"; }; '
            f". {SCRIPT}; start_service")
    keep_secret(config, configuration(Nowhere, [pattern()]))
    process = image.start(stack, folder, "procd", ["/bin/sh", "-c", "sleep 60 & wait"])
    wait_for("shell", lambda: pids(process, "sleep"), 15)
    given = inside(process, "/bin/sh", "-euc", stub)
    params = dict(line.split(" ", 1) for line in given.stdout.splitlines() if " " in line)
    _, pause, tries = params["respawn"].split()
    if (params["user"], params["group"]) != ("ivt", "ivt"):
        raise Failed(f"procd would not start the agent as its own user: {given.stdout}")
    if given.returncode != 0 or params["command"].split()[0] != AGENT or tries != "0" or int(pause) > PAUSE:
        raise Failed(f"procd was given {given.stdout}{given.stderr}")
    checked = inside(process, *params["command"].split(), "--check-config")
    if checked.returncode != 0:
        raise Failed(f"the command does not run: {checked.stderr}")
    keep_secret(config, "nothing = true\n")
    refused = inside(process, "/bin/sh", "-euc", stub)
    if refused.returncode == 0 or "command" in refused.stdout:
        raise Failed(f"a wrong configuration was handed to procd: {refused.stdout}")


class Nowhere:
    """Stands in for a cloud that is not called."""
    device_url = "ws://127.0.0.1:9/ivc"


def unit(key):
    """The settings of the systemd unit."""
    with open(UNIT, encoding="utf-8") as text:
        return re.search(rf"^{key}=(.*)$", text.read(), re.M)[1]


def tells_systemd(stack, folder):
    """On a socket as of systemd the agent says that it is ready, then alive at least twice within the limit but not when it hangs, and
    that it stops."""
    limit = 4
    path = os.path.join(folder, "notify")
    manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.bind(path)
    cloud = Cloud(stack, folder)
    agent = Agent(stack, folder, cloud, [clip(None)], env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(limit * 1_000_000)}).process

    def hear(seconds):
        manager.settimeout(seconds)
        return manager.recv(100).decode()
    if (first := hear(limit)) != "READY=1":
        raise Failed(f"expected READY=1, got {first}")
    beats = []
    while len(beats) < 5:
        if (said := hear(limit)) != "WATCHDOG=1":
            raise Failed(f"expected WATCHDOG=1, got {said}")
        beats.append(time.monotonic())
    pauses = [after - before for before, after in zip(beats, beats[1:])]
    # A word that comes late is followed soon by the next.
    if max(pauses) >= limit or sum(pauses) < limit / 4 * len(pauses):
        raise Failed(f"of a watchdog of {limit} s, the signs of life are {pauses} s apart")
    os.kill(agent.pid, signal.SIGSTOP)
    drain(manager)
    try:
        raise Failed(f"an agent that hangs says {hear(2 * limit)}")
    except TimeoutError:
        pass
    os.kill(agent.pid, signal.SIGCONT)
    if (said := hear(limit)) != "WATCHDOG=1":
        raise Failed(f"expected WATCHDOG=1 of an agent that goes on, got {said}")
    agent.child.terminate()
    drain(manager, until="STOPPING=1")
    if agent.ended() != 0:
        raise Failed(f"the agent ended badly: {agent.tail()}")


def drain(manager, until=None):
    """Reads all words that are there, or waits for the word `until`."""
    manager.settimeout(5 if until else 0.0)
    try:
        while manager.recv(100).decode() != until:
            pass
    except (BlockingIOError, TimeoutError):
        if until:
            raise Failed(f"never heard {until}") from None


def verified(_stack, folder):
    """systemd-analyze finds nothing wrong with the unit, and the unit's times of restart keep the limit."""
    if not shutil.which("systemd-analyze"):
        raise Skipped("systemd-analyze is not here")
    copy = os.path.join(folder, "ivt-agent.service")
    with open(UNIT, encoding="utf-8") as text, open(copy, "w", encoding="utf-8") as out:
        out.write(text.read().replace("/usr/bin/ivt-agent", built("ivt-agent")))
    os.chmod(folder, 0o755)
    # As `nobody`, systemd-analyze judges the file alone.
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "systemd-analyze", "verify",
                           "--man=no", copy], capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or done.stderr.strip():
        raise Failed(f"systemd-analyze complains: {done.stderr.strip()}")
    if (unit("Restart"), unit("RestartPreventExitStatus"), unit("Type")) != ("always", "2", "notify") or int(unit("RestartSec")) > PAUSE:
        raise Failed("the unit does not start the agent again in time, or starts a wrong configuration for ever")


def checked(_stack, _folder):
    """shellcheck finds nothing wrong with the scripts."""
    if not shutil.which("shellcheck"):
        raise Skipped("shellcheck is not here")
    scripts = [*(os.path.join(PACKAGING, name) for name in ("init/ivt-agent.init", "openwrt/files/ivt-agent.init")), os.path.join(ROOT, "configs/boot/pick-slot")]
    done = subprocess.run(["shellcheck", "--shell=sh", *scripts], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(done.stdout)


add("after a panic the SysV script has a keepalive back within 15 s", comes_back, 180)
add("the SysV script shares the configuration with the agent's own group alone", shares, 120)
add("procd is handed the command and a pause", handed_to_procd)
add("systemd is told ready, alive and stopping, and nothing by an agent that hangs", tells_systemd, 90)
add("systemd-analyze verifies the unit", verified)
add("shellcheck passes the scripts for init", checked)
