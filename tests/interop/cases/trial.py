"""A new firmware on trial, on a device that is restarted: with two slots and the boot script, and with Debian's RAUC."""
import contextlib
import glob
import json
import os
import pwd
import random
import subprocess
import time
import uuid

from peers.confined import WHO, is_on, section
from peers.ours import Cloud, clip, configuration, keep_secret
from peers.paths import built
from peers.process import Failed, Process, output, wait_for

from . import Skipped, add
from .clock import Clock
from .firmware import COUNTER, MODEL, SIZE, Image, board, boot, read, serve, settings, upgrade, write

# How much faster than this machine's clock that of an agent on trial goes: a trial takes minutes.
SPEED = 20
TRIAL = "commit_minutes = 1\nrollback_minutes = 1\ndaily = false\n"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Gives a program a boot id of its own, which is in a file.
APART = ["unshare", *([] if os.getuid() == 0 else ["--map-root-user"]), "--mount", "sh", "-ec", f'mount --bind "$0" {BOOT_ID}; exec "$@"']
AWAY = {"link": {"refuse_login": 503}}


class Device:
    """A device that is restarted: it has a boot id, and what its agent keeps."""

    def __init__(self, folder, cloud, place, key, env=None, user=WHO):
        self.folder, self.cloud, self.env, self.agents = folder, cloud, env or {}, 0
        self.asked_for = os.path.join(folder, "restarted")
        self.boot_id = os.path.join(folder, "boot_id")
        self.restart()
        if subprocess.run([*APART, self.boot_id, "true"], capture_output=True).returncode:
            raise Skipped("no mount namespace can be made here, in which the device has a boot id of its own")
        self.fast = {"LD_PRELOAD": Clock(folder).env["LD_PRELOAD"], "FAKETIME": f"+0 x{SPEED}"}
        self.config = os.path.join(folder, "agent.toml")
        # The programs of a device share the memory in which libfaketime keeps its clock.
        self.user = user if is_on() else None
        sandbox = section(self.user, f'write = ["{folder}", "/dev/shm"]\n') if is_on() else ""
        keep_secret(self.config, configuration(cloud, [clip(None)], extra=settings(folder, place + TRIAL, key) + sandbox))

    def agent(self, stack, fast=False, wait=True):
        """The agent of the device, which begins; `wait` for its login. `fast`: its clock goes SPEED times as fast."""
        self.agents += 1
        folder = os.path.join(self.folder, f"agent-{self.agents}")
        os.mkdir(folder)
        clock = [f"{name}={value}" for name, value in self.fast.items()] if fast else []
        # What libfaketime makes at the start belongs to who starts.
        become = ["setpriv", f"--reuid={self.user}", f"--regid={pwd.getpwnam(self.user).pw_gid}", "--clear-groups"] if fast and self.user else []
        agent = stack.enter_context(Process("ivt-agent", [*APART, self.boot_id, *become, "env", *clock, built("ivt-agent"), "--config", self.config],
                                            folder, self.env))
        if wait:
            wait_for("login of the agent", self.cloud.device, 15)
        return agent

    def wants_to_restart(self):
        return os.path.exists(self.asked_for)

    def restart(self):
        """The device restarts; its agent has ended."""
        write(self.boot_id, f"{uuid.uuid4()}\n".encode())
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.asked_for)

    def upgraded(self, url, version="2.4.2"):
        """Upgrades the device, up to the moment when it has to restart."""
        with contextlib.ExitStack() as life:
            self.agent(life)
            upgrade(self.cloud, url, version)
            wait_for("restart", self.wants_to_restart, 30)

    def hour_is_over(self):
        """The hour between two upgrades is not what is tried here."""
        path = os.path.join(self.folder, "state/firmware.json")
        with contextlib.suppress(FileNotFoundError):
            kept = json.loads(read(path))
            if "begun" not in kept:
                raise Failed(f"what the agent keeps has no `begun`: {kept}")
            write(path, json.dumps({**kept, "begun": None}).encode())

    def said(self):
        """What all agents of the device have said."""
        return "".join(read(path).decode(errors="replace") for path in glob.glob(f"{self.folder}/agent-*/ivt-agent.log"))


