"""Which crates a program is linked of, as cargo resolves them for one target and one set of features.

Asked of `cargo tree`: `cargo metadata`, on which the usual tools for bills of materials rest, joins the features of all rooms
and finds rustls in a build without TLS, and macros, which run in the compiler, in the program.
"""
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib

# Crates of Rust's own that only pass other crates on.
STAND_INS = ("rustc-std-workspace-core", "rustc-std-workspace-alloc", "rustc-std-workspace-std")


@dataclasses.dataclass(frozen=True)
class Part:
    """Something that is linked."""
    name: str
    version: str
    # Licence as an SPDX expression.
    licence: str
    # Files and folders that hold the licence texts.
    texts: tuple[pathlib.Path, ...]
    purl: str | None = None
    cpe: str | None = None
    sha256: str | None = None
    authors: tuple[str, ...] = ()
    repository: str | None = None
    description: str | None = None

    @property
    def ref(self):
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclasses.dataclass(frozen=True)
class Linked:
    """The parts of a program, and which needs which, by `ref`; `root` is the program."""
    root: Part
    parts: dict[str, Part]
    needs: dict[str, set[str]]


def linked(folder, package, target, features=(), cargo=(), clarified=None):
    """What `package` of the workspace in `folder` links; `features` and `cargo` are arguments for cargo."""
    common = ["--manifest-path", str(folder / "Cargo.toml"), *cargo]
    tree = run("tree", *common, *features, "--package", package, "--target", target, "--edges", "normal,no-proc-macro",
               "--prefix", "depth", "--format", " {p}")
    told = run("metadata", *common, "--all-features", "--format-version", "1", "--filter-platform", target)
    known = {(package["name"], package["version"]): package for package in json.loads(told)["packages"]}
    with open(folder / "Cargo.lock", "rb") as file:
        checksums = {(locked["name"], locked["version"]): locked.get("checksum") for locked in tomllib.load(file)["package"]}
    parts, needs, above = {}, {}, []
    for line in tree.splitlines():
        depth, name, version = re.match(r"(\d+) (\S+) v(\S+)", line).groups()
        part = crate(known[name, version], checksums.get((name, version)), clarified or {}, folder)
        parts[part.ref] = part
        needs.setdefault(part.ref, set())
        above[int(depth):] = [part.ref]
        if len(above) > 1:
            needs[above[-2]].add(part.ref)
    return Linked(parts[above[0]], parts, needs)


def crate(package, checksum, clarified, workspace):
    name, version = package["name"], package["version"]
    licence = clarified.get(name) or package["license"] or "NOASSERTION"
    texts, purl = (pathlib.Path(package["manifest_path"]).parent,), f"pkg:cargo/{name}@{version.replace('+', '%2B')}"
    if not package["source"]:
        # A crate of this project, which is in no registry and under the licence of the whole.
        texts, purl = tuple(sorted(workspace.glob("LICENSE*"))), None
    return Part(name, version, licence.replace("/", " OR "), texts, purl, sha256=checksum, authors=tuple(package["authors"]),
                repository=package["repository"], description=package["description"])


def standard_library(source, version, target, features, texts):
    """What Rust's standard library links, from its source: its own crates as one part with the licence `texts`, and others'."""
    with tempfile.TemporaryDirectory() as folder:
        depend_on_std(pathlib.Path(folder), source, features)
        found = linked(pathlib.Path(folder), "program", target)
    own = {ref: part for ref, part in found.parts.items() if not part.purl}
    licences = sorted({part.licence for part in own.values() if part != found.root})
    std = Part("rust-std", version, " AND ".join(f"({licence})" for licence in licences), texts,
               f"pkg:generic/rust-std@{version}", f"cpe:2.3:a:rust-lang:rust:{version}:*:*:*:*:*:*:*",
               authors=("The Rust Project Contributors",), repository="https://github.com/rust-lang/rust",
               description="Rust's standard library")
    parts = {std.ref: std} | {ref: part for ref, part in found.parts.items() if ref not in own}
    needs = {ref: {need for need in found.needs[ref] if need in parts} for ref in parts if ref != std.ref}
    needs[std.ref] = {need for ref in own for need in found.needs[ref] if need in parts}
    return Linked(std, parts, needs)


def depend_on_std(folder, source, features):
    """A program in `folder` that depends on std, whose own workspace would want what the tests of std need."""
    patches = "\n".join(f"{name} = {{ path = '{source / name}' }}" for name in STAND_INS)
    (folder / "lib.rs").touch()
    (folder / "Cargo.toml").write_text(f"""
        package = {{ name = "program", version = "0.0.0", edition = "2024" }}
        lib = {{ path = "lib.rs" }}
        [dependencies]
        std = {{ path = '{source / "std"}', default-features = false, features = {json.dumps(features)} }}
        panic_abort = {{ path = '{source / "panic_abort"}' }}
        [patch.crates-io]
        {patches}
    """)
    (folder / "Cargo.lock").write_bytes((source / "Cargo.lock").read_bytes())


def run(command, *arguments):
    """What cargo says; it asks the registry only for what is not on this machine."""
    program = [os.environ.get("CARGO", "cargo"), command, *arguments]
    # The standard library's crates use unstable features.
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1"}
    for attempt in (["--offline"], []):
        done = subprocess.run(program + attempt, text=True, capture_output=True, env=environment)
        if done.returncode == 0:
            return done.stdout
    raise SystemExit(f"bill: cargo {command} failed; without a network, cargo fetch --locked is needed before:\n{done.stderr}")
