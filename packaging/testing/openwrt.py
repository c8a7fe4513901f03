"""OpenWrt: the Makefile by GNU make, with a few lines in the place of the build system; the conversion of UCI to TOML by BusyBox, with
testing/functions.sh in the place of OpenWrt's functions; the configuration by netjsonconfig's reader of UCI."""
import os
import pathlib
import random
import re
import shutil
import tomllib

from netjsonconfig import OpenWrt

from common import AGENT, PACKAGING, ROOT, good, modes, run, shellcheck, version

FOLDER = PACKAGING / "openwrt"
CONVERT = FOLDER / "files/uci-to-toml"
FUNCTIONS = PACKAGING / "testing/functions.sh"
# What of OpenWrt's build system the Makefile uses. `BuildPackage` prints what it was told, and gives the steps a target.
MOCK = {
    "rules.mk": "INSTALL_DIR = install -d -m0755\nINSTALL_BIN = install -m0755\nINSTALL_CONF = install -m0600\n",
    "include/package.mk": "define BuildPackage\n$(info SOURCE=$(PKG_SOURCE) DEPENDS=$(PKG_BUILD_DEPENDS))\n"
                          "$(info $(Package/$(1)))\n$(info CONFFILES=$(Package/$(1)/conffiles))\n$(info COMPILE=$(Build/Compile))\n"
                          ".PHONY: out\nout:\n\t$$(call Package/$(1)/install,$(OUT))\nendef\n",
    "feeds/packages/lang/rust/rust-package.mk": "RUST_ARCH_DEPENDS = @(arm||aarch64)\n"
                                                "define Build/Compile/Cargo\n\tcargo install --path $(PKG_BUILD_DIR)/$(1) --locked $(2)\nendef\n",
}
# Texts that a shell, UCI or TOML could take for something else.
ODD = ["plain", "", " ", "two  words ", "'", "''a'", '"', '"""', "\\", "\\n", "a\\", "$HOME `id` $(id)", "a#b", "# no", "[x]", "a=b", "äöü 摄像头 📷",
       "%s%d", "*", "~", "-n", "1", "0", "00", "007", "1.5", "-3", "true", "on", "line\nline", "tab\there", "\r\n", "a;b&c|d", "!x", "}{", "\\\"'",
       "\\u0001", "\x1b[31mred\x1b[0m", *map(chr, range(1, 32)), "".join(map(chr, range(1, 32))), "\x7f", "\x80\x9f"]


def uci(values):
    """A configuration as `uci export` prints it: sections of (type, name, [(option, value or list)])."""
    quoted = lambda text: "'" + text.replace("'", "'\\''") + "'"
    lines = ["package ivt-agent", ""]
    for kind, name, options in values:
        lines.append(f"config {kind}" + (f" {quoted(name)}" if name else ""))
        for key, value in options:
            lines += [f"\tlist {key} {quoted(item)}" for item in value] if isinstance(value, list) else [f"\toption {key} {quoted(value)}"]
        lines.append("")
    return "\n".join(lines)


def converted(folder, text, shell=("busybox", "ash"), **options):
    config = pathlib.Path(folder) / "ivt-agent"
    config.write_text(text, newline="")
    # Without a PATH nothing can be called that would have a password among its arguments.
    env = {"PATH": "/nonexistent", "UCI_FUNCTIONS": str(FUNCTIONS), "UCI_FOLDER": folder}
    return run(shutil.which(shell[0]), *shell[1:], CONVERT, env=env, **options)


def read(folder, text, **options):
    return tomllib.loads(converted(folder, text, **options))


def openwrt_scripts_please_shellcheck(folder):
    shellcheck("-x", CONVERT, FOLDER / "files/ivt-agent.init", FUNCTIONS)


def openwrt_makefile_installs_the_package(folder):
    for name, text in MOCK.items():
        file = pathlib.Path(folder) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    built = pathlib.Path(folder) / "built/bin/ivt-agent"
    built.parent.mkdir(parents=True)
    built.write_text("")
    out = pathlib.Path(folder) / "root"
    said = run("make", "-s", "-C", FOLDER, f"TOPDIR={folder}", f"INCLUDE_DIR={folder}/include", f"PKG_INSTALL_DIR={built.parents[1]}",
               "PKG_BUILD_DIR=/build", f"OUT={out}", "out")
    assert f"SOURCE=ivt-agent-{version()}.tar.gz DEPENDS=rust/host" in said and "USERID:=ivt=:ivt=" in said, said
    assert re.search(r"COMPILE=\s*cd /build && .*--path /build/agent --locked --offline --bin ivt-agent", said), said
    assert "/etc/config/ivt-agent" in said.split("CONFFILES=")[1].split("COMPILE=")[0]
    assert modes(out) == {
        "usr/bin/ivt-agent": "0o755", "usr/lib/ivt-agent/uci-to-toml": "0o755", "etc/init.d/ivt-agent": "0o755",
        "etc/config/ivt-agent": "0o600",
    }, modes(out)


