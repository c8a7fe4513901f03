"""The life of both packages in a booted Debian: installed, started, used, upgraded, removed, purged."""
import contextlib
import gzip
import os
import re
import shutil
import subprocess

import journey
import room
from inside import PATIENCE, Failed, expect, expect_match, wait_for

AGENT_UNIT = "ivt-agent.service"
# Files of the packages within the root.
FOLDER = "/root/packages"
OLDER = "0.0.1"
# A line of the older package's configuration, so that the newer one brings another.
LINE = "# An older package said so.\n"


def steps(debian, packages, work, emulated):
    """The steps, each with its name. `packages` are the files under test by package, `work` a folder for older ones; `emulated` says
    whether the processor is."""
    os.makedirs(debian.path(FOLDER))
    older = {name: aged(file, work, reworded=False) for name, file in packages.items()}
    reworded = {name: aged(file, work, reworded=True) for name, file in packages.items()}
    put = {}
    for kind, files in {"old": older, "reworded": reworded, "new": packages}.items():
        put[kind] = [f"{FOLDER}/{kind}-{name}.deb" for name in files]
        for file, target in zip(files.values(), put[kind]):
            shutil.copy(file, debian.path(target))
    before = {}

    def installs():
        debian.booted()
        before["files"], before["accounts"] = debian.files(), debian.accounts()
        debian.install(*put["old"])
        expect("the user", debian.do("getent", "passwd", "ivt").split(":")[5:], ["/var/lib/ivt", "/usr/sbin/nologin"])
        expect("its password", debian.do("passwd", "-S", "ivt").split()[1], "L")
        for path, mode in {"/etc/ivt": "root:ivt 2770", "/etc/ivt/agent.toml": "root:ivt 640", "/var/lib/ivt": "ivt:ivt 700"}.items():
            expect(path, debian.mode(path), mode)
        for name in ("ivt-agent", "ivt-lab"):
            expect(f"dpkg --verify {name}", debian.do("dpkg", "--verify", name), "")

    def starts_nothing():
        units = all_units(debian)
        for unit in units:
            expect(f"{unit} after the installation", debian.state(unit), ("disabled", "inactive"))
        debian.do("systemd-analyze", "verify", *(f"/usr/lib/systemd/system/{unit}" for unit in units))

    def has_true_manuals():
        """Each program has a manual page, whose options are options of the program; the agent's page has them all."""
        for program in programs(debian):
            told = options_of(debian.ask(program, "--help")[1])
            written = options_of(gzip.decompress(debian.bytes(f"/usr/share/man/man1/{program}.1.gz")).decode().replace("\\-", "-"))
            expect(f"options of {program}(1) that it does not know", sorted(written - told - {"--now"}), [])
            if program == "ivt-agent":
                expect("options that ivt-agent(1) does not tell", sorted(told - written), [])

    def says_what_is_missing():
        debian.ask("systemctl", "start", AGENT_UNIT)
        wait_for("end of an agent without a configuration",
                 lambda: debian.do("systemctl", "show", "-P", "ExecMainStatus", AGENT_UNIT) == "2", 60)
        expect_match("its log", r"/etc/ivt/agent\.toml:\d+: cloud\.url is missing", debian.journal(AGENT_UNIT))
        debian.do("systemctl", "reset-failed", AGENT_UNIT)

    def begins_with_the_page():
        """One word switches the page on; nothing else has to be written before."""
        debian.do("ivt-agent", "--config", "/etc/ivt/agent.toml", "--set", "web.enable=true")
        expect("the configuration", debian.mode("/etc/ivt/agent.toml"), "root:ivt 640")
        debian.do("systemctl", "start", AGENT_UNIT)
        page = f"http://{room.ADDRESS}:8080/"
        wait_for(f"page at {page}", lambda: journey.answers(page), PATIENCE)
        debian.do("systemctl", "stop", AGENT_UNIT)

    def is_configured():
        debian.write("/etc/ivt/agent.toml", journey.CONFIGURATION)
        debian.do("ivt-agent", "--config", "/etc/ivt/agent.toml", "--check-config")
        before["cloud"] = journey.start_simulators(debian)
        debian.do("systemctl", "enable", "--now", AGENT_UNIT)
        expect("the service", debian.state(AGENT_UNIT), ("enabled", "active"))

    def reloads():
        first = debian.process(AGENT_UNIT)
        debian.do("ivt-agent", "--config", "/etc/ivt/agent.toml", "--set", "log.level=trace")
        told = debian.journal(AGENT_UNIT).count("log.level")
        debian.do("systemctl", "reload", AGENT_UNIT)
        wait_for("reload", lambda: debian.journal(AGENT_UNIT).count("log.level") > told, 60)
        expect("the process", debian.process(AGENT_UNIT), first)

    def upgrades():
        """A changed configuration stays, nobody is asked, and what ran is started anew."""
        cloud, first, kept = before["cloud"], debian.process(AGENT_UNIT), debian.read("/etc/ivt/agent.toml")
        debian.do("chmod", "600", "/etc/ivt/agent.toml")
        debian.do("chown", "ivt:root", "/etc/ivt/agent.toml")
        said = debian.install(*put["new"])
        expect("the configuration after the upgrade", debian.read("/etc/ivt/agent.toml"), kept)
        expect("its mode", debian.mode("/etc/ivt/agent.toml"), "ivt:root 600")
        if "onfiguration file" in said:
            raise Failed(f"the upgrade asks for a configuration that the packages did not change: {said[-600:]}")
        expect("the service", debian.state(AGENT_UNIT), ("enabled", "active"))
        if debian.process(AGENT_UNIT) == first:
            raise Failed("the agent of the older package still runs")
        wait_for("login after the upgrade", cloud.device, 60)

    def leaves_stopped_what_was():
        debian.do("systemctl", "stop", AGENT_UNIT)
        debian.install(*put["new"], options=("--reinstall",))
        expect("a stopped service after an upgrade", debian.state(AGENT_UNIT), ("enabled", "inactive"))
        debian.do("systemctl", "start", AGENT_UNIT)

    def keeps_ones_own_settings():
        """Where both the person and the package have changed the configuration, the person's counts, and the other lies beside it."""
        kept = debian.read("/etc/ivt/agent.toml")
        debian.install(*put["reworded"], options=("--allow-downgrades", "-o", "DPkg::Options::=--force-confold"))
        expect("the configuration", debian.read("/etc/ivt/agent.toml"), kept)
        expect_match("what the package brought", re.escape(LINE), debian.read("/etc/ivt/agent.toml.dpkg-dist"))
        debian.install(*put["new"], options=("-o", "DPkg::Options::=--force-confold"))

    def removes():
        """The program goes; configuration, state and what was enabled stay for its return."""
        debian.do("apt-get", "-qy", "remove", "ivt-agent", "ivt-lab")
        expect("the agent's processes", owned_by(debian.do("id", "-u", "ivt")), [])
        for path in ("/usr/bin/ivt-agent", "/usr/bin/ivc-sim", f"/usr/lib/systemd/system/{AGENT_UNIT}"):
            if os.path.exists(debian.path(path)):
                raise Failed(f"{path} is still there")
        expect("the configuration", debian.mode("/etc/ivt/agent.toml"), "ivt:root 600")
        expect("the state", debian.mode("/var/lib/ivt"), "ivt:ivt 700")
        debian.install(*put["new"])
        expect("the service that came back", debian.state(AGENT_UNIT)[0], "enabled")

    def purges():
        """Nothing is left but the user, as Debian has it: its number must not become somebody else's while files may be its."""
        debian.do("apt-get", "-qy", "purge", "ivt-agent", "ivt-lab")
        expect("what is left", sorted(debian.files() ^ before["files"]), [])
        expect("who is left", sorted(debian.accounts() ^ before["accounts"]), ["group ivt", "passwd ivt"])
        for unit in (AGENT_UNIT, "ivc-sim.service"):
            expect(f"systemd on {unit}", debian.do("systemctl", "show", "-P", "LoadState", unit), "not-found")

    return {
        "installs": installs,
        "starts nothing that was not configured": starts_nothing,
        "has true manual pages": has_true_manuals,
        "says what is missing": says_what_is_missing,
        "begins with the page alone": begins_with_the_page,
        "runs the lab as a service": lambda: journey.runs_the_lab(debian),
        "is configured and started": is_configured,
        "logs in": lambda: journey.logs_in(debian, before["cloud"]),
        "has no rights": lambda: journey.confined(debian, emulated),
        "publishes": lambda: journey.live(before["cloud"]),
        "records": lambda: journey.records(before["cloud"]),
        "moves the camera": lambda: journey.moves(before["cloud"]),
        "serves its page": lambda: journey.page(debian),
        "takes over a change": reloads,
        "is upgraded": upgrades,
        "stays stopped where it was": leaves_stopped_what_was,
        "keeps one's own settings": keeps_ones_own_settings,
        "is removed and comes back": removes,
        "is purged": purges,
    }