class Slots(Device):
    """A device with two slots and the boot script, and the image that it is given."""

    def __init__(self, stack, folder, pause=0.0):
        self.image = Image(os.path.join(folder, "hosted"))
        self.place = os.path.join(folder, "device")
        self.fetched, self.runs = [], "a"
        self.url = serve(stack, self.image.folder, pause, self.fetched) + "/image"
        place = board(self.place)
        super().__init__(folder, Cloud(stack, folder), place, self.image.key)

    def restart(self):
        """Restarts the device; the slot that starts then."""
        super().restart()
        self.runs = boot(self.place)
        return self.runs

    def expect(self, slot, **lines):
        """Fails unless `slot` starts now, and the marker then says `lines`."""
        if (found := self.restart()) != slot:
            raise Failed(f"slot {slot} has to start, and {found} does: {self.marker()}")
        wrong = {name: value for name, value in lines.items() if self.marker().get(name) != value}
        if wrong:
            raise Failed(f"the marker has to say {wrong}: {self.marker()}")

    def marker(self):
        """The lines of the newer copy of the marker."""
        copies = [read(path).decode().splitlines()[1:] for path in glob.glob(f"{self.place}/marker/marker.?")]
        return max((dict(line.split("=", 1) for line in lines) for lines in copies), key=lambda copy: int(copy["serial"]))

    def holds(self, slot):
        """Whether the marker says of a slot that the image is in it; fails if it is not."""
        said = self.marker()[slot].split(" ")[-1] == self.image.comment().split("sha256=")[1].split(" ")[0]
        if said and read(os.path.join(self.place, slot)) != read(self.image.path):
            raise Failed(f"slot {slot} is to start and is not whole")
        return said


def stays(stack, folder):
    """Upgrade, restart, a minute with the cloud: the new firmware is there to stay."""
    device = Slots(stack, folder)
    device.image.sign()
    device.upgraded(device.url)
    device.expect("b", trial="2")
    with contextlib.ExitStack() as life:
        agent = device.agent(life, fast=True)
        agent.said("firmware: the one that runs is on trial")
        agent.said("firmware: the new one stays")
    for _ in range(4):
        device.expect("b", trial="no", fallback="none", failed="none")
    with contextlib.ExitStack() as life:
        device.agent(life)
    if "did not stay" in device.said():
        raise Failed("the agent says that what stays did not")


def gives_way(stack, folder):
    """Upgrade, restart, and no cloud: the one before runs again, and is told that the new one did not work."""
    device = Slots(stack, folder)
    device.image.sign()
    device.upgraded(device.url)
    device.expect("b", trial="2")
    device.cloud.post("/api/faults", AWAY)
    with contextlib.ExitStack() as life:
        agent = device.agent(life, fast=True, wait=False)
        agent.said("firmware: the cloud was not reached in time")
        wait_for("restart", device.wants_to_restart, 30)
    device.expect("a", trial="no", fallback="none", failed=str(COUNTER))
    device.cloud.post("/api/faults", {})
    with contextlib.ExitStack() as life:
        device.agent(life)
    if device.wants_to_restart() or "the new one stays" in device.said():
        raise Failed("the agent does not know that the one before runs")
    device.expect("a", trial="no", failed=str(COUNTER))


def does_not_start(stack, folder):
    """Upgrade, and three starts of which nothing comes: the one before runs, and says so."""
    device = Slots(stack, folder)
    device.image.sign()
    device.upgraded(device.url)
    starts = [device.restart() for _ in range(4)]
    if starts != ["b", "b", "b", "a"]:
        raise Failed(f"the slots that start are {starts}")
    with contextlib.ExitStack() as life:
        device.agent(life).said(r"firmware: .* did not stay")


def killed(rounds):
    """kill -9 of the agent, and power cuts, at random moments of upgrades, restarts and trials, with what the agent keeps. Each firmware is
    installed once and stays, and what starts is whole."""
    def run(stack, folder):
        seed = os.environ.get("IVT_KILL_SEED") or str(random.randrange(1 << 32))
        print(f"  seed {seed}", flush=True)
        dice = random.Random(seed)
        device = Slots(stack, folder, pause=0.004)
        kills, counter = 0, COUNTER
        while kills < rounds:
            counter += 1
            version, before = f"2.4.{counter}", device.runs
            write(device.image.path, dice.randbytes(2_500_000))
            device.image.sign(comment=device.image.comment(counter=counter, version=version))
            kills += interrupted(device, dice, version)
            after = device.runs
            fetched = len(device.fetched)
            # It is on trial: it may be killed once more, before it stays.
            if dice.random() < 0.5:
                with contextlib.ExitStack() as life:
                    kill(device, device.agent(life), dice.uniform(0, 0.5))
                kills += 1
            with contextlib.ExitStack() as life:
                agent = device.agent(life, fast=True)
                agent.said("firmware: the new one stays")
                kill(device, agent, dice.choice([0, dice.uniform(0, 0.1), 0.5]))
            device.expect(after, trial="no", failed="none")
            with contextlib.ExitStack() as life:
                kill(device, device.agent(life), 0.3)
            if after == before or len(device.fetched) != fetched:
                raise Failed(f"slot {before} ran, {after} runs; after the installation there was asked for {device.fetched[fetched:]}")
            if wrong := [line for line in device.said().splitlines() if "did not stay" in line or "panicked" in line or "going back" in line]:
                raise Failed(f"{wrong[0]}")
        print(f"  {kills} kills in {counter - COUNTER} upgrades, {device.agents} starts of the agent")
    return run


