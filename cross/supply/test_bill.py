"""Tests of the bill of materials: `cross/supply/test`, which has what they need."""
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

import cyclonedx
import fastjsonschema

import crates
import licences

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAMERA = "armv7-unknown-linux-musleabihf"
SERVER = "x86_64-unknown-linux-musl"
FULL, SMALL, SOUND = (), ("--no-default-features",), ("--features", "g711-aac")
TLS = {"rustls", "ring", "rustls-webpki", "tokio-rustls", "webpki-roots"}


@functools.cache
def agent(*features):
    return crates.linked(ROOT, "ivt-agent", CAMERA, features, ["--locked"], {"fdk-aac-sys": "MIT AND FDK-AAC"})


def names(found):
    return {part.name for part in found.parts.values()}


class Crates(unittest.TestCase):
    def test_full_holds_tls_and_small_does_not(self):
        self.assertLessEqual(TLS, names(agent(*FULL)))
        self.assertFalse(TLS & names(agent(*SMALL)))
        self.assertLessEqual({"tokio", "ivt-media", "ivt-proto"}, names(agent(*SMALL)))

    def test_what_only_tests_use_is_not_in_it(self):
        self.assertFalse({"proptest", "tempfile", "minisign", "mpeg2ts", "ivt-sim", "axum"} & names(agent(*FULL)))

    def test_what_runs_in_the_compiler_is_not_in_it(self):
        self.assertFalse({"serde_derive", "syn", "async-trait", "cc", "tokio-macros"} & names(agent(*FULL)))

    def test_another_systems_crates_are_not_in_it(self):
        foreign = ("windows", "wasi", "web-sys", "core-foundation")
        self.assertFalse([name for name in names(agent(*FULL)) if name.startswith(foreign)])

    def test_every_part_is_needed_by_another_and_known(self):
        found = agent(*FULL)
        needed = set().union(*found.needs.values())
        self.assertEqual(needed | {found.root.ref}, set(found.parts))
        self.assertIn("ring@" + found.parts[next(ref for ref in needed if ref.startswith("ring@"))].version,
                      next(needs for ref, needs in found.needs.items() if ref.startswith("rustls-webpki@")))

    def test_a_registrys_crate_has_the_checksum_of_the_lock(self):
        lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        locked = {f"{package['name']}@{package['version']}": package.get("checksum") for package in lock}
        for ref, part in agent(*FULL).parts.items():
            self.assertEqual(part.sha256, locked[ref])
            self.assertEqual(bool(part.sha256), bool(part.purl), ref)

    def test_a_licence_that_a_manifest_conceals_is_told(self):
        encoder = next(part for part in agent(*SOUND).parts.values() if part.name == "fdk-aac-sys")
        self.assertEqual(encoder.licence, "MIT AND FDK-AAC")
        self.assertIn("Fraunhofer", licences.shipped(encoder)[0])


class Licences(unittest.TestCase):
    # Crates whose manifests name a licence while their authors ship no text. Each one was looked at.
    WITHOUT_TEXT = set()

    def test_every_part_has_its_texts_or_is_told_to_have_none(self):
        parts = agent(*FULL).parts.values()
        text = licences.listing("title", parts)
        for part in parts:
            line = re.search(rf"^{re.escape(part.ref)} +{re.escape(part.licence)}  \[(.*)\]$", text, re.M)
            for number in [] if line[1].startswith("none") else line[1].split(", "):
                owners = re.search(rf"^\[{number}\] (.*)$", text, re.M)[1].split(", ")
                self.assertIn(part.ref, owners)
        none = {line.split("@")[0] for line in text.splitlines() if "[none" in line}
        self.assertEqual(none, self.WITHOUT_TEXT)

    def test_a_text_is_told_once_whatever_its_line_breaks(self):
        with tempfile.TemporaryDirectory() as folder:
            texts = [pathlib.Path(folder) / name for name in ("LICENSE-A", "LICENSE-B")]
            texts[0].write_text("Do what you\nlike.\n")
            texts[1].write_bytes(b"Do what\r\nyou like.")
            parts = [crates.Part(name, "1.0.0", "MIT", (text,)) for name, text in zip("ab", texts)]
            listing = licences.listing("title", parts)
        self.assertEqual(listing.count("Do what"), 1)
        self.assertIn("[1] a@1.0.0, b@1.0.0", listing)


