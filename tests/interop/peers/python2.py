"""Finds a Python 2, for peers that were never ported."""
import glob
import os
import shutil
import subprocess


def python2():
    """The path of a Python 2.7, or None."""
    found = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/2.7*/bin/python")), reverse=True)
    for candidate in [shutil.which("python2.7"), *found, shutil.which("python2")]:
        if candidate:
            answer = subprocess.run([candidate, "-c", "import sys; print(sys.version_info[0])"],
                                    capture_output=True, text=True)
            if answer.stdout.strip() == "2":
                return candidate
    return None
