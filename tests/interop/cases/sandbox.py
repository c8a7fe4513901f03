"""The agent's sandbox, seen from outside: who it is, what it may do, and what the kernel refuses it."""
import os
import pwd
import re
import shutil
import signal

from peers import trace
from peers.confined import USER, give, section
from peers.ours import Agent, Cloud, clip, keep_secret, pattern
from peers.paths import CLIPS, built
from peers.process import Failed, wait_for

from . import Skipped, add
from .device import everything

# The sandbox of these cases, as somebody else where root runs them.
WHO = USER if os.geteuid() == 0 else None


def facts(pid):
    """What the kernel tells of a process."""
    with open(f"/proc/{pid}/status") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def shared(folder, *names):
    """A folder beside that of the agent, whose files everybody may read, and which the configuration does not name."""
    outside = folder + "-outside"
    os.makedirs(outside, exist_ok=True)
    os.chmod(outside, 0o755)
    for name in names:
        shutil.copy(os.path.join(CLIPS, "main.flv"), os.path.join(outside, name))
        os.chmod(os.path.join(outside, name), 0o644)
    return outside


def expect_rights(pid, capabilities=0):
    """Fails unless each thread of the process is the user, confined and without another right."""
    if os.geteuid() != 0:
        raise Skipped("only root can become another user")
    user = pwd.getpwnam(USER)
    groups = sorted(set(os.getgrouplist(USER, user.pw_gid)))
    for thread in os.listdir(f"/proc/{pid}/task"):
        seen = facts(f"{pid}/task/{thread}")
        for key, wanted in (("Uid", [user.pw_uid] * 4), ("Gid", [user.pw_gid] * 4), ("Groups", groups), ("NoNewPrivs", [1]),
                            ("Seccomp", [2])):
            found = [int(word) for word in seen[key].split()]
            if (sorted(found) if key == "Groups" else found) != wanted:
                raise Failed(f"{key} of thread {thread} is {found}, expected {wanted}")
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            wanted = capabilities if key in ("CapPrm", "CapEff", "CapBnd") else 0
            if int(seen[key], 16) != wanted:
                raise Failed(f"{key} of thread {thread} is {seen[key]}, expected {wanted:x}")


def everyday(stack, folder):
    """An agent that does everything is nobody with nothing, starts no program, and is refused no call and no file that it asks for."""
    file = os.path.join(folder, "trace")
    program = [*trace.COMMAND, file, built("ivt-agent")]

    def start(cloud, channels, extra):
        # Several threads of each kind, each of which has to be confined.
        extra += section(WHO) + "[runtime]\nworker_threads = 2\n"
        return Agent(stack, folder, cloud, channels, extra=extra, program=program).process
    process = everything(stack, folder, start, spool=os.path.join(folder, "spool"))
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
        (agent,) = children.read().split()
    expect_rights(agent)
    process.stop()
    seen = list(trace.calls(file))
    if (programs := [call for call in seen if call.name in ("execve", "execveat")])[1:]:
        raise Failed(f"the agent should start no program, and calls {programs[1:]}")
    confined = next(at for at, call in enumerate(seen) if call.name == "seccomp" and call.rest.endswith("= 0"))
    for call in seen[confined + 1:]:
        if call.name != "clone3" and re.search(r"= -1 (EPERM|EACCES|ENOSYS|EAFNOSUPPORT) ", call.rest):
            raise Failed(f"the sandbox refuses what the agent asks for: {call.name}({call.rest}")
    if warnings := [line for line in process.output().splitlines() if "sandbox" in line and "WARN" in line]:
        raise Failed(f"the agent complains: {warnings}")