class Bill(unittest.TestCase):
    """The bill of a made-up program, by the toolchain of this machine."""

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.place.cleanup)
        cls.folder = pathlib.Path(cls.place.name) / "cross" / SERVER / "full"
        cls.folder.mkdir(parents=True)
        (cls.folder / "ivt-agent.symbols").write_bytes(b"\0_Unwind_Backtrace\0")
        cls.bill, cls.listing = cls.made(b"program")

    @classmethod
    def made(cls, program):
        (cls.folder / "ivt-agent").write_bytes(program)
        cls.run_bill(SERVER, "full", check=True)
        return (cls.folder / "ivt-agent.cdx.json").read_text(), (cls.folder / "LICENCES.txt").read_text()

    @classmethod
    def run_bill(cls, *arguments, check=False):
        return subprocess.run([ROOT / "cross/supply/bill", *arguments], check=check, text=True, stderr=subprocess.PIPE,
                              env=os.environ | {"CARGO_TARGET_DIR": cls.place.name, "SOURCE_DATE_EPOCH": "1750000000"})

    def test_it_is_what_cyclonedx_describes(self):
        check = schema()
        check(json.loads(self.bill))
        broken = json.loads(self.bill)
        del broken["components"][0]["name"]
        self.assertRaises(fastjsonschema.JsonSchemaException, check, broken)

    def test_it_names_the_program_by_its_checksum(self):
        root = json.loads(self.bill)["metadata"]["component"]
        self.assertEqual((root["name"], root["type"]), ("ivt-agent", "application"))
        self.assertEqual(root["hashes"][0]["content"], hashlib.sha256(b"program").hexdigest())

    def test_the_same_program_has_the_same_bill_and_another_one_another(self):
        again = self.made(b"program")
        self.assertEqual(again, (self.bill, self.listing))
        other = json.loads(self.made(b"another")[0])
        self.assertNotEqual(other["serialNumber"], json.loads(self.bill)["serialNumber"])

    def test_rusts_standard_library_and_the_c_that_is_linked_are_in_it(self):
        bill = json.loads(self.bill)
        found = {component["name"]: component for component in bill["components"]}
        self.assertLessEqual({"rust-std", "hashbrown", "musl", "zig-compiler-rt", "llvm-libunwind"}, set(found))
        self.assertRegex(found["musl"]["purl"], r"^pkg:generic/musl@1\.\d+\.\d+$")
        needs = {d["ref"]: d["dependsOn"] for d in bill["dependencies"]}
        self.assertIn(found["rust-std"]["bom-ref"], needs[bill["metadata"]["component"]["bom-ref"]])
        self.assertIn("Rich Felker", self.listing)

    def test_every_reference_leads_to_a_component(self):
        bill = json.loads(self.bill)
        known = {component["bom-ref"] for component in [bill["metadata"]["component"], *bill["components"]]}
        self.assertEqual({d["ref"] for d in bill["dependencies"]}, known)
        self.assertLessEqual({ref for d in bill["dependencies"] for ref in d["dependsOn"]}, known)

    def test_it_tells_nothing_of_the_machine_that_built_it(self):
        for text in (self.bill, self.listing):
            self.assertNotIn(str(pathlib.Path.home()) + "/", text)
            self.assertNotIn(str(ROOT) + "/", text)

    def test_a_program_that_was_not_built_is_asked_for(self):
        done = self.run_bill(SERVER, "small")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"make cross TARGET={SERVER} PROFILE=small", done.stderr)


def schema():
    """CycloneDX's own, as a function that refuses what is none."""
    folder = pathlib.Path(cyclonedx.__file__).parent / "schema/_res"

    def load(uri):
        name = uri.split("/")[-1].removesuffix(".schema.json").removesuffix(".SNAPSHOT")
        return json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text())

    return fastjsonschema.compile(load("bom-1.6.schema.json"), handlers={"http": load})


if __name__ == "__main__":
    unittest.main()