def refuses_older_processors(debian, package):
    """The package for armhf says on an ARMv6 what to do, by the script of the package."""
    debian.do("mkdir", "-p", "/root/older")
    subprocess.run(["dpkg-deb", "--control", package, debian.path("/root/older/control")], check=True)
    with open(debian.path("/root/older/uname"), "w", opener=lambda path, flags: os.open(path, flags, 0o755)) as uname:
        uname.write("#!/bin/sh\necho armv6l\n")
    status, said = debian.ask("env", "PATH=/root/older:/usr/bin", "/root/older/control/preinst", "install")
    expect("the exit status on an ARMv6", status, 1)
    expect_match("what it says", "older than ARMv7", said)
    expect("the exit status on this processor", debian.ask("/root/older/control/preinst", "install"), (0, ""))


def without_systemd(debian, packages):
    """Packages go in and out where systemd does not run, as in an image that is being made."""
    os.makedirs(debian.path(FOLDER))
    files = [shutil.copy(file, debian.path(f"{FOLDER}/{name}.deb")) for name, file in packages.items()]
    before, accounts = debian.files(), debian.accounts()
    debian.install(*(f"{FOLDER}/{os.path.basename(file)}" for file in files))
    expect("/etc/ivt/agent.toml", debian.mode("/etc/ivt/agent.toml"), "root:ivt 640")
    expect("units that are enabled", debian.ask("find", "/etc/systemd/system", "-name", "iv*"), (0, ""))
    debian.do("apt-get", "-qy", "purge", *packages)
    expect("what is left", sorted(debian.files() ^ before), [])
    expect("who is left", sorted(debian.accounts() ^ accounts), ["group ivt", "passwd ivt"])


