"""What Debian wants written of a package: its version, changelog, copyright, manual pages, and the reasons of its overrides."""
import datetime
import email.utils
import gzip
import hashlib
import json
import os
import pathlib
import re
import subprocess
import textwrap
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Longest line of a changelog, in characters.
WIDTH = 76


def date():
    """Seconds since 1970 of what is packed: the commit's, unless SOURCE_DATE_EPOCH says otherwise."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))


def version(when):
    """The version of Cargo.toml for a commit that is tagged with it. Each other commit sorts before the release it leads to, behind
    one that was, and behind older commits."""
    with open(ROOT / "Cargo.toml", "rb") as file:
        number = tomllib.load(file)["workspace"]["package"]["version"]
    if number in (tag.removeprefix("v") for tag in git("tag", "--points-at", "HEAD").split()):
        return number
    moment = datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y%m%d.%H%M%S")
    released = f"v{number}" in git("tag", "--list").split()
    return f"{number}{'+' if released else '~'}git{moment}.{git('rev-parse', '--short=8', 'HEAD')}"


def maintainer():
    """Whom the packages name; IVT_MAINTAINER in the environment says otherwise."""
    return os.environ.get("IVT_MAINTAINER") or "The IVT agent developers <packages@ivt-agent.invalid>"


def put(root, package, programs, version, date):
    """Writes changelog, copyright, bill of materials, manual pages and overrides of a package."""
    folder = root / "usr/share/doc" / package.name
    packed(folder / "changelog.gz", changelog(package.name, version, date))
    packed(folder / "LICENCES.txt.gz", (programs / "LICENCES.txt").read_text())
    bill = (programs / f"{package.name}.cdx.json").read_text()
    packed(folder / f"{package.name}.cdx.json.gz", bill)
    written(folder / "copyright", copyright_of(package.name, json.loads(bill)))
    for page in (package.folder / f"{program}.1" for program in package.programs()):
        if not page.exists():
            raise SystemExit(f"deb: {page} is missing: each program has a manual page")
        day = datetime.datetime.fromtimestamp(date, datetime.UTC).strftime("%Y-%m-%d")
        packed(root / f"usr/share/man/man{page.suffix[1:]}" / f"{page.name}.gz", page.read_text().replace("@DATE@", day))
    overrides = package.folder / "lintian-overrides"
    if overrides.exists():
        written(root / "usr/share/lintian/overrides" / package.name, overrides.read_text())


def changelog(name, version, date):
    """The newest part of CHANGELOG.md as Debian writes it."""
    newest = re.split(r"^## .*$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1]
    lines = [f"{name} ({version}) stable; urgency=medium", ""]
    for entry in re.split(r"^- ", newest, flags=re.M)[1:]:
        said = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(entry.split()))
        lines += textwrap.wrap(said, WIDTH, initial_indent="  * ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, "", f" -- {maintainer()}  {email.utils.formatdate(date)}", ""])


def copyright_of(name, bill):
    """Debian's copyright file: our own part, and by the bill of materials what is linked into the programs."""
    mit = (ROOT / "LICENSE-MIT").read_text()
    ours = re.search(r"Copyright \(c\) (.*)", mit)[1]
    parts = sorted(f"{part['name']} {part['version']}: {part['licenses'][0]['expression']}" for part in bill["components"] if "purl" in part)
    return "\n".join([
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        f"Upstream-Name: {name}",
        "Comment:", *indented(
            "The programs are static. Into them are linked, beside our own code, the parts below, each under its own licence. Their licence "
            f"texts and copyright notices are in /usr/share/doc/{name}/LICENCES.txt.gz, their checksums and sources in "
            f"/usr/share/doc/{name}/{name}.cdx.json.gz (CycloneDX)."),
        " .", *(f"  {part}" for part in parts),
        "", "Files: *", f"Copyright: {ours}", "License: MIT or Apache-2.0",
        "", "License: MIT", *(f" {line}" if line else " ." for line in mit.split("\n\n", 2)[2].strip().splitlines()),
        "", "License: Apache-2.0", " On Debian systems the text of this licence is in /usr/share/common-licenses/Apache-2.0.", ""])


def indented(text):
    return [f" {line}" for line in textwrap.wrap(text, WIDTH)]


def packed(path, text):
    """Writes a file as gzip, without a date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    path.chmod(0o644)


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def md5(path):
    """The checksum that dpkg --verify looks for; it is no protection."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("deb: version and date come from git: pack from a checkout, or give --version and SOURCE_DATE_EPOCH")
    return done.stdout.strip()