def openwrt_configuration_is_read_by_netjsonconfig(folder):
    shipped = (FOLDER / "files/ivt-agent.config").read_text()
    # Its reader knows no comments behind blanks, as UCI does.
    text = "package ivt_agent\n\n" + "\n".join(line for line in shipped.splitlines() if not line.strip().startswith("#"))
    sections = {section[".name"]: section for section in OpenWrt(native=text).intermediate_data["ivt_agent"]}
    ours = read(folder, shipped)
    for name in ("device", "web"):
        theirs = {key: value for key, value in sections[name].items() if not key.startswith(".") and key != "type"}
        assert set(theirs) == set(ours[name]), (theirs, ours)
    assert sections["agent"]["enabled"] == "0" and "enabled" not in ours and ours["changes"] == sections["agent"]["changes"]
    assert ours["web"]["enable"] is True and ours["web"]["listen"] == sections["web"]["listen"]


def openwrt_every_text_survives(folder):
    draw = random.Random(15)
    alphabet = "ab '\"\\$`\n\t\r\x01\b\x1f\x7f#=[]{}äß摄📷*?!;&|<>()~%"
    texts = ODD + ["".join(draw.choices(alphabet, k=draw.randint(1, 40))) for _ in range(200)]
    for shell in (("busybox", "ash"), ("dash",)):
        if shutil.which(shell[0]):
            text = uci([("cloud", "cloud", [("login_passwd", text), ("allow_hosts", [text, "x", text])]) if n == 0 else
                        ("channel", "", [("password", text), ("command", [text, text]), ("quality_hd", text)]) for n, text in enumerate(texts)])
            table = read(folder, text, shell=shell)
            assert table["cloud"] == {"login_passwd": texts[0], "allow_hosts": [texts[0], "x", texts[0]]}
            for channel, text in zip(table["channel"], texts[1:], strict=True):
                assert channel == {"password": text, "command": [text, text], "quality": {"hd": text}}, (channel, text)


def openwrt_numbers_switches_and_lists_have_their_kind(folder):
    table = read(folder, uci([
        ("agent", "agent", [("enabled", "1"), ("version", "1"), ("without", "record")]),
        ("tlss", "tlss", [("port", "8000"), ("enable", "on"), ("tls", "no"), ("write", "vca"), ("server", "10")]),
        ("alarm", "alarm", [("bits", ["1", "2", "3"]), ("enable", ["motion"]), ("delay_seconds", "ten")]),
        ("web", "web", [("enable", "disabled"), ("https", "on"), ("metrics", "perhaps")]),
        ("publish", "publish", [("retry_seconds", "08")]),
        ("channel", "", [("backend", ["onvif", "cgi"]), ("abilities_ptz", "cgi")]), ("channel", "", [("backend", "emulator")]),
    ]))
    assert table == {
        "version": 1, "without": ["record"], "tlss": {"port": 8000, "enable": True, "tls": False, "write": ["vca"], "server": "10"},
        "alarm": {"bits": [1, 2, 3], "enable": ["motion"], "delay_seconds": "ten"}, "publish": {"retry_seconds": "08"},
        "web": {"enable": False, "https": "on", "metrics": "perhaps"},
        "channel": [{"backend": ["onvif", "cgi"], "abilities": {"ptz": "cgi"}}, {"backend": "emulator"}],
    }, table