def programs(debian):
    """The programs of both packages."""
    said = debian.do("dpkg", "-L", "ivt-agent", "ivt-lab")
    return sorted(os.path.basename(path) for path in said.splitlines() if path.startswith("/usr/bin/"))


def options_of(text):
    return set(re.findall(r"--[a-z][a-z-]*", text))


def all_units(debian):
    """The units of both packages."""
    said = debian.do("dpkg", "-L", "ivt-agent", "ivt-lab")
    return sorted({os.path.basename(path) for path in said.splitlines() if path.endswith(".service")})


def owned_by(user):
    """The processes of a user, by number."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{number}/status") as status:
            if re.search(rf"^Uid:\s+{user}\b", status.read(), re.M):
                found.append(number)
    return found


def aged(file, work, reworded):
    """The same package with a lower version; `reworded` with another configuration as well."""
    name = os.path.basename(file)
    folder, target = os.path.join(work, "unpacked"), os.path.join(work, f"{'reworded' if reworded else 'old'}-{name}")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["dpkg-deb", "--raw-extract", file, folder], check=True)
    with open(f"{folder}/DEBIAN/control") as control:
        text = re.sub(r"(?m)^Version: .*$", f"Version: {OLDER}", control.read())
    with open(f"{folder}/DEBIAN/control", "w") as control:
        control.write(text)
    settings = f"{folder}/etc/ivt/agent.toml"
    if reworded and os.path.exists(settings):
        with open(settings, "a") as out:
            out.write(LINE)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", folder, target], check=True, stdout=subprocess.DEVNULL)
    return target
