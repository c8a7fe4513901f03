"""What the toolchain of `cross/setup.sh` links into a program beside its crates: Rust's standard library, and zig's C."""
import os
import pathlib
import re
import subprocess

import crates

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Features of the standard library that rustup ships, as far as they bring crates.
RUSTUP_FEATURES = "backtrace,panic-unwind"


def settings(target):
    """Settings of cross/env, and where the target's standard library comes from (`way`)."""
    asked = ["BUILT", "CACHE", "DEBIAN_RUSTC", "GLIBC", "STD_FEATURES"]
    script = """
        . cross/env
        known "$1"
        way "$1" || die "$1 was not built yet: make cross TARGET=$1"
        shift
        for name; do echo "${!name}"; done
    """
    said = subprocess.run(["bash", "-euc", script, "bill", target, *asked], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if said.returncode:
        raise SystemExit(1)
    return dict(zip(["way", *asked], said.stdout.splitlines()))


def standard_library(target, settings):
    usual = os.environ.get("RUSTC", "rustc")
    rustc = settings["DEBIAN_RUSTC"] if settings["way"] == "source" else usual
    source = sysroot(rustc) / "lib/rustlib/src/rust/library"
    if not source.exists():
        raise SystemExit(f"bill: the source of Rust's standard library is not in {source}: cross/setup.sh {target}")
    version = re.search(r"^release: (.*)$", ask(rustc, "-vV"), re.M)[1]
    # Debian's source lacks these texts; rustup's compiler has their general wording.
    wording = sysroot(usual) / "share/doc/rust/licenses"
    texts = [source.parent / "COPYRIGHT", *(wording / f"{name}.txt" for name in ("MIT", "Apache-2.0", "LLVM-exception")),
             *(source / name for name in ("backtrace", "compiler-builtins", "portable-simd", "stdarch"))]
    features = settings["STD_FEATURES"] if settings["way"] == "source" else RUSTUP_FEATURES
    return crates.standard_library(source, version, target, features.split(","), tuple(texts))


def sysroot(rustc):
    return pathlib.Path(ask(rustc, "--print", "sysroot").strip()).resolve()


def c_parts(target, settings, program):
    """What zig links: the C library, its own runtime, and where the program unwinds LLVM's unwinder."""
    zig = pathlib.Path(settings["CACHE"]) / "zig/bin/zig"
    files = zig.resolve().parent
    version, clang = ask(zig, "version").strip(), re.search(r"clang version (\S+)", ask(zig, "cc", "--version"))[1]
    if "-musl" in target:
        musl = files / "lib/libc/musl"
        release = re.search(r'"(.*)"', (musl / "src/internal/version.h").read_text())[1]
        yield crates.Part("musl", release, "MIT", (musl / "COPYRIGHT",), f"pkg:generic/musl@{release}",
                          f"cpe:2.3:a:musl-libc:musl:{release}:*:*:*:*:*:*:*", repository="https://git.musl-libc.org/cgit/musl",
                          authors=("Rich Felker, et al.",), description="The C library, static")
    else:
        yield crates.Part("glibc", "", "LGPL-2.1-or-later", (files / "lib/libc/glibc/LICENSES",),
                          description=f"The device's C library, {settings['GLIBC']} or newer; its start files are linked")
    yield crates.Part("zig-compiler-rt", version, "MIT", (files / "LICENSE",), f"pkg:generic/zig@{version}",
                      authors=("Zig contributors",), repository="https://codeberg.org/ziglang/zig",
                      description="Zig's runtime for C: memcpy and the like")
    if b"\0_Unwind_Backtrace\0" in program.with_suffix(".symbols").read_bytes():
        yield crates.Part("llvm-libunwind", clang, "Apache-2.0 WITH LLVM-exception", (files / "lib/libunwind/LICENSE.TXT",),
                          f"pkg:generic/llvm-libunwind@{clang}", authors=("The LLVM project",),
                          repository="https://github.com/llvm/llvm-project", description="The unwinder, for backtraces")


def ask(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
