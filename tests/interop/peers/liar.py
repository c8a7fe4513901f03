#!/usr/bin/env python3
"""A broken device in the place of the agent: it logs in, says yes to everything, does nothing, and sends no Keepalive. It takes
`--config FILE`, the agent's configuration."""
import base64
import json
import os
import socket
import struct
import sys
import time
import tomllib
import urllib.parse


def take(stream, count):
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def message(stream):
    """The next text; None for other frames."""
    first, second = take(stream, 2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", take(stream, 2))
    elif length == 127:
        (length,) = struct.unpack(">Q", take(stream, 8))
    data = take(stream, length)
    if first & 0xF == 8:
        raise OSError("closed")
    return data if first & 0xF == 1 else None


def say(stream, packet):
    data = json.dumps(packet).encode()
    mask = os.urandom(4)
    head = struct.pack(">BBH", 0x81, 0x80 | 126, len(data))
    stream.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))


def lie(cloud):
    url = urllib.parse.urlparse(cloud["url"])
    query = urllib.parse.urlencode({name: cloud[name] for name in ("login_code", "login_passwd")})
    with socket.create_connection((url.hostname, url.port), 5) as stream:
        stream.settimeout(None)
        key = base64.b64encode(os.urandom(16)).decode()
        stream.sendall((f"GET {url.path}?{query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += take(stream, 1)
        if b" 101 " not in head.splitlines()[0]:
            raise OSError("refused")
        while True:
            text = message(stream)
            try:
                packet = json.loads(text or b"{}")
            except ValueError:
                continue
            if "req" in packet:
                say(stream, {"seq": packet.get("seq"), "resp": {}})


def main():
    with open(sys.argv[sys.argv.index("--config") + 1], "rb") as config:
        cloud = tomllib.load(config)["cloud"]
    try:
        lie(cloud)
    except OSError:
        pass
    # It never dials again.
    time.sleep(600)


main()
