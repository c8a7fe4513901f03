#!/usr/bin/env bash
# Prepares this machine: cross/setup.sh [TARGET|qemu]..., by default all targets. Asks nothing and needs no root; everything
# lands in a cache outside the tree (cross/env), but for the targets rustup can fetch. The second run does nothing.
set -euo pipefail
# shellcheck source=cross/env
. "$(dirname "$0")/env"

REQUIREMENTS=$(cd "$(dirname "$0")" && pwd)/requirements.txt
# Debian keeps one version of a package at a time, so none is pinned here: apt checks the signature, and the
# log names the version.
RUST_PACKAGES="rustc-web rust-web-src"
# Libraries that Debian's compiler needs; a machine that compiles C has the others.
RUST_LIBRARIES='libstd-rust-.*|lib(llvm[0-9]+|z3-[0-9]+|edit2|xml2|icu[0-9]+|bsd0|md0)'
OLDEST_RUST=1.95
# The emulator, the library that sets its clock, and the C libraries of the glibc targets.
QEMU_PACKAGES="qemu-user libfaketime libc6-armhf-cross libc6-arm64-cross"
QEMU_LIBRARIES='lib(capstone|numa|uring|glib2|gnutls|pcre2|p11-kit|idn2|unistring|tasn1-|nettle|hogweed|gmp|ffi).*'

main() {
    [ $# -gt 0 ] || set -- $TARGETS
    local target
    for target in "$@"; do [ "$target" = qemu ] || known "$target"; done
    mkdir -p "$CACHE" || die "cannot create $CACHE: set IVT_CROSS_CACHE to a folder that can be written"
    exec 9>"$CACHE/lock"
    flock 9
    for target in "$@"; do
        case $target in
            qemu) emulator ;;
            *)
                linker
                standard_library "$target"
                ;;
        esac
    done
}

linker() {
    command -v cargo >/dev/null || die "there is no cargo: install a Rust toolchain first (rustup, channel stable)"
    command -v cc >/dev/null || die "there is no C compiler for the build scripts: install gcc"
    ! same "$CACHE/zig/done" "$(cat "$REQUIREMENTS")" || [ ! -x "$ZIG" ] || return 0
    space 700
    say "fetching zig, the linker"
    python3 -c 'import ensurepip, venv' 2>/dev/null || die "python3 has no venv: install python3-venv"
    rm -rf "$CACHE/zig"
    python3 -m venv "$CACHE/zig"
    fetch "$CACHE/zig/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r "$REQUIREMENTS"
    ln -s "$("$CACHE/zig/bin/python" -c 'import ziglang; print(ziglang.__path__[0])')/zig" "$ZIG"
    "$ZIG" version >"$CACHE/zig/version" || die "zig does not run on this machine: $ZIG version"
    cp "$REQUIREMENTS" "$CACHE/zig/done"
    say "zig $(cat "$CACHE/zig/version") is the linker"
}

# Prepares the standard library of a target: rustup's where rustup has it, otherwise Debian's compiler with
# the source from which cargo builds one.
standard_library() {
    if way "$1" >/dev/null; then
        source_of_rustup "$1"
        return
    fi
    if ! ends_in_2038 "$1" && command -v rustup >/dev/null && RUST_BACKTRACE=0 rustup target add "$1" >"$CACHE/rustup.log" 2>&1; then
        say "rustup brought $1"
        source_of_rustup "$1"
        return
    fi
    if [ ! -x "$DEBIAN_RUSTC" ]; then
        say "for $1: taking Debian's rustc and its source"
        unpack rust 2000 "$RUST_LIBRARIES" $RUST_PACKAGES
        compiler
    fi
    touch "$CACHE/source-$1.done"
}

# Fetches the standard library's source, from which the bill of materials is made.
source_of_rustup() {
    [ "$(way "$1")" = rustup ] || return 0
    [ ! -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] || return 0
    fetch rustup -q component add rust-src
}

