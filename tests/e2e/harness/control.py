# SPDX-License-Identifier: Apache-2.0
"""The control socket from outside: frames of msgpack, with a reader and a writer of the few types
it needs.
"""
import socket
import struct


def pack(value):
    """None, booleans, integers, texts, lists and maps."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xa0 | len(data)]) if len(data) < 32 else b"\xda"
                + struct.pack(">H", len(data))) + data
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(pack(v) for v in value)
    head = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H",
                                                                                    len(value))
    return head + b"".join(pack(k) + pack(v) for k, v in value.items())


FIXED = {0xca: ">f", 0xcb: ">d", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q",
         0xd0: ">b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
SIZED = {0xc4: ">B", 0xc5: ">H", 0xc6: ">I", 0xd9: ">B", 0xda: ">H", 0xdb: ">I",
         0xdc: ">H", 0xdd: ">I", 0xde: ">H", 0xdf: ">I"}


def unpack(data, at=0):
    """(value, where it ends)"""
    b = data[at]
    if b < 0x80 or b >= 0xe0:
        return b if b < 0x80 else b - 256, at + 1
    if b in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[b], at + 1
    if b in FIXED:
        size = struct.calcsize(FIXED[b])
        return struct.unpack_from(FIXED[b], data, at + 1)[0], at + 1 + size
    if b in SIZED:
        n, at = struct.unpack_from(SIZED[b], data, at + 1)[0], at + 1 + struct.calcsize(SIZED[b])
    else:
        n, at = b & (0x1f if 0xa0 <= b < 0xc0 else 0x0f), at + 1
    if b <= 0x8f or b in (0xde, 0xdf):
        whole = {}
        for _ in range(n):
            key, at = unpack(data, at)
            whole[key], at = unpack(data, at)
        return whole, at
    if b <= 0x9f or b in (0xdc, 0xdd):
        items = []
        for _ in range(n):
            item, at = unpack(data, at)
            items.append(item)
        return items, at
    piece = data[at:at + n]
    return piece if b in (0xc4, 0xc5, 0xc6) else piece.decode("utf-8"), at + n


class Control:
    """One connection to the socket."""

    def __init__(self, path, timeout_s=8.0):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout_s)
        self.sock.connect(path)

    def send_frame(self, body):
        self.sock.sendall(struct.pack(">I", len(body)) + body)

    def read(self, n):
        """n bytes, or fewer at the end of the connection."""
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                break
            data += piece
        return data

    def reply(self):
        """The next reply, or None when the daemon has hung up."""
        try:
            head = self.read(4)
            if len(head) < 4:
                return None
            return unpack(self.read(struct.unpack(">I", head)[0]))[0]
        except ConnectionResetError:
            return None

    def ask(self, command, args=None, ident=1):
        self.send_frame(pack({"v": 1, "id": ident, "command": command, "args": args or {}}))
        return self.reply()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