def interrupted(device, dice, version):
    """Upgrades a device whose agent is killed until the new firmware runs; how often it was."""
    kills, new = 0, "b" if device.runs == "a" else "a"
    while True:
        device.hour_is_over()
        installed = device.holds(new)
        fetched = len(device.fetched)
        with contextlib.ExitStack() as life:
            agent = device.agent(life)
            if not installed:
                upgrade(device.cloud, device.url, version)
            if not installed and dice.random() < 0.3:
                flipped(device, new)
                kill(device, agent, dice.choice([0, dice.uniform(0, 0.05)]))
            else:
                # On a busy machine an upgrade takes longer.
                kill(device, agent, dice.uniform(0, 0.8 + 0.3 * kills))
        kills += 1
        if installed and len(device.fetched) != fetched:
            raise Failed(f"it is installed, and {device.fetched[fetched:]} was asked for")
        # The agent starts again, or all of the device does.
        if device.wants_to_restart() or dice.random() < 0.5:
            whole = device.holds(new)
            slot = device.restart()
            if (slot == new) != whole:
                raise Failed(f"slot {slot} starts: {device.marker()}")
        if device.runs == new:
            return kills


def flipped(device, new):
    """Waits until the marker says that the image is installed."""
    deadline = time.monotonic() + 30
    while not device.holds(new):
        if time.monotonic() > deadline:
            raise Failed("no installation within 30 s")
        time.sleep(0.001)