def outside(stack, folder):
    """A link that leads out of the agent's folders leads nowhere, and the other channel goes on."""
    elsewhere = shared(folder, "main.flv")
    stack.callback(shutil.rmtree, elsewhere)
    clips = os.path.join(folder, "clips")
    os.mkdir(clips)
    link = os.path.join(clips, "main.flv")
    shutil.copy(os.path.join(CLIPS, "main.flv"), link)
    file = os.path.join(folder, "trace")
    cloud = Cloud(stack, folder)
    agent = Agent(stack, folder, cloud, [clip(link), pattern()], extra=section(WHO),
                  program=[*trace.COMMAND, file, built("ivt-agent")])
    if "has no Landlock" in agent.process.output():
        raise Skipped("the kernel has no Landlock")
    # Whoever owns the agent can put this there, and read it.
    os.remove(link)
    os.symlink(os.path.join(elsewhere, "main.flv"), link)
    refused = cloud.post("/api/call", {"login_code": "interop-1", "method": "RTMPPublish", "params": {
        "channel": 0, "quality": "hd", "url": cloud.rtmp_url("out"), "stream_id": "out", "max_bitrate": 0}})
    if "resp" in refused:
        raise Failed(f"a file outside of the sandbox is published: {refused}")
    cloud.publish(cloud.rtmp_url("in"), "in", channel=1)
    wait_for("publish of the other channel", lambda: cloud.stream("live/in")["frames"] > 25 or any(
        stream["frames"] > 25 for stream in cloud.get("/api/streams")), 30)
    agent.process.stop()
    opened = [call.rest for call in trace.calls(file) if call.name in trace.OPENS and "main.flv" in call.rest]
    if not any("= -1 EACCES" in rest for rest in opened):
        raise Failed(f"the file should be refused with EACCES: {opened}")


def later(stack, folder):
    """A configuration that needs more than was kept is told so, and the agent goes on by the one of before."""
    cloud = Cloud(stack, folder)
    spool = os.path.join(folder, "spool")
    text = f'[record]\nspool_dir = "{spool}"\n' + section(WHO)
    agent = Agent(stack, folder, cloud, [pattern()], extra=text)
    config = os.path.join(folder, "agent.toml")
    with open(config, encoding="utf-8") as file:
        before = file.read()
    cases = [(before.replace(spool, "/mnt/ivt-other"), "writing /mnt/ivt-other: start the process again"),
             (before + 'command = ["/bin/cat"]\n', "does not allow running programs")]
    for after, word in cases:
        if "writing" in word and "has no Landlock" in agent.process.output():
            continue
        # The channel stands last.
        keep_secret(config, after)
        give(folder)
        agent.process.child.send_signal(signal.SIGHUP)
        agent.process.said(re.escape(word))
    keep_secret(config, before)
    give(folder)
    agent.process.child.send_signal(signal.SIGHUP)
    agent.process.said("nothing changed")
    if not cloud.device():
        raise Failed("the agent is not logged in any more")


def programs(stack, folder):
    """A program of the configuration runs, with the rights of the agent and no others."""
    elsewhere = shared(folder, "main.flv")
    stack.callback(shutil.rmtree, elsewhere)
    seen = os.path.join(folder, "seen")
    # The shell tells who it is and what it can read, and ends: no picture is needed.
    script = f"cat /proc/self/status >{seen}/status; head -c 4 {elsewhere}/main.flv >{seen}/outside 2>{seen}/error; echo done >{seen}/done"
    os.mkdir(seen)
    cloud = Cloud(stack, folder)
    channel = f"{pattern()}\ncommand = ['/bin/sh', '-c', '''{script}''']"
    agent = Agent(stack, folder, cloud, [channel], extra=section(WHO, f'write = ["{seen}"]\n'))
    cloud.post("/api/call", {"login_code": "interop-1", "method": "RTMPPublish", "params": {
        "channel": 0, "quality": "hd", "url": cloud.rtmp_url("s"), "stream_id": "s", "max_bitrate": 0}})
    wait_for("end of the program's work", lambda: os.path.exists(f"{seen}/done"), 30)
    with open(f"{seen}/status") as status:
        told = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    wanted = facts(agent.process.pid)
    for key in ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"):
        if told[key] != wanted[key]:
            raise Failed(f"{key} of the program is {told[key]}, and of the agent {wanted[key]}")
    if "has no Landlock" not in agent.process.output() and os.path.getsize(f"{seen}/outside"):
        raise Failed("the program has read a file outside of the sandbox")


add("sandbox: nobody, no rights, no program, and nothing refused that is needed", everyday)
add("sandbox: a file outside is refused, and the rest goes on", outside)
add("sandbox: a configuration that needs more is told so", later)
add("sandbox: a program of the configuration has no more rights", programs)
