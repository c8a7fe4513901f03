"""Buildroot: Config.in by kconfiglib; the .mk by GNU make, with a few lines in the place of Buildroot's infrastructure; the init script
by BusyBox."""
import os
import pathlib
import shutil
import time

import kconfiglib

from common import AGENT, PACKAGING, PRODUCTS, ROOT, features, good, modes, run, shellcheck, version

TREE = PACKAGING / "buildroot"
PACKAGE = TREE / "package/ivt-agent"
# What of Buildroot the package's .mk uses. `cargo-package` prints what it was told, and gives the hooks a target.
MOCK = r"""
qstrip = $(strip $(subst ",,$(1)))
INSTALL = install
SED = sed -i -e
TARGET_DIR = $(OUT)
define show
VERSION=$(IVT_AGENT_VERSION) SOURCE=$(IVT_AGENT_SOURCE) SITE=$(IVT_AGENT_SITE) SUBDIR=$(IVT_AGENT_SUBDIR)
BUILD=$(IVT_AGENT_CARGO_BUILD_OPTS)
INSTALL=$(IVT_AGENT_CARGO_INSTALL_OPTS)
USERS=$(IVT_AGENT_USERS)
PERMISSIONS=$(IVT_AGENT_PERMISSIONS)
endef
define mocked
$(info $(show))
$(SOURCES)/.stamp: ; $$(foreach hook,$(IVT_AGENT_POST_INSTALL_TARGET_HOOKS),$$($$(hook)))
	$$(IVT_AGENT_INSTALL_INIT_SYSV)
	$$(IVT_AGENT_INSTALL_INIT_SYSTEMD)
endef
cargo-package = $(mocked)
include $(BR2_EXTERNAL_IVT_PATH)/external.mk
.PHONY: $(SOURCES)/.stamp
"""


def buildroot_external_tree_is_named(folder):
    described = dict(line.split(": ", 1) for line in (TREE / "external.desc").read_text().splitlines())
    assert described["name"] == "IVT" and described["desc"]


def kconfig(folder, rust="y"):
    top = pathlib.Path(folder) / "Config.in"
    top.write_text(
        f'config BR2_PACKAGE_HOST_RUSTC_TARGET_ARCH_SUPPORTS\n\tbool\n\tdefault {rust}\n\n'
        "config BR2_PACKAGE_HOST_RUSTC\n\tbool\n\n"
        f'source "{TREE}/Config.in"\n'
    )
    os.environ["BR2_EXTERNAL_IVT_PATH"] = str(TREE)
    read = kconfiglib.Kconfig(str(top), warn_to_stderr=False)
    assert not read.warnings, read.warnings
    return read


def buildroot_config_offers_sizes_and_products(folder):
    read = kconfig(folder)
    agent = read.syms["BR2_PACKAGE_IVT_AGENT"]
    agent.set_value("y")
    assert read.syms["BR2_PACKAGE_HOST_RUSTC"].str_value == "y"
    assert read.syms["BR2_PACKAGE_IVT_AGENT_FULL"].str_value == "y"
    assert read.syms["BR2_PACKAGE_IVT_AGENT_PRODUCT"].str_value in PRODUCTS
    read.syms["BR2_PACKAGE_IVT_AGENT_SMALL"].set_value("y")
    assert read.syms["BR2_PACKAGE_IVT_AGENT_FULL"].str_value == "n"
    assert read.syms["BR2_PACKAGE_IVT_AGENT_PRODUCT"].str_value == ""
    absent = kconfig(folder, rust="n")
    absent.syms["BR2_PACKAGE_IVT_AGENT"].set_value("y")
    assert absent.syms["BR2_PACKAGE_IVT_AGENT"].str_value == "n", "an architecture without Rust"


def make(folder, **config):
    file = pathlib.Path(folder) / "Makefile"
    file.write_text(MOCK)
    settings = [f'{name}="{value}"' if name != "y" else f"{value}=y" for name, value in config.items()]
    out = pathlib.Path(folder) / "target"
    said = run("make", "-s", "-f", file, f"OUT={out}", f"BR2_EXTERNAL_IVT_PATH={TREE}", f"SOURCES={ROOT}", *settings, f"{ROOT}/.stamp", cwd=folder)
    return said, out