def kill(device, agent, seconds):
    """Kills the agent in so many seconds, if it does not end before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        agent.child.wait(seconds)
    agent.child.kill()
    agent.child.wait()
    wait_for("logout", lambda: not device.cloud.device(), 30)


def rauc(stack, folder):
    """RAUC and its service on a bus of their own, by the words of docs/firmware.md: what it refuses is not installed, with its words in the
    log; what it takes is marked bad without a cloud, and marked good with one."""
    for name in ("keys", "bundle", "hosted", "images", "mount"):
        os.mkdir(os.path.join(folder, name))
    for name in ("ours", "stranger"):
        output(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-keyout", f"{folder}/keys/{name}.key", "-out", f"{folder}/keys/{name}.pem"])
    content = random.Random(3).randbytes(SIZE)
    write(f"{folder}/bundle/rootfs.img", content)
    write(f"{folder}/bundle/manifest.raucm", f"[update]\ncompatible={MODEL}\nversion=2.4.2\n[bundle]\nformat=plain\n"
          "[image.rootfs]\nfilename=rootfs.img\n".encode())
    loader = Loader(stack, folder)
    # What runs says its counter, as the file in its root does.
    place = (f'backend = "command"\nfolder = "{folder}/images"\ninstall = ["rauc", "install", "{{image}}"]\n'
             'commit = ["rauc", "status", "mark-good"]\nrollback = ["rauc", "status", "mark-bad"]\n'
             f'running = ["cat", "{folder}/counter"]\n')
    address, cloud = serve(stack, f"{folder}/hosted"), Cloud(stack, folder)
    image = Image(f"{folder}/hosted")
    # The bus takes nobody but the user that has started it.
    device = Device(folder, cloud, place, image.key, loader.env, user=None)
    loader.start("a", 41)
    for name in ("stranger", "ours"):
        bundle = f"{folder}/hosted/image"
        os.remove(bundle)
        output(["rauc", "--cert", f"{folder}/keys/{name}.pem", "--key", f"{folder}/keys/{name}.key", "bundle", f"{folder}/bundle", bundle])
        image.sign()
        if name == "stranger":
            with contextlib.ExitStack() as life:
                agent = device.agent(life)
                upgrade(cloud, f"{address}/image")
                agent.said(r"firmware: not installed: the device: rauc: ended with exit status: 1: ")
                agent.said(r"rauc: LastError: signature verification failed")
            if read(f"{folder}/slot1") != bytes(2_000_000) or read(f"{folder}/primary") != b"a\n":
                raise Failed("RAUC refused, and something was changed")
            continue
        for cloud_is_there in (False, True):
            device.hour_is_over()
            device.upgraded(f"{address}/image")
            if read(f"{folder}/slot1")[:SIZE] != content or read(f"{folder}/primary") != b"b\n":
                raise Failed("RAUC took the bundle and installed something else")
            if os.path.exists(f"{folder}/images/image"):
                raise Failed("the bundle was not removed after it was installed")
            device.restart()
            loader.start("b", COUNTER)
            cloud.post("/api/faults", {} if cloud_is_there else AWAY)
            with contextlib.ExitStack() as life:
                agent = device.agent(life, fast=True, wait=False)
                if cloud_is_there:
                    agent.said("firmware: the new one stays")
                else:
                    wait_for("restart", device.wants_to_restart, 30)
            loader.expect(f"set-state b {'good' if cloud_is_there else 'bad'}")
            if not cloud_is_there:
                # The boot loader leaves out what is bad.
                device.restart()
                cloud.post("/api/faults", {})
                loader.start("a", 41)
    # It was tried before and left, and is there to stay all the same.
    device.restart()
    loader.start("b", COUNTER)
    with contextlib.ExitStack() as life:
        again = device.agent(life)
    if "did not stay" in agent.output() + again.output():
        raise Failed("the agent says that what stays did not")


class Loader:
    """A device of RAUC: two files as slots, a boot loader that is a script, a bus, and RAUC's service."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.service = stack, folder, None
        for slot in (0, 1):
            write(f"{folder}/slot{slot}", bytes(2_000_000))
        write(f"{folder}/loader", f'#!/bin/sh\necho "$@" >>{folder}/loader.said\ncase $1 in get-primary) cat {folder}/primary ;; '
              f"set-primary) echo \"$2\" >{folder}/primary ;; get-state) echo good ;; esac\n".encode())
        os.chmod(f"{folder}/loader", 0o755)
        write(f"{folder}/system.conf", f"[system]\ncompatible={MODEL}\nbootloader=custom\nmountprefix={folder}/mount\nstatusfile={folder}/status\n"
              f"[keyring]\npath={folder}/keys/ours.pem\n[handlers]\nbootloader-custom-backend={folder}/loader\n"
              f"[slot.rootfs.0]\ndevice={folder}/slot0\ntype=raw\nbootname=a\n[slot.rootfs.1]\ndevice={folder}/slot1\ntype=raw\nbootname=b\n".encode())
        bus = stack.enter_context(Process("dbus", ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1"], folder))
        self.env = {"DBUS_SESSION_BUS_ADDRESS": bus.said(r"unix:\S+")[0], "DBUS_STARTER_BUS_TYPE": "session"}

    def start(self, slot, counter):
        """The device starts from a slot, in which the firmware with this counter is."""
        write(f"{self.folder}/counter", f"{counter}\n".encode())
        write(f"{self.folder}/primary", f"{slot}\n".encode())
        write(f"{self.folder}/loader.said", b"")
        if self.service:
            self.service.stop()
        command = ["rauc", f"--conf={self.folder}/system.conf", f"--override-boot-slot={slot}", "service"]
        self.service = self.stack.enter_context(Process("rauc", command, self.folder, self.env))
        status = {"env": {**os.environ, **self.env}, "capture_output": True}
        wait_for("service of RAUC", lambda: not subprocess.run(["rauc", "status"], **status).returncode, 15)

    def expect(self, words):
        """Fails unless RAUC has said this to the boot loader since the start."""
        said = read(f"{self.folder}/loader.said").decode().splitlines()
        if words not in said:
            raise Failed(f"RAUC has to say {words!r} to the boot loader, and has said {said}")


add("firmware: a new one is on trial and stays", stays)
add("firmware: a new one that finds no cloud gives way", gives_way)
add("firmware: a new one that does not start gives way", does_not_start)
add("firmware: kill -9 in the middle of upgrades", killed(int(os.environ.get("IVT_FIRMWARE_KILLS", "8"))), 1200)
add("firmware: RAUC installs, keeps and goes back", rauc)
