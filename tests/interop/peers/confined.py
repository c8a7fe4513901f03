"""The agent's sandbox, in which every case runs it: as another user, with Landlock and seccomp."""
import contextlib
import os
import pwd
import re

# Says `off` where the agent is to run as it is started.
SWITCH = "IVT_SANDBOX"
USER = "nobody"
# Keys that name a program.
PROGRAMS = re.compile(r"^(command|install|commit|rollback|running|restart|reboot_command) *=", re.MULTILINE)


def confine(command):
    """Adds the sandbox to the configuration that a command of the agent names, and gives its folder to the user."""
    if os.environ.get(SWITCH) == "off" or "--config" not in command or not any(os.path.basename(word) == "ivt-agent" for word in command):
        return
    config = command[command.index("--config") + 1]
    # One that is in another root has the sandbox that its case writes.
    if not os.path.isfile(config):
        return
    with open(config, encoding="utf-8") as file:
        text = file.read()
    if "[sandbox]" not in text:
        with open(config, "a", encoding="utf-8") as file:
            # What programs of a case write lies in its folder.
            more = f'write = ["{os.path.dirname(os.path.abspath(config))}"]\n' if PROGRAMS.search(text) else ""
            file.write("\n" + section(USER if os.geteuid() == 0 else None, more))
    if os.geteuid() == 0:
        give(os.path.dirname(os.path.abspath(config)))


def section(user=None, more=""):
    """The section of the configuration."""
    return "[sandbox]\nenable = true\n" + (f'user = "{user}"\n' if user else "") + more


def give(folder):
    """Gives a folder, and all in it, to the agent's user."""
    user = pwd.getpwnam(USER)
    for path, folders, files in os.walk(folder):
        for name in [path, *(os.path.join(path, name) for name in folders + files)]:
            # A disk may be read-only.
            with contextlib.suppress(OSError):
                os.chown(name, user.pw_uid, user.pw_gid, follow_symlinks=False)
