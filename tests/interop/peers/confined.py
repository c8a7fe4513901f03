"""The agent's sandbox, in which every case runs it: as another user, with Landlock and seccomp."""
import os
import pwd

# Says `off` where the agent is to run as it is started.
SWITCH = "IVT_SANDBOX"
USER = "nobody"


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
        user = f'user = "{USER}"\n' if os.geteuid() == 0 else ""
        with open(config, "a", encoding="utf-8") as file:
            file.write(f"\n[sandbox]\nenable = true\n{user}")
    if os.geteuid() == 0:
        give(os.path.dirname(os.path.abspath(config)))


def give(folder):
    """Gives a folder, and all in it, to the agent's user."""
    user = pwd.getpwnam(USER)
    for path, folders, files in os.walk(folder):
        for name in [path, *(os.path.join(path, name) for name in folders + files)]:
            os.chown(name, user.pw_uid, user.pw_gid, follow_symlinks=False)
