"""What the tests of all three distributions need."""
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
AGENT = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/ivt-agent"
PRODUCTS = sorted(path.stem for path in (ROOT / "configs/products").glob("*.toml"))


def run(*command, fails=False, **options):
    """The output of a command, which has to succeed, or to fail."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **options)
    assert (done.returncode != 0) == fails, f"{command} ended with {done.returncode}: {done.stdout}"
    return done.stdout


def good(config):
    """The agent takes a configuration; returns what --check-config says."""
    return run(AGENT, "--config", config, "--check-config")


def modes(root):
    """The mode of each file below a folder."""
    return {str(path.relative_to(root)): oct(path.stat().st_mode & 0o7777) for path in pathlib.Path(root).rglob("*") if path.is_file()}


def features(profile):
    """The arguments of cargo for a profile, as cross/build has them."""
    text = (ROOT / "cross/build").read_text()
    found = re.search(rf"^    {profile}\)(.*?);;", text, re.M | re.S)
    return re.search(r"set --(.*)", found[1])[1].split()


def version():
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def shellcheck(*files):
    run("shellcheck", "-s", "sh", *files)