# Makes Debian's compiler run from the folder where it was unpacked.
compiler() {
    local libraries source
    libraries=$(dirname "$(find "$CACHE/rust/usr/lib" -name 'librustc_driver*.so')")
    source=$(find "$CACHE/rust/usr/src" -maxdepth 1 -name 'rustc-*' | head -1)
    # Cargo looks for the standard library's source below the compiler's own folder.
    mkdir -p "$CACHE/rust/usr/lib/rustlib/src"
    ln -sfn "$source" "$CACHE/rust/usr/lib/rustlib/src/rust"
    wrapper "$DEBIAN_RUSTC.new" "$libraries" "$CACHE/rust/usr/bin/rustc"
    local version
    version=$("$DEBIAN_RUSTC.new" --version | cut -d' ' -f2) || die "Debian's rustc does not run: $DEBIAN_RUSTC.new --version"
    [ "$(printf '%s\n' "$OLDEST_RUST" "$version" | sort -V | head -1)" = "$OLDEST_RUST" ] ||
        die "Debian's rustc is $version, and $OLDEST_RUST is needed: use a newer Debian, or a rustup that has the target"
    mv "$DEBIAN_RUSTC.new" "$DEBIAN_RUSTC"
    say "rustc $version of Debian builds the standard library"
}

# Takes the emulator that is linked to the C library, and not Debian's static one, whose clock cannot be set.
emulator() {
    [ ! -e "$QEMU/done" ] || return 0
    say "fetching qemu"
    unpack qemu 600 "$QEMU_LIBRARIES" $QEMU_PACKAGES
    local name
    for name in qemu-arm qemu-aarch64; do
        wrapper "$QEMU/$name" "$(dirname "$(find "$QEMU/usr/lib" -name 'libcapstone.so*' -print -quit)")" "$QEMU/usr/bin/$name" \
            -U LD_LIBRARY_PATH -U LD_PRELOAD
        "$QEMU/$name" --version >/dev/null || die "Debian's qemu does not run: $QEMU/$name --version"
    done
    find "$QEMU/usr/bin" -type f ! -name qemu-arm ! -name qemu-aarch64 -delete
    touch "$QEMU/done"
}

# wrapper FILE LIBRARIES PROGRAM...: a script that starts a program with libraries from where they were unpacked.
wrapper() {
    local file=$1 libraries=$2
    shift 2
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$*" >"$file"
    chmod +x "$file"
}

# unpack FOLDER MEGABYTES PATTERN PACKAGE...: Debian's packages, and what they need that matches PATTERN, unpacked in the cache.
unpack() {
    local folder=$CACHE/$1 megabytes=$2 pattern=$3 apt package packages file
    shift 3
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        die "this is no Debian, where $* would come from: build on Debian 12 or in a container of it, or with a rustup that has the
    target where that is one of 64 bits or of glibc"
    space "$megabytes"
    rm -rf "$folder" "$CACHE/apt"
    mkdir -p "$folder" "$CACHE/apt/state/lists/partial" "$CACHE/apt/archives/partial"
    # A state of its own: the system's lists stay as they are, and root is not needed.
    apt=(-q -o "Dir::State=$CACHE/apt/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$CACHE/apt"
        -o "APT::Sandbox::User=$(id -un)" -o APT::Update::Error-Mode=any)
    fetch apt-get "${apt[@]}" update
    for package in "$@"; do
        [ -n "$(apt-cache "${apt[@]}" show "$package" 2>/dev/null)" ] || die "this release of Debian has no $package: Debian 12 has it"
    done
    packages=$(apt-cache "${apt[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "$@" | grep -xE "$pattern" | sort -u) || true
    # shellcheck disable=SC2086
    (cd "$CACHE/apt" && fetch apt-get "${apt[@]}" download "$@" $packages)
    for file in "$CACHE"/apt/*.deb; do
        dpkg -x "$file" "$folder" || die "cannot unpack ${file##*/}: is the disk of $CACHE full?"
        say "unpacked ${file##*/}"
    done
    rm -rf "$CACHE/apt"
}

same() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# space MEGABYTES: fails unless the disk has this much room.
space() {
    local free
    free=$(free_megabytes "$CACHE")
    [ "$free" -ge "$1" ] || die "$CACHE has $free MB left, and $1 are needed: make room, or set IVT_CROSS_CACHE to another disk"
}

# fetch COMMAND...: runs a command that needs the network, and says so when it fails.
fetch() {
    "$@" >"$CACHE/fetch.log" 2>&1 && return
    tail -n 5 "$CACHE/fetch.log" >&2
    die "${1##*/} failed; all it said is in $CACHE/fetch.log. Is the network there, and are proxy and
    certificates set? Run it again then: it goes on where it stopped."
}

main "$@"
