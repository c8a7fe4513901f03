"""Our own programs, driven as QA drives them: the simulated cloud by its JSON API, the agent by its configuration."""
import json
import os
import urllib.error
import urllib.request

from .cameras import PASSWORD, USER
from .paths import CLIPS, built
from .process import Failed, Process, wait_for

LOGIN = "interop-1"
# MAC address of the device of the hosted service.
MAC = "001323A007AD"


class Cloud:
    """`ivc-sim` on free ports."""

    def __init__(self, stack, folder, profile="debug", *arguments):
        self.process = stack.enter_context(Process("ivc-sim", [built("ivc-sim", profile), "--http", "127.0.0.1:0",
                                                               "--rtmp", "127.0.0.1:0", *arguments], folder))
        self.page = self.process.said(r"http://127\.0\.0\.1:\d+")[0]
        self.port = int(self.page.rsplit(":", 1)[1])
        self.device_url = self.page.replace("http", "ws") + "/ivc"

    def get(self, path):
        with urllib.request.urlopen(self.page + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path, body):
        request = urllib.request.Request(self.page + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(f"POST {path}: {error.code} {error.read(300)!r}") from None

    def rtmp_url(self, stream):
        return f"rtmp://127.0.0.1:{self.get('/api/info')['rtmp_port']}/live/{stream}"

    def stream(self, key):
        """The state of the stream with this key; one without frames before its first publish."""
        return next((s for s in self.get("/api/streams") if s["key"] == key), {"frames": 0})

    def device(self):
        """The state of the agent in the cloud; None while it is not logged in."""
        return next((d for d in self.get("/api/devices") if d["login_code"] == LOGIN and d["online"]), None)

    def packets(self):
        """The packets of the agent's connection that the cloud keeps."""
        with urllib.request.urlopen(f"{self.page}/api/packets?login_code={LOGIN}", timeout=30) as answer:
            return [json.loads(line) for line in answer]

    def keepalives(self, since):
        """Times of the agent's keepalives after `since`, in seconds since 1970."""
        return [p["time_ms"] / 1000 for p in self.packets() if p["time_ms"] / 1000 > since and '"Keepalive"' in p["text"]]

    def call(self, method, params):
        """Calls the agent and returns its `resp`; an error of the agent is a failure."""
        answer = self.post("/api/call", {"login_code": LOGIN, "method": method, "params": params})
        if "resp" not in answer:
            raise Failed(f"{method} was refused: {answer}")
        return answer["resp"]

    def publish(self, url, stream_id, channel=0, quality="hd"):
        self.call("RTMPPublish", {"channel": channel, "quality": quality, "url": url, "stream_id": stream_id, "max_bitrate": 0})

    def record(self, session, channel=0, seconds=2, start=0):
        """Orders a recording in segments of `seconds`, at most eight megabytes each; the first frame is dated `start`, or by the
        device."""
        self.call("StartCloudRecord", {
            "session_id": session, "channel": channel, "quality": "hd", "max_bitrate": 0, "seg_duration": seconds,
            "seg_max_size": 8 << 20, "seg_max_count": 3, "prerecord_seconds": 0, "start_ts": start,
            "cbk_url": f"{self.page}/record/{session}"})

    def recording(self, session):
        """The state of a session in the recording service; an empty one before its first request."""
        known = any(r["session"] == session for r in self.get("/api/recordings"))
        return self.get(f"/api/recordings/{session}") if known else {"segments": [], "violations": []}

    def object(self, session, name):
        """The bytes of a segment."""
        with urllib.request.urlopen(f"{self.page}/api/recordings/{session}/{name}", timeout=30) as answer:
            return answer.read()

    def record_faults(self, faults):
        """Replaces the faults of the recording service; {} makes it healthy."""
        self.post("/api/faults", {**self.get("/api/faults"), "record": faults})

    def rtmp_quirks(self, quirks):
        """Replaces the quirks of the RTMP server; {} makes it take everything."""
        self.post("/api/faults", {**self.get("/api/faults"), "rtmp_quirks": quirks})

    def stop(self, stream_id, channel=0):
        self.call("RTMPStopPublish", {"channel": channel, "stream_id": stream_id})


class Camera:
    """`camera-sim` on a free port; `url` is the main stream of its first channel."""

    def __init__(self, stack, folder, *arguments, profile="debug"):
        self.process = stack.enter_context(Process("camera-sim", [built("camera-sim", profile), "--bind", "127.0.0.1:0",
                                                                  *arguments], folder))
        self.url = self.process.said(r"rtsp://\S+/ch0/main")[0]


class Agent:
    """`ivt-agent` logged in to `cloud`. Each channel is the text of one `[[channel]]`, see `clip` and `camera`; `extra` is the
    text of further sections; `program` is the command of another build; `env` is added to the environment. Without `wait` the
    caller waits for the login, by `online`."""

    def __init__(self, stack, folder, cloud, channels, ca_file=None, extra="", profile="debug", program=None, env=None, wait=True):
        config = os.path.join(folder, "agent.toml")
        keep_secret(config, configuration(cloud, channels, ca_file, extra))
        self.process = stack.enter_context(Process("ivt-agent", [*(program or [built("ivt-agent", profile)]), "--config", config],
                                                    folder, env))
        if wait:
            self.online(cloud)

    def online(self, cloud, seconds=15):
        """Waits until the agent has logged in."""
        def probe():
            if self.process.child.poll() is not None:
                raise Failed(f"the agent ended: {self.process.tail()}")
            return cloud.device()
        wait_for("login of the agent", probe, seconds)


def configuration(cloud, channels, ca_file=None, extra=""):
    """The text of an agent's configuration."""
    parts = [f'[cloud]\nurl = "{cloud.device_url}"\nlogin_code = "{LOGIN}"\nlogin_passwd = "interop"\n']
    if ca_file:
        parts.append(f'ca_file = "{ca_file}"\n')
    if len(channels) > 1:
        parts.append('[device]\nmodel = "nvr"\n')
    return "".join([*parts, extra, *(f"[[channel]]\n{channel}\n" for channel in channels)])


def keep_secret(path, text):
    """Writes a file that only its owner may read."""
    with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        out.write(text)


def hosted(folder, port, main, web, model):
    """Writes the configuration of an agent without a cloud that calls a TLSS server on `port`, and returns its path."""
    config = os.path.join(folder, "agent.toml")
    keep_secret(config, f'''[cloud]
url = "ws://127.0.0.1:9/nobody"
login_code = "a"
login_passwd = "b"
[tlss]
enable = true
server = "127.0.0.1"
port = {port}
mac = "{MAC}"
brand = "CAP"
model = "{model}"
[[channel]]
backend = "rtsp"
main = "{main}"
web = "http://{web}"
username = "{USER}"
password = "{PASSWORD}"
''')
    return config


def spooled(folder):
    """Names of the files in a spool that hold a segment."""
    return [name for _, _, names in os.walk(folder) for name in names if name.endswith(".seg")]


def clip(path):
    """A channel that plays `path`; None for the usual clip."""
    return f'{pattern()}\nmain = "{path or os.path.join(CLIPS, "main.flv")}"'


def pattern():
    """A channel that shows the emulator's test pattern."""
    return 'backend = "emulator"'


def camera(url, transport):
    """A channel that pulls an RTSP camera."""
    return f'backend = "rtsp"\nmain = "{url}"\ntransport = "{transport}"\nusername = "{USER}"\npassword = "{PASSWORD}"'
