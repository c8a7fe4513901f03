"""Who relays: ours, ffmpeg and the floor. Each starts `count` relays and has `pids`, whose cost is measured."""
import os
import subprocess

from peers import ours
from peers.ours import Agent, Cloud
from peers.paths import ROOT, built
from peers.process import Failed, Process

# Path of each build of the agent, unless an environment variable names another program.
BUILDS = {
    "static": ("IVT_BENCH_AGENT", os.path.join(ROOT, "target/cross/x86_64-unknown-linux-musl/full/ivt-agent")),
    "glibc": ("IVT_BENCH_GLIBC", built("ivt-agent", "release")),
}
TOOLS = os.path.join(ROOT, "tests/bench/tools/target/release")


def agent_program(build="static"):
    """The path of a build of the agent."""
    variable, path = BUILDS[build]
    return os.environ.get(variable, path)


class Camera:
    """`camera-sim` with `count` channels that all play `clip`; `row` is how it writes: "unit" or "packet" at a time."""

    def __init__(self, stack, folder, clip, count, row):
        arguments = ["--channels", str(count), "--main", clip] + (["--packet-at-a-time"] if row == "packet" else [])
        first = ours.Camera(stack, folder, *arguments, profile="release").url
        self.urls = [first.replace("/ch0/", f"/ch{channel}/") for channel in range(count)]


class OurAgent:
    """The agent, with a cloud that asks it for every channel."""

    build = "static"

    def __init__(self, stack, folder, camera, server):
        self.cloud = Cloud(stack, folder, "release")
        channels = [f'backend = "rtsp"\nmain = "{url}"' for url in camera.urls]
        agent = Agent(stack, folder, self.cloud, channels, program=[agent_program(self.build)],
                      extra='[log]\nlevel = "warn"\n')
        self.pids = [agent.process.pid]
        for channel in range(len(channels)):
            self.cloud.publish(server.url(f"s{channel}"), f"s{channel}", channel)


class OurGlibcAgent(OurAgent):
    """The build that is linked to the machine's C library."""

    build = "glibc"


class Ffmpeg:
    """`ffmpeg -c copy`, one process per stream, as people do it."""

    def __init__(self, stack, folder, camera, server):
        self.pids = [stack.enter_context(Process(f"ffmpeg-{n}", [
            "ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-c", "copy", "-f", "flv", server.url(f"s{n}"),
        ], folder)).pid for n, url in enumerate(camera.urls)]


class Floor:
    """Only reassembles and re-chunks."""

    def __init__(self, stack, folder, camera, server):
        pairs = [argument for n, url in enumerate(camera.urls) for argument in (url, server.url(f"s{n}"))]
        self.pids = [stack.enter_context(Process("floor", [os.path.join(TOOLS, "floor"), *pairs], folder)).pid]


SUBJECTS = {"static": OurAgent, "glibc": OurGlibcAgent, "ffmpeg": Ffmpeg, "floor": Floor}


def build_tools(builds):
    """Builds the tools, and looks whether everything else is there."""
    folder = os.path.join(ROOT, "tests/bench/tools")
    environment = {**os.environ, "CARGO_TARGET_DIR": "target"}
    subprocess.run(["cargo", "build", "-q", "--release", "--locked"], cwd=folder, env=environment, check=True)
    for build in builds:
        if not os.path.exists(agent_program(build)):
            raise Failed(f"{agent_program(build)}, the {build} build, is missing: `make bench` makes it")
    for name in ("ivc-sim", "camera-sim"):
        if not os.path.exists(built(name, "release")):
            raise Failed(f"no release build of {name}: cargo build --release -p ivt-lab --bins")
