"""A Debian root of any processor as a room of its own: own processes, own network that leads nowhere, own mounts.

Foreign programs run by qemu, which the kernel is told of in a user namespace (Linux 6.7): the machine's own binfmt_misc stays as it is.
What is written in the room lands in a folder beside the root, and everything that runs in it ends with it. Needs root.
"""
import contextlib
import ctypes
import os
import signal
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
DIE_WITH_PARENT = 1
# Where the room is on its own cable.
ADDRESS = "192.168.77.2"
# The users that the room knows: all of a 16-bit system, each as itself.
USERS = "0 0 65536\n"
# What programs expect of a system, and Debian's tools of their caller.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


def within(root, work, act, emulator=None, network=False, boots=False):
    """Runs `act(place)` in a room over `root`, and returns its exit status: 0 unless it raises or returns another one.

    `place` is the path of the room's root directory; `work` a folder for what is written, or None to write into `root` itself.
    `emulator` is a line as `/usr/lib/binfmt.d` has it. With `network` the room is in the machine's network. With `boots` the first
    process of the room is the root's own /sbin/init.
    """
    if os.geteuid() != 0:
        raise SystemExit("room: a root can be entered by root only: sudo make test-deb")
    sys.stdout.flush()
    outer = os.fork()
    if outer:
        with passed_on(outer):
            return os.waitstatus_to_exitcode(os.waitpid(outer, 0)[1])

    def enter():
        unshare(NEW_NS)
        run("mount", "--make-rprivate", "/")
        place = laid_over(root, work) if work else root
        furnish(place)
        enter_users()
        unshare(NEW_NS | NEW_PID | NEW_IPC | NEW_UTS | NEW_CGROUP | (0 if network else NEW_NET))
        return first_process(place, act, emulator, network, boots)
    ended(enter)


def command(place, *words):
    """The command that runs `words` in the room."""
    return ["env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), "chroot", place, *words]


def run(*words):
    """Runs a command that must not fail."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stdout.strip()}")


def unshare(flags):
    if LIBC.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")


def laid_over(root, work):
    """Mounts `root` with all changes going to `work`, and returns where."""
    upper, own, place = (os.path.join(work, name) for name in ("changed", "kernel", "root"))
    for folder in (upper, own, place):
        os.makedirs(folder)
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={root},upperdir={upper},workdir={own}", place)
    return place


def furnish(place):
    """Puts the machine's harmless devices into the room: a user namespace makes none."""
    run("mount", "-t", "tmpfs", "-o", "mode=755", "devices", f"{place}/dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        with open(f"{place}/dev/{name}", "wb"):
            pass
        run("mount", "--bind", f"/dev/{name}", f"{place}/dev/{name}")
    for name, target in {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(target, f"{place}/dev/{name}")
    os.mkdir(f"{place}/dev/shm", 0o1777)


def enter_users():
    """Enters a user namespace in which each user is itself. A child that stayed outside says so to the kernel."""
    entered, said = os.pipe(), os.pipe()
    outside = os.fork()
    if outside == 0:
        os.read(entered[0], 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{os.getppid()}/{name}", "w") as users:
                users.write(USERS)
        os.write(said[1], b"1")
        os._exit(0)
    unshare(NEW_USER)
    os.write(entered[1], b"1")
    os.read(said[0], 1)
    os.waitpid(outside, 0)
    for end in entered + said:
        os.close(end)


def first_process(place, act, emulator, network, boots):
    """Makes the process whose end ends all others of the room, and the one that runs `act` beside it; returns the latter's status."""
    status, said = os.pipe()
    first = os.fork()
    if first == 0:
        def begin():
            equip(place, emulator, network)
            worker = os.fork()
            if worker == 0:
                ended(lambda: act(place) or 0, said)
            os.close(said)
            if boots:
                log = os.open(f"{place}/var/log/boot", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                for stream in (1, 2):
                    os.dup2(log, stream)
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                os.chroot(place)
                os.chdir("/")
                os.execve("/sbin/init", ["/sbin/init"], {**ENVIRONMENT, "container": "room"})
            while os.wait()[0] != worker:
                pass
        ended(begin)
    os.close(said)
    # Empty where the process that runs `act` was killed.
    told = os.read(status, 1)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    return told[0] if told else 1


def ended(act, tell=None):
    """Ends this process with what `act` returns, or with 1 where it raises: its caller's code is not for it."""
    status = 1
    try:
        LIBC.prctl(DIE_WITH_PARENT, signal.SIGKILL)
        status = act() or 0
    except BaseException as why:
        print(f"room: {type(why).__name__}: {why}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        if tell:
            os.write(tell, bytes([status]))
        os._exit(status)


def equip(place, emulator, network):
    """Mounts what the programs of the room expect of a kernel."""
    run("mount", "-t", "proc", "proc", f"{place}/proc")
    # Programs of the machine that are run from here look at the processes of the room, too.
    run("mount", "-t", "proc", "proc", "/proc")
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmp", f"{place}/tmp")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "run", f"{place}/run")
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", made(f"{place}/dev/pts"))
    os.symlink("pts/ptmx", f"{place}/dev/ptmx")
    if not network:
        run("mount", "-t", "sysfs", "-o", "ro", "sysfs", f"{place}/sys")
        run("mount", "-t", "cgroup2", "cgroup2", f"{place}/sys/fs/cgroup")
        # A cable that nobody else is at, for what serves its local network only.
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
        run("ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0")
        for name in ("lo", "eth0", "wire"):
            run("ip", "link", "set", name, "up")
    if emulator:
        teach(emulator)


def teach(emulator):
    """Tells the kernel, within this user namespace, by what foreign programs are run."""
    registry = "/proc/sys/fs/binfmt_misc"
    try:
        run("mount", "-t", "binfmt_misc", "binfmt_misc", registry)
        with open(f"{registry}/register", "w") as register:
            register.write(emulator)
    except OSError as why:
        name = emulator.split(":")[1]
        # An older kernel has one registry for all: where a package has filled it, it is as good.
        if not os.path.exists(f"{registry}/{name}"):
            raise OSError(f"the kernel cannot be told of {name} ({why}): take Linux 6.7 or newer, or install qemu-user-static and "
                          "binfmt-support") from None


def made(folder):
    os.makedirs(folder, exist_ok=True)
    return folder


@contextlib.contextmanager
def passed_on(child):
    """Ends the child with its parent."""
    before = {number: signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