def openwrt_tables_have_every_key_of_base_toml(folder):
    script = CONVERT.read_text()
    tables = {name: set(re.search(rf'^{name}="(.*?)"', script, re.M | re.S)[1].split()) for name in ("NUMBERS", "SWITCHES", "LISTS")}
    known, section = set(), ""
    for line in (ROOT / "configs/base.toml").read_text().splitlines():
        if found := re.fullmatch(r"(?:# )?\[+([a-z.]+)\]+", line):
            section = found[1]
        elif found := re.fullmatch(r"(?:# )?([a-z_0-9]+) = (.+)", line):
            key = f"{section}.{found[1]}" if section else found[1]
            kind = tomllib.loads(f"v = {found[2]}")["v"]
            if found[1] in ("backend", "quality", "abilities") or section in ("channel.quality", "channel.abilities"):
                continue
            known.add(key)
            wanted = {name for name, is_one in (
                ("SWITCHES", isinstance(kind, bool)), ("LISTS", isinstance(kind, list)),
                ("NUMBERS", type(kind) is int or isinstance(kind, list) and kind and type(kind[0]) is int)) if is_one}
            is_in = {name for name, words in tables.items() if key in words}
            assert is_in == wanted, f"{key}: uci-to-toml has it in {is_in or 'no table'}, and base.toml shows {found[2]}"
    stray = {key for words in tables.values() for key in words if key not in known and not key.startswith("sandbox.")}
    assert not stray, f"base.toml does not know {stray}"


def openwrt_what_comes_of_it_is_taken_by_the_agent(folder):
    agent = pathlib.Path(folder) / "agent.toml"
    for text in (
        (FOLDER / "files/ivt-agent.config").read_text(),
        uci([("cloud", "cloud", [("url", "ws://127.0.0.1:9/ivc"), ("login_code", "it's"), ("login_passwd", 'Q"9\\$x y')]),
             ("device", "device", [("model", "nvr")]), ("record", "record", [("spool_dir", "/mnt/sd/ivt"), ("spool_limit", "1073741824")]),
             ("channel", "", [("backend", "rtsp"), ("main", "rtsp://192.0.2.1/a?x=1&y='2'"), ("username", "ä"), ("password", "p'w\"\\")]),
             ("channel", "", [("backend", "cgi"), ("web", "http://192.0.2.2"), ("profile", "hikvision"), ("input", "2"), ("always_on", "main")])]),
    ):
        agent.write_text(converted(folder, text).replace("/etc/ivt/", f"{folder}/"))
        agent.chmod(0o600)
        assert ": good" in good(agent)


def openwrt_what_the_agent_could_not_read_is_refused_by_its_name(folder):
    """The agent would name a line of the file in /var/run, which nobody wrote. `good` shows that what is allowed is taken."""
    camera = ("channel", "", [("backend", "rtsp"), ("main", "rtsp://192.0.2.1/a")])
    cloud = lambda name, *options: ("cloud", name, [("url", "ws://127.0.0.1:9/ivc"), ("login_code", "c"), *options])
    backlog = lambda number: ("record", "record", [("spool_dir", f"{folder}/spool"), ("spool_limit", number)])
    state = ("device", "device", [("state_dir", folder), ("model", "nvr")])
    right = [state, cloud("cloud", ("login_passwd", "\x01\x1b\x7f")), backlog("1099511627776"), camera, camera]
    for shell in (("busybox", "ash"), ("dash",)):
        if not shutil.which(shell[0]):
            continue
        agent = pathlib.Path(folder) / "agent.toml"
        agent.write_text(converted(folder, uci(right), shell=shell))
        agent.chmod(0o600)
        assert ": good" in good(agent)
        agent.write_text(converted(folder, uci([*right[:2], backlog("9" * 18), camera]), shell=shell))
        assert "record.spool_limit must be a whole number" in run(AGENT, "--config", agent, "--check-config", fails=True)
        for sections, named in (
            ([*right, cloud("more", ("login_passwd", "p"))], "the sections 'cloud' and 'more' are both of the type cloud"),
            ([("agent", "agent", [("version", "1")]), ("agent", "", [("version", "1")])], "the sections 'agent' and '' are both of the type agent"),
            ([backlog("9223372036854775808")], "spool_limit of the section record is 9223372036854775808: a number has at most 18 digits"),
            ([("agent", "agent", [("version", "1" * 30)])], "version of the section agent"),
            ([("alarm", "alarm", [("bits", ["1", "9" * 19])])], "bits of the section alarm"),
        ):
            said = converted(folder, uci(sections), shell=shell, fails=True)
            assert said.startswith("uci-to-toml: ivt-agent: ") and named in said and len(said.splitlines()) == 1, said


def openwrt_a_missing_configuration_is_told(folder):
    said = run(shutil.which("busybox"), "ash", CONVERT, "none", env={"PATH": "/nonexistent", "UCI_FUNCTIONS": str(FUNCTIONS), "UCI_FOLDER": folder}, fails=True)
    assert "uci-to-toml: none: UCI has no such configuration" in said, said


