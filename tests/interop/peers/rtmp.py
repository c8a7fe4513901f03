"""An RTMP server that notes when each tag arrived. It reads what publishers send, H.265 in extended tags as well, and judges
nothing."""
import contextlib
import dataclasses
import socket
import struct
import threading
import time

HANDSHAKE = 1536
# Number of bytes after which a publisher is told how many have come.
WINDOW = 1 << 20
# Length of a chunk's header by its type, without the number of the stream.
HEADERS = (11, 7, 3, 0)
SET_CHUNK_SIZE, ACKNOWLEDGEMENT, WINDOW_SIZE, PEER_BANDWIDTH, AUDIO, VIDEO, COMMAND = 1, 3, 5, 6, 8, 9, 20


@dataclasses.dataclass(frozen=True)
class Tag:
    """A tag of a stream. `arrived` is by the monotonic clock in seconds, `ts` is in milliseconds."""
    arrived: float
    kind: int
    ts: int
    body: bytes

    @property
    def is_header(self):
        """Whether the tag holds parameters, and not pictures or sound."""
        if self.kind == VIDEO:
            return self.body[0] & 15 == 0 if self.body[0] & 0x80 else self.body[1] == 0
        return self.body[0] >> 4 == 10 and self.body[1] == 0

    @property
    def is_key(self):
        return self.kind == VIDEO and self.body[0] >> 4 & 7 == 1

    @property
    def is_end(self):
        """Whether the tag only tells that the stream ends."""
        return self.kind == VIDEO and (self.body[0] & 15 if self.body[0] & 0x80 else self.body[1]) == 2


class RtmpSink:
    """A server for any number of publishers; `publishes` are their tags, oldest first."""

    def __init__(self, stack):
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.callback(self._close)
        self.port = self.listener.getsockname()[1]
        self.publishes = []
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, stream):
        return f"rtmp://127.0.0.1:{self.port}/live/{stream}"

    def _close(self):
        # Closing a socket does not wake a thread that waits in it.
        for peer in [self.listener, *self._open]:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self._open.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        tags = []
        with contextlib.suppress(OSError, EOFError), peer:
            for kind, stream, ts, body in _Reader(peer).messages():
                if kind in (AUDIO, VIDEO) and len(body) > 1:
                    if not tags:
                        self.publishes.append(tags)
                    tags.append(Tag(time.monotonic(), kind, ts, body))
                elif kind == COMMAND:
                    peer.sendall(_answer(body, stream))


class _Reader:
    def __init__(self, peer):
        self.peer, self.file, self.size, self.streams = peer, peer.makefile("rb", 1 << 16), 128, {}
        self.count = self.told = 0

    def messages(self):
        """Yields type, stream, time and body of each message."""
        hello = self._take(1 + HANDSHAKE)
        self.peer.sendall(b"\x03" + bytes(HANDSHAKE) + hello[1:])
        self._take(HANDSHAKE)
        while True:
            message = self._chunk()
            if self.count - self.told >= WINDOW:
                self.told = self.count
                self.peer.sendall(_message(ACKNOWLEDGEMENT, struct.pack(">I", self.count & 0xFFFFFFFF)))
            if message and message[0] == SET_CHUNK_SIZE:
                self.size = int.from_bytes(message[3][:4], "big")
            elif message:
                yield message

    def _chunk(self):
        """Reads the next chunk; the message that ends with it, if one does."""
        first = self._take(1)[0]
        header, number = HEADERS[first >> 6], first & 63
        if number < 2:
            more = self._take(number + 1)
            number = 64 + int.from_bytes(more, "little")
        state = self.streams.setdefault(number, {"ts": 0, "extended": False, "body": b""})
        head = self._take(header)
        if header >= 3:
            state["step"] = int.from_bytes(head[:3], "big")
            state["extended"] = state["step"] == 0xFFFFFF
        if header >= 7:
            state["length"], state["kind"] = int.from_bytes(head[3:6], "big"), head[6]
        if header == 11:
            state["stream"] = int.from_bytes(head[7:11], "little")
        if state["extended"]:
            state["step"] = int.from_bytes(self._take(4), "big")
        if not state["body"]:
            # After a header with the whole time, a message that repeats the header repeats that time as a step.
            state["ts"] = (state["step"] if header == 11 else state["ts"] + state["step"]) & 0xFFFFFFFF
        state["body"] += self._take(min(self.size, state["length"] - len(state["body"])))
        if len(state["body"]) < state["length"]:
            return None
        body, state["body"] = state["body"], b""
        return state["kind"], state["stream"], state["ts"], body

    def _take(self, count):
        data = self.file.read(count)
        if len(data) < count:
            raise EOFError
        self.count += count
        return data


def _message(kind, body, stream=0):
    """The bytes of a message, in chunks of at most 128 bytes."""
    head = bytes([3]) + bytes(3) + len(body).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little")
    pieces = [body[at:at + 128] for at in range(0, len(body), 128)]
    return head + b"\xc3".join(pieces)


def _answer(body, stream):
    """The bytes of the answer to a command."""
    length = int.from_bytes(body[1:3], "big")
    name, number = body[3:3 + length].decode("ascii", "replace"), struct.unpack(">d", body[4 + length:12 + length])[0]
    if name == "connect":
        window = struct.pack(">I", WINDOW)
        return _message(WINDOW_SIZE, window) + _message(PEER_BANDWIDTH, window + b"\2") + _message(
            COMMAND, _amf("_result", number, {"capabilities": 31.0}, _status("NetConnection.Connect.Success")))
    if name == "createStream":
        return _message(COMMAND, _amf("_result", number, None, 1.0))
    if name == "publish":
        return _message(COMMAND, _amf("onStatus", 0.0, None, _status("NetStream.Publish.Start")), stream)
    return b""


def _status(code):
    return {"level": "status", "code": code, "description": code}


def _amf(*values):
    return b"".join(map(_encoded, values))


def _encoded(value):
    if value is None:
        return b"\5"
    if isinstance(value, float):
        return b"\0" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\2" + struct.pack(">H", len(value)) + value.encode()
    fields = (struct.pack(">H", len(name)) + name.encode() + _encoded(inner) for name, inner in value.items())
    return b"\3" + b"".join(fields) + b"\0\0\x09"


def write_flv(path, tags):
    """Writes the tags to an FLV file."""
    with open(path, "wb") as out:
        out.write(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")
        for tag in tags:
            ts = (tag.ts & 0xFFFFFF).to_bytes(3, "big") + bytes([tag.ts >> 24 & 0xFF])
            out.write(bytes([tag.kind]) + len(tag.body).to_bytes(3, "big") + ts + bytes(3) + tag.body)
            out.write(struct.pack(">I", len(tag.body) + 11))
