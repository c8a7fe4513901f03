"""Runs the tests of packaging/: all, or those whose name contains one of the words."""
import sys
import tempfile
import time
import traceback

import buildroot
import openwrt
import yocto

TESTS = [*buildroot.TESTS, *openwrt.TESTS, *yocto.TESTS]


def main(words):
    failed = 0
    for test in TESTS:
        name = test.__name__.replace("_", " ")
        if words and not any(word in name for word in words):
            continue
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                print(f"ok      {name} ({time.monotonic() - begun:.1f} s)")
            except Exception:
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f"FAILED  {name}")
    if failed:
        sys.exit(f"packaging: {failed} of the tests failed")


main(sys.argv[1:])