def openwrt_init_script_hands_procd_a_file_that_ivt_alone_reads(folder):
    """In a root with nothing but BusyBox, as root in it; the agent and procd's functions are played."""
    if os.getuid():
        print("        left out: it takes root")
        return
    root = pathlib.Path(folder) / "root"
    for name in ("bin", "etc/config", "lib", "usr/bin", "usr/lib/ivt-agent", "var/run", "dev", "etc/init.d"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for name in ("sh", "chown", "chmod", "mkdir", "mv", "rm"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nivt:x:990:991::/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nivt:x:991:\n")
    shutil.copy(FUNCTIONS, root / "lib/functions.sh")
    shutil.copy(CONVERT, root / "usr/lib/ivt-agent/uci-to-toml")
    shutil.copy(FOLDER / "files/ivt-agent.init", root / "etc/init.d/ivt-agent")
    # The agent's arguments may hold no password; the file may be read by nobody else when it looks.
    (root / "usr/bin/ivt-agent").write_text('#!/bin/sh\necho "agent $*"\n')
    (root / "usr/bin/ivt-agent").chmod(0o755)
    play = (". /lib/functions.sh; procd_open_instance() { :; }; procd_close_instance() { :; }; procd_set_param() { echo \"procd $*\"; };"
            " . /etc/init.d/ivt-agent; umask 022; start_service")
    start = lambda **options: run(shutil.which("chroot"), root, "/bin/busybox", "ash", "-euc", play, env={"PATH": "/bin:/usr/bin"}, **options)
    shipped = (FOLDER / "files/ivt-agent.config").read_text()
    (root / "etc/config/ivt-agent").write_text(shipped)
    assert "procd" not in start(), "nothing is started that was not configured"
    secret = "zQ'71 \"x"
    enabled = shipped.replace("enabled '0'", "enabled '1'")
    password = "\toption login_passwd '" + secret.replace("'", "'\\''") + "'\n"
    (root / "etc/config/ivt-agent").write_text(enabled + "\nconfig cloud 'more'\n" + password)
    said = start(fails=True)
    assert "'cloud' and 'more'" in said and "procd" not in said and "zQ" not in said, said
    own = "config cloud 'cloud'\n"
    configured = enabled.replace(own, own + "\toption url 'ws://127.0.0.1:9/ivc'\n\toption login_code 'c'\n" + password)
    (root / "etc/config/ivt-agent").write_text(configured + "\nconfig channel\n\toption backend 'rtsp'\n\toption main 'rtsp://192.0.2.1/a'\n")
    said = start()
    assert "procd command /usr/bin/ivt-agent --config /var/run/ivt-agent/agent.toml" in said and "zQ" not in said, said
    made = root / "var/run/ivt-agent/agent.toml"
    for path, owner, mode in ((made, (0, 991), 0o640), (made.parent, (0, 991), 0o750), (root / "etc/ivt", (0, 991), 0o1770),
                              (root / "etc/ivt/state", (990, 991), 0o700)):
        found = path.stat()
        assert ((found.st_uid, found.st_gid), found.st_mode & 0o7777) == (owner, mode), (path, oct(found.st_mode), found.st_gid)
    assert 'login_passwd = "zQ\'71 \\"x"' in made.read_text()
    assert [path.name for path in made.parent.iterdir()] == ["agent.toml"]
    # The agent that this root has is played; the built one reads what it was given.
    taken = pathlib.Path(folder) / "agent.toml"
    taken.write_text(made.read_text().replace("/etc/ivt/", f"{folder}/"))
    taken.chmod(0o600)
    assert ": good" in good(taken)
    (root / "etc/config/ivt-agent").unlink()
    assert "procd command /usr/bin/ivt-agent --config /etc/ivt/agent.toml" in start(), "without UCI the file is taken"


TESTS = [
    openwrt_scripts_please_shellcheck, openwrt_makefile_installs_the_package, openwrt_configuration_is_read_by_netjsonconfig,
    openwrt_every_text_survives, openwrt_numbers_switches_and_lists_have_their_kind, openwrt_tables_have_every_key_of_base_toml,
    openwrt_what_comes_of_it_is_taken_by_the_agent, openwrt_what_the_agent_could_not_read_is_refused_by_its_name,
    openwrt_a_missing_configuration_is_told, openwrt_init_script_hands_procd_a_file_that_ivt_alone_reads,
]
