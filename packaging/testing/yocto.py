"""Yocto: the recipe and the layer by BitBake's own parser, with empty files in the place of OpenEmbedded's classes; the recipe by its
linter; do_install by a shell."""
import importlib
import pathlib
import subprocess
import sys
import types

from common import PACKAGING, PRODUCTS, ROOT, features, good, modes, run, shellcheck, version

LAYER = PACKAGING / "yocto"
RECIPE = LAYER / f"recipes-ivt/ivt-agent/ivt-agent_{version()}.bb"
CLASSES = ("base", "cargo", "systemd", "update-rc.d", "useradd")
# What OpenEmbedded's bitbake.conf says of the variables that the recipe uses.
VARIABLES = {
    "PN": "ivt-agent", "BPN": "${PN}", "PV": version(), "BP": "${BPN}-${PV}", "S": str(ROOT), "sysconfdir": "/etc",
    "systemd_system_unitdir": "/usr/lib/systemd/system", "nonarch_libdir": "/usr/lib", "INIT_D_DIR": "/etc/init.d",
}
# Rules of the linter that ask for what only somebody who publishes the recipe has: an address, and names in its lists.
UNHEEDED = ("oelint.vars.homepageping", "oelint.vars.mispell", "oelint.vars.mispell.unknown", "oelint.vars.notneededspace")


def bitbake():
    """BitBake's parser. Its package leaves out the servers that a build asks."""
    for name in ("hashserv", "hashserv.client", "prserv"):
        sys.modules.setdefault(name, types.ModuleType(name))
    return importlib.import_module("bb.parse"), importlib.import_module("bb.data")


def parsed(folder, file, **settings):
    parse, data = bitbake()
    classes = pathlib.Path(folder) / "classes"
    classes.mkdir(exist_ok=True)
    for name in CLASSES:
        (classes / f"{name}.bbclass").write_text("")
    store = data.init()
    for name, value in {"BBPATH": folder, "TOPDIR": folder, "__bbclasstype": "recipe", "FILE": str(file), **VARIABLES, **settings}.items():
        store.setVar(name, value)
    parse.init_parser(store)
    read = parse.handle(str(file), store, 1)
    read = read.get("", read) if isinstance(read, dict) else read
    data.expandKeys(read)
    return read


def yocto_layer_is_read_by_bitbake(folder):
    layer = parsed(folder, LAYER / "conf/layer.conf", LAYERDIR=str(LAYER))
    assert "ivt" in layer.getVar("BBFILE_COLLECTIONS").split()
    recipes = [path for pattern in layer.getVar("BBFILES").split() for path in pathlib.Path("/").glob(pattern.lstrip("/"))]
    assert recipes == [RECIPE], recipes
    assert layer.getVar("LAYERDEPENDS_ivt") == "core" and layer.getVar("LAYERSERIES_COMPAT_ivt")


def yocto_recipe_is_read_by_bitbake(folder):
    recipe = parsed(folder, RECIPE, IVT_ARCHIVES="/archives")
    assert recipe.getVar("SRC_URI") == f"file:///archives/ivt-agent-{version()}.tar.gz"
    assert recipe.getVar("SYSTEMD_SERVICE:ivt-agent") == "ivt-agent.service"
    assert "--gid ivt ivt" in recipe.getVar("USERADD_PARAM:ivt-agent")
    for line in recipe.getVar("LIC_FILES_CHKSUM").split():
        name, md5 = line.removeprefix("file://").split(";md5=")
        assert run("md5sum", ROOT / name).split()[0] == md5, name
    for profile in ("full", "small"):
        flags = parsed(folder, RECIPE, IVT_PROFILE=profile).getVar("CARGO_BUILD_FLAGS").split()
        assert flags == ["--bin", "ivt-agent", *features(profile)], (profile, flags)


def yocto_recipe_pleases_its_linter(folder):
    said = subprocess.run([pathlib.Path(sys.executable).with_name("oelint-adv"), "--quiet", "--hide", "info",
                           *(f"--suppress={rule}" for rule in UNHEEDED), RECIPE], capture_output=True, text=True, timeout=60)
    assert not said.stderr.strip(), said.stderr


def yocto_recipe_installs_each_product(folder):
    for product in PRODUCTS:
        data, image = f"{folder}/{product}-data", pathlib.Path(folder) / product
        recipe = parsed(folder, RECIPE, IVT_PRODUCT=product, IVT_DATA=data, D=str(image))
        script = pathlib.Path(folder) / "install.sh"
        script.write_text("#!/bin/sh\nset -e\n" + recipe.getVar("do_install"))
        # BitBake has put the values of its variables in.
        shellcheck("-e", "SC2157", script)
        # Only BitBake's own root may give files away.
        script.write_text(script.read_text().replace("chown ", "echo chown ", 1))
        assert f"chown -R root:ivt {image}/etc/ivt" in run("sh", script)
        found = modes(image)
        assert found["etc/ivt/agent.toml"] == found[f"etc/ivt/products/{product}.toml"] == "0o640"
        assert found["etc/init.d/ivt-agent"] == "0o755" and "usr/lib/systemd/system/ivt-agent.service" in found
        assert f"products/{product}.toml:" in good(image / "etc/ivt/agent.toml")


TESTS = [
    yocto_layer_is_read_by_bitbake, yocto_recipe_is_read_by_bitbake, yocto_recipe_pleases_its_linter, yocto_recipe_installs_each_product,
]
