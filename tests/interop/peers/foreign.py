#!/usr/bin/env python3
"""A device of somebody else, without a line of ours: it logs in to the cloud at `foreign.py URL CODE PASSWORD`, sends a
Keepalive each 10 s, refuses what it does not know, and dials again after a loss. With `--broken` it says yes to everything."""
import base64
import json
import os
import select
import socket
import struct
import sys
import time
import urllib.parse


class Lost(Exception):
    """The connection ended, or has to."""


class Connection:
    def __init__(self, url, code, password):
        self.url, self.data, self.seq = urllib.parse.urlparse(url), b"", 0
        query = urllib.parse.urlencode({"login_code": code, "login_passwd": password})
        self.stream = socket.create_connection((self.url.hostname, self.url.port), 5)
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall((f"GET {self.url.path}?{query} HTTP/1.1\r\nHost: {self.url.netloc}\r\nConnection: Upgrade\r\n"
                             f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.data:
            self.read()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.splitlines()[0]:
            raise Lost(head.splitlines()[0])

    def read(self):
        part = self.stream.recv(65536)
        if not part:
            raise Lost("closed")
        self.data += part

    def frame(self):
        """A whole frame: its opcode and its bytes; None while there is none."""
        if len(self.data) < 2:
            return None
        length, start = self.data[1] & 0x7F, 2
        if length > 125:
            size = 2 if length == 126 else 8
            if len(self.data) < 2 + size:
                return None
            length, start = int.from_bytes(self.data[2:2 + size], "big"), 2 + size
        if len(self.data) < start + length:
            return None
        opcode, body = self.data[0] & 0xF, self.data[start:start + length]
        self.data = self.data[start + length:]
        return opcode, body

    def send(self, opcode, data):
        mask = os.urandom(4)
        head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, len(data))
        self.stream.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def keepalive(self):
        self.seq += 1
        packet = {"req": "Keepalive", "seq": self.seq, "params": {"channels": [{"channel": 0, "state": 1}]}}
        self.send(1, json.dumps(packet).encode())


def answer(packet, broken):
    """The answer to a request."""
    if broken:
        return {"resp": {}}
    if packet["req"] in ("RTMPPublish", "GetPTZPresetList") and packet.get("params", {}).get("channel") != 0:
        return {"err": {"code": 102, "msg": "there is one channel, 0"}}
    if packet["req"] == "GetRTMPPublishConfig":
        return {"resp": []}
    if packet["req"] == "RTMPPublish":
        return {"err": {"code": 1, "msg": "quality is missing"}}
    return {"err": {"code": 101, "msg": "not supported"}}


def serve(connection, broken):
    due = time.monotonic()
    while True:
        if time.monotonic() >= due:
            connection.keepalive()
            due = time.monotonic() + 10
        frame = connection.frame()
        if frame is None:
            if select.select([connection.stream], [], [], max(0, due - time.monotonic()))[0]:
                connection.read()
            continue
        opcode, body = frame
        if opcode == 8:
            raise Lost("closed")
        if opcode == 9:
            connection.send(10, body)
        if opcode != 1:
            continue
        packet = json.loads(body)
        if "req" in packet and "seq" in packet:
            connection.send(1, json.dumps({"seq": packet["seq"], **answer(packet, broken)}).encode())
        elif ("resp" in packet or "err" in packet) and packet.get("seq") != connection.seq and not broken:
            raise Lost("an answer to nothing")


def main():
    url, code, password = sys.argv[1:4]
    while True:
        try:
            connection = Connection(url, code, password)
            with connection.stream:
                serve(connection, "--broken" in sys.argv)
        except (Lost, OSError, ValueError) as error:
            print(f"lost: {error}", flush=True)
        time.sleep(0.5)


main()
