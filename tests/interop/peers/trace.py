"""Reads the system calls of a program from the output of strace."""
import collections
import re

# With `-y`, strace names the file of each descriptor.
COMMAND = ["strace", "-f", "-ttt", "-y", "-s", "0", "-o"]
CALL = re.compile(r"(?P<thread>\d+) +(?P<time>\d+\.\d+) (?P<name>[a-z_]\w*)\((?P<rest>.*)")
# What strace writes of a call in whose middle another thread makes one, and of its end.
UNFINISHED = " <unfinished ...>"
RESUMED = re.compile(r"(?P<thread>\d+) +\d+\.\d+ <\.\.\. \w+ resumed>(?P<rest>.*)")
TARGET = re.compile(r"\d+<(?P<path>/[^>]*)>")
OPENED = re.compile(r'"(?P<path>[^"]*)"')
# Calls that change a file system whatever their arguments are.
CHANGES = re.compile(r"(mkdir|mknod|rename|unlink|link|symlink|chmod|chown|lchown|fchmod|fchown|utime|utimensat|futimesat|futimens|"
                     r"setxattr|removexattr|truncate|ftruncate|fallocate|fsync|fdatasync|sync|syncfs|sync_file_range|rmdir|"
                     r"copy_file_range|sendfile|mount|umount)(at|at2|2|s|64)?$")
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "splice")
OPENS = ("open", "openat", "openat2", "creat")
FOR_WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")
# Calls in which a thread may sleep.
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "futex", "poll", "ppoll", "select", "pselect6", "nanosleep", "clock_nanosleep")
# Folders whose files are no storage.
NO_STORAGE = ("/dev/", "/proc/")

Call = collections.namedtuple("Call", "time name rest")


def calls(path):
    """Each system call once, whole as far as it ended, in the order in which they began."""
    seen, begun = [], {}
    with open(path, encoding="utf-8", errors="replace") as trace:
        for line in trace:
            if found := CALL.match(line):
                rest = found["rest"].removesuffix(UNFINISHED)
                begun[found["thread"]] = len(seen)
                seen.append(Call(float(found["time"]), found["name"], rest))
            elif found := RESUMED.match(line):
                at = begun[found["thread"]]
                seen[at] = seen[at]._replace(rest=seen[at].rest + found["rest"])
            elif "+++" not in line and "---" not in line:
                raise ValueError(f"strace wrote {line!r}")
    return seen


def writes_to_storage(call):
    """Whether the call changes a file or a folder, or tries to."""
    if CHANGES.match(call.name):
        return True
    if call.name in OPENS:
        return call.name == "creat" or bool(FOR_WRITING.search(call.rest)) and not opened(call).startswith(NO_STORAGE)
    target = TARGET.match(call.rest) if call.name in WRITES else None
    return bool(target) and not target["path"].startswith(NO_STORAGE)


def opened(call):
    """The path that an open call names."""
    return OPENED.search(call.rest)["path"]


def waits(call):
    """Whether the call may put its thread to sleep; the thread wakes up once for each."""
    return call.name in WAITS
