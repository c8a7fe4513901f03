"""Firmware that Debian's minisign signs and verifies, as docs/firmware.md says, on an agent with two slots."""
import contextlib
import functools
import hashlib
import http.server
import os
import random
import re
import subprocess
import threading
import time

from peers.ours import LOGIN, Agent, Cloud, clip, keep_secret
from peers.paths import ROOT, built
from peers.process import Failed, output, wait_for

from . import add

MODEL, COUNTER = "CAM-200", 242
SIZE = 1_500_000
SCRIPT = os.path.join(ROOT, "configs/boot/pick-slot")


class Image:
    """An image in a folder, with a key pair of minisign."""

    def __init__(self, folder, name="image", content=None):
        self.folder, self.path = folder, os.path.join(folder, name)
        os.makedirs(folder, exist_ok=True)
        with open(self.path, "wb") as file:
            file.write(content or random.Random(name).randbytes(SIZE))
        self.key = self.new_key("firmware")

    def new_key(self, name):
        """Makes a key pair; the public one as the configuration has it."""
        minisign(self.folder, "-G", "-f", "-W", "-p", f"{name}.pub", "-s", f"{name}.key")
        return read(os.path.join(self.folder, f"{name}.pub")).decode().splitlines()[1]

    def comment(self, **changed):
        with open(self.path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        words = {"model": MODEL, "version": "2.4.2", "counter": COUNTER, "size": os.path.getsize(self.path), "sha256": sha256,
                 "expires": time.strftime("%Y-12-31"), **changed}
        return " ".join(f"{key}={value}" for key, value in words.items())

    def sign(self, key="firmware", options=("-H",), comment=None):
        minisign(self.folder, "-S", *options, "-s", f"{key}.key", "-m", self.path, "-t", comment or self.comment())


def minisign(folder, *arguments):
    done = subprocess.run(["minisign", *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Failed(f"minisign {' '.join(arguments)} ended with {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


def change(path, at, by=1):
    """Changes a byte of a file."""
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ by]))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def another_key(image):
    image.new_key("stranger")
    image.sign("stranger")


def changed_byte(image):
    image.sign()
    change(image.path, SIZE // 2)


def changed_end(image):
    image.sign()
    change(image.path, -1)


def cut(image):
    image.sign()
    os.truncate(image.path, SIZE - 1)


def longer(image):
    image.sign()
    with open(image.path, "ab") as file:
        file.write(b"x")


def changed_comment(image):
    image.sign()
    signature = image.path + ".minisig"
    text = read(signature).replace(f"counter={COUNTER}".encode(), b"counter=999")
    with open(signature, "wb") as file:
        file.write(text)


def of_another(image):
    """A good signature, of another image."""
    other = Image(image.folder, "other")
    image.key = other.key
    other.sign()
    os.rename(other.path + ".minisig", image.path + ".minisig")


# How an image is signed, and what the device says to it; None: it is installed.
SIGNED = {
    "as documented": (Image.sign, None),
    "without -H, which Debian's minisign takes for given": (lambda image: image.sign(options=()), None),
    "by another key": (another_key, r"signed by a key that does not stand in firmware\.keys"),
    "by the old kind of signature": (lambda image: image.sign(options=("-l",)), r"old kind: sign it with `minisign -S -H`"),
    "and a byte was changed": (changed_byte, r"its bytes are not those that were signed"),
    "and its last byte was changed": (changed_end, r"its bytes are not those that were signed"),
    "and it was cut": (cut, r"has \d+ bytes, and \d+ were signed"),
    "and it became longer": (longer, r"has \d+ bytes, and \d+ were signed"),
    "and its comment was changed": (changed_comment, r"not those that were signed"),
    "by the signature of another image": (of_another, r"were signed|not those that were signed"),
    "with minisign's own comment": (lambda image: image.sign(comment="timestamp:1764496000 file:image"), r"sign it with `-t"),
    "for another model": (lambda image: image.sign(comment=image.comment(model="CAM-300")), r"made for model .CAM-300., and this is .CAM-200."),
    "until yesterday": (lambda image: image.sign(comment=image.comment(expires="2001-01-01")), r"to be installed until 2001-01-01"),
    "by nobody": (lambda image: None, r"not signed"),
}
# Those that a running agent is given, too: the others differ in the file alone.
SERVED = ["as documented", "by another key", "by the old kind of signature", "and a byte was changed", "by nobody"]


def verify(stack, folder):
    """`ivt-agent firmware verify` about what Debian's minisign has signed."""
    for number, (how, (sign, refusal)) in enumerate(SIGNED.items()):
        image = Image(os.path.join(folder, str(number)))
        sign(image)
        config = os.path.join(image.folder, "agent.toml")
        keep_secret(config, f'[cloud]\nurl = "ws://127.0.0.1:9/"\nlogin_code = "a"\nlogin_passwd = "b"\n[[channel]]\n{clip(None)}\n'
                    f'[firmware]\nmodel = "{MODEL}"\nkeys = ["{image.new_key("older")}", "{image.key}"]\n')
        done = subprocess.run([built("ivt-agent"), "firmware", "verify", image.path, "--config", config], capture_output=True, text=True, timeout=60)
        if done.returncode != (1 if refusal else 0) or not re.search(refusal or "it would be installed", done.stdout):
            raise Failed(f"an image that is signed {how}: {done.returncode} {done.stdout} {done.stderr}")


def foreign(stack, folder):
    """Debian's minisign verifies what the crate has signed that the agent's tests use, and both see the same comment."""
    image = Image(folder)
    comment = image.comment()
    key = output([built("examples/sign"), image.path, comment])
    said = minisign(folder, "-V", "-P", key, "-m", image.path)
    if comment not in said:
        raise Failed(f"minisign said {said!r}")
    output([built("ivt-agent"), "firmware", "verify", image.path, "--key", key])


class Files(http.server.SimpleHTTPRequestHandler):
    """A web server of files as firmware is hosted on, which goes on where a download was cut."""

    def send_head(self):
        self.server.asked.append(self.path)
        path = self.translate_path(self.path)
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not begin or not os.path.isfile(path):
            return super().send_head()
        size, start = os.path.getsize(path), int(begin[1])
        file = open(path, "rb")
        file.seek(start)
        self.send_response(206)
        self.send_header("Content-Length", str(size - start))
        self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        return file

    def copyfile(self, source, outputfile):
        with contextlib.suppress(OSError):
            while chunk := source.read(1 << 15):
                outputfile.write(chunk)
                time.sleep(self.server.pause)

    def log_message(self, *_):
        pass


def serve(stack, folder, pause=0.0, asked=None):
    """The address of a folder. What is asked for is put into `asked`; `pause` is in seconds, and each 32 KiB take it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    server.pause, server.asked, server.daemon_threads = pause, [] if asked is None else asked, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


def upgrade(cloud, url, version="2.4.2"):
    """What the cloud does for an upgrade that it forces."""
    cloud.post("/api/firmware", {"firmware_model": version, "url": url})
    cloud.post("/api/event", {"login_code": LOGIN, "event": "UpgradeFirmware"})


def board(folder):
    """A device with two slots, of which the first runs; its part of the configuration."""
    os.makedirs(os.path.join(folder, "marker"))
    for name, content in (("a", b"what the device was made with"), ("b", b"")):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    if boot(folder) != "a":
        raise Failed("a new device does not start slot a")
    return f'backend = "slots"\nslot_a = "{folder}/a"\nslot_b = "{folder}/b"\nmarker = "{folder}/marker"\nstarted = "{folder}/started"\n'


def boot(folder):
    """The slot that the boot script starts."""
    said = output(["busybox", "sh", SCRIPT, os.path.join(folder, "marker"), os.path.join(folder, "started")])
    return said.splitlines()[-1]


def settings(folder, place, *keys):
    """The sections of the configuration that are about firmware."""
    listed = ", ".join(f'"{key}"' for key in keys)
    return (f'allow_hosts = ["127.0.0.1"]\nhardware_model = "{MODEL}"\n[device]\nstate_dir = "{folder}/state"\n'
            f'[firmware]\n{place}restart = ["touch", "{folder}/restarted"]\nkeys = [{listed}]\n')


def slots(how):
    """A running agent, two slots, and an image that is signed in some way."""
    sign, refusal = SIGNED[how]

    def run(stack, folder):
        image = Image(os.path.join(folder, "hosted"))
        sign(image)
        device = os.path.join(folder, "device")
        place = board(device)
        cloud = Cloud(stack, folder)
        agent = Agent(stack, folder, cloud, [clip(None)], extra=settings(folder, place, image.key))
        upgrade(cloud, serve(stack, image.folder) + "/image")
        if refusal:
            agent.process.said(f"firmware: not installed: .*{refusal}")
            if boot(device) != "a" or os.path.exists(os.path.join(folder, "restarted")):
                raise Failed("it was installed all the same")
            return
        wait_for("restart", lambda: os.path.exists(os.path.join(folder, "restarted")), 30)
        if boot(device) != "b" or read(os.path.join(device, "b")) != read(image.path):
            raise Failed("slot b does not start, or is another image")
        if read(os.path.join(device, "a")) != b"what the device was made with":
            raise Failed("the slot that runs was written")
        # The device has started the image: the agent that is in it finds it on trial.
        agent.process.child.terminate()
        agent.process.ended()
        again = Agent(stack, folder, cloud, [clip(None)], extra=settings(folder, place, image.key))
        again.process.said("on trial")
    return run


def cost(stack, folder):
    """An upgrade of 16 MiB: each byte is written once, and the agent grows by 1 MiB at most."""
    size = 16 << 20
    image = Image(os.path.join(folder, "hosted"), content=random.Random(4).randbytes(size))
    image.sign()
    device = os.path.join(folder, "device")
    place = board(device)
    cloud = Cloud(stack, folder)
    agent = Agent(stack, folder, cloud, [clip(None)], extra=settings(folder, place, image.key))

    def counted(file, key):
        return int(re.search(rf"{key}:\s+(\d+)", read(f"/proc/{agent.process.pid}/{file}").decode())[1])

    write(f"/proc/{agent.process.pid}/clear_refs", b"5")
    resident, written = counted("status", "VmRSS"), counted("io", "wchar")
    upgrade(cloud, serve(stack, image.folder) + "/image")
    wait_for("restart", lambda: os.path.exists(os.path.join(folder, "restarted")), 60)
    grown, more = counted("status", "VmHWM") - resident, counted("io", "wchar") - written
    print(f"  16 MiB: {grown} KiB of memory, {more - size} bytes written beside the image")
    if grown > 1024 or not size <= more < size + (128 << 10):
        raise Failed(f"memory grew by {grown} KiB, and {more} bytes were written for an image of {size}")


def shell(heading):
    """The first shell block of docs/firmware.md behind a heading."""
    text = read(os.path.join(ROOT, "docs/firmware.md")).decode()
    found = re.search(rf"^##+ {re.escape(heading)}$.*?^```sh\n(.*?)^```$", text, re.M | re.S)
    if not found:
        raise Failed(f"docs/firmware.md has no block behind {heading!r}")
    return found[1]


def documented(stack, folder):
    """The commands of docs/firmware.md, word by word: keys, signature, the marker of a new device."""
    with open(os.path.join(folder, "camera-2.4.2.img"), "wb") as file:
        file.write(random.Random(2).randbytes(SIZE))
    # The password that is asked for at a terminal is left out.
    script = shell("Keys").replace("minisign -G", "minisign -G -W") + shell("Sign")
    output(["sh", "-euc", f"cd '{folder}'\n{script}"])
    key = read(os.path.join(folder, "firmware.pub")).decode().splitlines()[1]
    output([built("ivt-agent"), "firmware", "verify", os.path.join(folder, "camera-2.4.2.img"), "--key", key])
    marker = os.path.join(folder, "marker")
    os.mkdir(marker)
    output(["busybox", "sh", "-euc", f"image='{folder}/camera-2.4.2.img'\nmarker='{marker}'\n{shell('A new device')}"])
    before = read(os.path.join(marker, "marker.1"))
    if boot(folder) != "a" or b"a=image 242 " not in before or read(os.path.join(marker, "marker.2")) != before:
        raise Failed(f"the marker of a new device is {before!r}")


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


add("firmware: verify what minisign has signed", verify)
add("firmware: minisign verifies what Rust has signed", foreign)
add("firmware: the recipe of the manual", documented)
for how in SERVED:
    add(f"firmware: an upgrade to an image signed {how}" if SIGNED[how][1] is None else f"firmware: no upgrade to an image signed {how}", slots(how))
add("firmware: an upgrade of 16 MiB", cost)