def buildroot_package_builds_the_profiles_of_cross_build(folder):
    for profile in ("full", "small"):
        said, _ = make(folder, y=f"BR2_PACKAGE_IVT_AGENT_{profile.upper()}")
        arguments = next(line for line in said.splitlines() if line.startswith("BUILD="))
        assert arguments.split()[2:] == features(profile), (arguments, features(profile))
        assert f"VERSION={version()} SOURCE=ivt-agent-{version()}.tar.gz" in said and "SUBDIR=agent" in said, said
        assert f"SITE=file://{TREE}/../../target/packaging" in said, said
    said, _ = make(folder, BR2_PACKAGE_IVT_AGENT_SITE="https://mirror.example/ivt")
    assert "SITE=https://mirror.example/ivt" in said, said


def buildroot_package_installs_each_product(folder):
    for product in PRODUCTS:
        data = f"{folder}/{product}-data"
        said, out = make(folder, BR2_PACKAGE_IVT_AGENT_PRODUCT=product, BR2_PACKAGE_IVT_AGENT_DATA=data)
        found = modes(out)
        assert {name: mode for name, mode in found.items() if name.startswith("etc/ivt/")} == {
            "etc/ivt/agent.toml": "0o640", "etc/ivt/base.toml": "0o640", f"etc/ivt/products/{product}.toml": "0o640",
        }, found
        assert found["etc/init.d/S95ivt-agent"] == "0o755" and "usr/lib/systemd/system/ivt-agent.service" in found
        assert f"DATA={data}\n" in (out / "etc/default/ivt-agent").read_text()
        for name in found:
            assert not name.startswith("etc/ivt/") or f"/{name} f 640 0 820" in said, (name, said)
        checked = good(out / "etc/ivt/agent.toml")
        assert f"products/{product}.toml:" in checked and '"/data/ivt' not in checked.replace('reset_file = "/data/ivt/reset"', ""), checked
        shutil.rmtree(out)
    _, out = make(folder)
    assert not (out / "etc/ivt").exists(), "an image with a configuration of its own"


def buildroot_init_script_runs_on_busybox(folder):
    script = PACKAGING / "init/ivt-agent.init"
    shellcheck(script)
    config = pathlib.Path(folder) / "etc/agent.toml"
    config.parent.mkdir()
    base = config.with_name("base.toml")
    base.write_text("[cloud]\nurl = 'ws://127.0.0.1:9/ivc'\nlogin_code = 'c'\nlogin_passwd = 'Bx-1-test'\n[[channel]]\nbackend = 'emulator'\n")
    config.write_text("base = 'base.toml'\n")
    for file in (base, config):
        file.chmod(0o600)
    pidfile = pathlib.Path(folder) / "pid"
    env = os.environ | {"AGENT": str(AGENT), "CONFIG": str(config), "PIDFILE": str(pidfile), "LOG": f"tee {folder}/log",
                        "RUNAS": "root", "STATE_DIRECTORY": f"{folder}/state"}
    # The script starts itself, by the shell that its first line names.
    copy = pathlib.Path(folder) / "S95ivt-agent"
    busybox = shutil.which("busybox")
    copy.write_text(script.read_text().replace("#!/bin/sh\n", f"#!{busybox} sh\n", 1))
    copy.chmod(0o755)
    say = lambda action, **options: run(copy, action, env=env, **options)
    say("status", fails=True)
    say("start")
    try:
        wait(lambda: pidfile.exists() and children(int(pidfile.read_text() or 0)))
        say("status")
        agents = children(int(pidfile.read_text()))
        assert "already" in say("start")
        say("reload")
        assert children(int(pidfile.read_text())) == agents, "a reload keeps the agent"
    finally:
        say("stop")
    say("status", fails=True)
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in agents)
    base.write_text(base.read_text() + "[publihs]\n")
    assert "base.toml:7" in say("start", fails=True)


def children(parent):
    """The agents that a process has started."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
            if int(rest.split()[1]) == parent and (path.parent / "exe").resolve() == AGENT.resolve():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait(seen):
    end = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < end, "it did not come within 20 s"
        time.sleep(0.05)


TESTS = [
    buildroot_external_tree_is_named, buildroot_config_offers_sizes_and_products, buildroot_package_builds_the_profiles_of_cross_build,
    buildroot_package_installs_each_product, buildroot_init_script_runs_on_busybox,
]
