"""Debian 12 for a processor, made once by debootstrap and kept in the cache (`cross/env` says where)."""
import os
import shutil
import subprocess

import room

CACHE = os.path.join(os.environ.get("IVT_CROSS_CACHE")
                     or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ivt-cross"), "roots")
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
# How the kernel runs the programs of a processor: a name in /usr/lib/binfmt.d; none where it is the machine's own.
EMULATORS = {"armhf": "qemu-arm", "arm64": "qemu-aarch64", "amd64": None}
# What a Debian has that boots, and what judges packages. debootstrap's smallest root has neither.
SYSTEM, JUDGES = "systemd-sysv dbus man-db", "lintian"
TOOLS = "debootstrap qemu-user-static iproute2 util-linux"


def emulator(architecture):
    """The line for the kernel by which the programs of `architecture` run; None for the machine's own."""
    name = EMULATORS[architecture]
    if not name:
        return None
    with open(f"/usr/lib/binfmt.d/{name}.conf") as line:
        return line.read().strip()


def root(architecture):
    """The folder of the root for `architecture`, which is made where it is missing."""
    folder = os.path.join(CACHE, architecture)
    if os.path.exists(f"{folder}/made"):
        return f"{folder}/root"
    tools()
    print(f"roots: making Debian {SUITE} for {architecture} in {folder} (minutes, once)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    place = f"{folder}/root"
    with open(f"{folder}/log", "w") as log:
        def said(*words):
            if subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
                raise OSError(f"{' '.join(words[:3])} failed; what it said is in {folder}/log")

        said("debootstrap", "--variant=minbase", "--foreign", f"--arch={architecture}", SUITE, place, MIRROR)
        def unpack(inside):
            # In a container debootstrap does without making devices, which no user namespace may; the room has its own.
            said(*room.command(inside, "env", "container=lxc", "/debootstrap/debootstrap", "--second-stage"))
            with open(f"{inside}/etc/apt/sources.list", "w") as sources:
                sources.write(f"deb {MIRROR} {SUITE} main\n")
            said(*room.command(inside, "apt-get", "-q", "update"))
            said(*room.command(inside, "apt-get", "-qy", "install", "--no-install-recommends",
                               *f"{SYSTEM} {JUDGES if EMULATORS[architecture] is None else ''}".split()))
            said(*room.command(inside, "apt-get", "clean"))

        if room.within(place, None, unpack, emulator(architecture), network=True):
            raise SystemExit(f"roots: no root for {architecture}: {folder}/log")
    with open(f"{folder}/made", "w"):
        pass
    return place


def tools():
    """Installs what makes roots, where it is missing."""
    missing = [name for name in TOOLS.split() if not installed(name)]
    if missing:
        print(f"roots: installing {' '.join(missing)}", flush=True)
        room.run("apt-get", "-q", "update")
        room.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-yq", "install", "--no-install-recommends", *missing)


def installed(package):
    said = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package], capture_output=True, text=True)
    return said.stdout == "ii "
