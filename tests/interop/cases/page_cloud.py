"""The pages of the cloud, the hosted service and the protocol trace, as a technician uses them."""
import os
import socket
import ssl
import subprocess
import threading

from peers.browser import Browser
from peers.devicepage import Device, Page
from peers.ours import LOGIN, Cloud
from peers.process import Failed, wait_for

from . import add

# Odd, since it must not stand in the page by chance.
PASSWORD = "Kite-8 wolke%Q"
# What each hop came to, in the order of the page.
HOPS = "return Array.from(document.querySelectorAll('.hops li'), ({ dataset: { hop, state } }) => `${hop} ${state}`)"


def closed_port():
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def certificate(folder, name):
    """A new certificate for this machine's own address, which is its own authority: the files of it and of its key."""
    made, key = (os.path.join(folder, f"{name}.{end}") for end in ("pem", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", made],
                   check=True, capture_output=True, timeout=30)
    return made, key


def encrypted(stack, folder, cloud):
    """A front with TLS before a cloud: its address, and the file of its authority."""
    made, key = certificate(folder, "front of the cloud")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                ours = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue
            theirs = socket.create_connection(("127.0.0.1", cloud.port))
            for ends in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"wss://127.0.0.1:{listener.getsockname()[1]}/ivc", made


def fill(page, url, code=LOGIN, password=PASSWORD):
    for name, text in (("url", url), ("login_code", code), ("login_passwd", password)):
        page.enter(name, text)


def tested(page, says):
    """Presses Test, waits for a text, and returns what the hops came to."""
    page.press_button("Test")
    page.says(says)
    page.wait("end of the test", "return !document.querySelector('.hops [data-state=running]')")
    return page.script(HOPS)


def stops_at_the_wrong_input(stack, folder):
    """Each wrong input stops the test at its hop with its message; nothing is saved before; the right one logs in."""
    cloud = Cloud(stack, folder, "debug", "--login", f"{LOGIN}:{PASSWORD}")
    secure, authority = encrypted(stack, folder, cloud)
    device = Device(stack, folder)
    device.expect("POST", "/wizard", {"skipped": True})
    page = Page(stack, folder, device)
    before = open(device.config, encoding="utf-8").read()
    page.go("cloud")
    page.look("cloud-empty")
    address = cloud.device_url
    for wrong, says, hops in (
            ("ws://no-such-cloud.invalid/ivc", "This name is unknown|No name server", ["name bad"]),
            (f"ws://127.0.0.1:{closed_port()}/ivc", "takes no connection at this port", ["name good", "tcp bad"]),
            (address.replace("ws://", "wss://"), "speaks no TLS", ["name good", "tcp good", "tls bad"])):
        fill(page, wrong)
        if (found := tested(page, says)) != hops:
            raise Failed(f"{wrong}: expected {hops}, got {found}")
    fill(page, address, password="not the right one")
    if (found := tested(page, "Check login code and password")) != ["name good", "tcp good", "login bad"]:
        raise Failed(f"a wrong password: {found}")
    page.look("cloud-refused")
    if open(device.config, encoding="utf-8").read() != before:
        raise Failed("a test has changed the configuration")
    page.enter("url", "http://example.com")
    page.press_button("Test")
    page.says("cloud.url must be")

    fill(page, secure)
    unknown, _ = certificate(folder, "another authority")
    for file in (None, unknown):
        if file:
            page.type("#cloud-ca", file)
        if (found := tested(page, "authority that this device does not trust")) != ["name good", "tcp good", "tls bad"]:
            raise Failed(f"authorities {file}: {found}")
    page.type("#cloud-ca", authority)
    found = tested(page, "First keepalive answered")
    if found != ["name good", "tcp good", "tls good", "login good", "keepalive good"]:
        raise Failed(f"a login that is right: {found}")
    page.says("front of the cloud")
    page.look("cloud")
    page.press_button("Save")
    page.says("Saved")
    page.says("logged in", seconds=30)
    wait_for("device in the cloud", cloud.device, 30)
    # The password is on the device and nowhere else.
    if PASSWORD in page.script("return document.documentElement.outerHTML + JSON.stringify([...document.querySelectorAll('input')].map((i) => i.value))"):
        raise Failed("the page shows the password")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def tells_two_technicians_of_each_other(stack, folder):
    """The second to save is told what the first one changed, and decides."""
    device = Device(stack, folder)
    device.expect("POST", "/wizard", {"skipped": True})
    page = Page(stack, folder, device)
    page.go("hosted")
    page.look("hosted")
    page.enter("server", "127.0.0.1")
    port = closed_port()
    page.enter("port", str(port))
    page.press_button("Test")
    page.says("takes no connection at this port")
    version = device.expect("GET", "/settings")["version"]
    device.expect("PUT", "/settings", {"version": version, "changes": {"log.level": "debug", "tlss.interval_minutes": 5}})
    page.press_button("Save")
    page.says("Somebody else changed the settings")
    page.says("tlss › interval_minutes")
    page.look("outdated")
    page.press_button("Save mine all the same")
    page.says("Saved")
    page.wait("their value beside", "return document.querySelector('[name=interval_minutes]')?.value === '5'")
    values = device.expect("GET", "/settings")["values"]
    if (values["tlss.interval_minutes"], values["log.level"], values["tlss.port"]) != (5, "debug", port):
        raise Failed(f"the settings are {values}")
    device.expect("PUT", "/settings", {"version": device.expect("GET", "/settings")["version"], "changes": {"tlss.brand": "theirs"}})
    page.enter("brand", "mine")
    page.press_button("Save")
    page.press_button("Take theirs")
    page.wait("their value", "return document.querySelector('[name=brand]').value === 'theirs'")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def shows_packets_that_the_simulator_shows_too(stack, folder):
    """The trace has the packets without secrets, and ivc-sim's page shows the file of it."""
    cloud = Cloud(stack, folder, "debug", "--login", f"{LOGIN}:{PASSWORD}")
    account = f'[cloud]\nurl = "{cloud.device_url}"\nlogin_code = "{LOGIN}"\nlogin_passwd = "{PASSWORD}"\n'
    device = Device(stack, folder, account + '[[channel]]\nbackend = "emulator"\n')
    wait_for("device in the cloud", cloud.device, 30)
    canary = "canaryQ7stream"
    cloud.post("/api/call", {"login_code": LOGIN, "method": "RTMPPublish",
                             "params": {"channel": 0, "quality": "hd", "stream_id": "x", "url": f"rtmp://127.0.0.1:{closed_port()}/app/{canary}?k={canary}"}})
    page = Page(stack, folder, device)
    page.go("trace")
    page.says("RTMPPublish")
    page.click("summary", None)
    page.look("trace")
    lines = page.script("return fetch('/api/v1/trace/download').then((answer) => answer.text())")
    if canary in lines or PASSWORD in lines or "RTMPPublish" not in lines:
        raise Failed(f"the trace is {lines}")
    path = os.path.join(folder, "trace.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(lines)
    place = os.path.join(folder, "sim")
    os.makedirs(place)
    sim = Browser(stack, place)
    sim.open(f"{cloud.page}/?login_code={LOGIN}")
    sim.wait("file input", "return Boolean(document.getElementById('import'))")
    sim.type("#import", path)
    sim.wait("packets of the file", "return document.getElementById('count').textContent.includes('of a file')")
    shown = sim.script("return document.getElementById('packets').innerText")
    if "RTMPPublish" not in shown or "Keepalive" not in shown:
        raise Failed(f"ivc-sim shows {shown}")


add("page cloud: the test of a cloud stops at the wrong input", stops_at_the_wrong_input)
add("page cloud: two technicians are told of each other", tells_two_technicians_of_each_other)
add("page cloud: the trace has no secrets, and ivc-sim shows it", shows_packets_that_the_simulator_shows_too)
