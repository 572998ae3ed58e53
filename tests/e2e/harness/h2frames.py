# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames as bytes (RFC 9113 section 4 and 6) and HPACK literals: nothing here checks what
it writes, so that anything malformed can be said.
"""
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TYPES = {"DATA": 0, "HEADERS": 1, "PRIORITY": 2, "RST_STREAM": 3, "SETTINGS": 4, "PUSH_PROMISE": 5,
         "PING": 6, "GOAWAY": 7, "WINDOW_UPDATE": 8, "CONTINUATION": 9}
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20
ERRORS = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
          "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
          "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
          "HTTP_1_1_REQUIRED"]
SETTING_IDS = {"HEADER_TABLE_SIZE": 1, "ENABLE_PUSH": 2, "MAX_CONCURRENT_STREAMS": 3,
               "INITIAL_WINDOW_SIZE": 4, "MAX_FRAME_SIZE": 5, "MAX_HEADER_LIST_SIZE": 6,
               "ENABLE_CONNECT_PROTOCOL": 8}
DEFAULT_WINDOW = 65535
DEFAULT_FRAME_MAX = 16384


def error_name(code):
    return ERRORS[code] if code < len(ERRORS) else str(code)


def error_code(name):
    return name if isinstance(name, int) else ERRORS.index(name)


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """'length' is what the head of the frame says, when it is to lie."""
    n = len(payload) if length is None else length
    return struct.pack(">I", n)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(pairs=(), ack=False):
    body = b"".join(struct.pack(">HI", SETTING_IDS.get(k, k), v) for k, v in pairs)
    return frame(SETTINGS, ACK if ack else 0, 0, body)


def window_update(stream, n):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", n))


def rst_stream(stream, code="CANCEL"):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", error_code(code)))


def goaway(last, code="NO_ERROR"):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, error_code(code)))


def data(stream, body, end_stream=False, pad=None):
    flags = END_STREAM if end_stream else 0
    if pad is not None:
        return frame(DATA, flags | PADDED, stream, bytes([pad]) + body + b"\0" * pad)
    return frame(DATA, flags, stream, body)


def headers(stream, block, end_stream=False, pad=None, priority=None, parts=1):
    """A block in one HEADERS frame, or cut into several with CONTINUATION. 'priority':
    (stream it depends on, weight).
    """
    flags = END_STREAM if end_stream else 0
    head, tail = b"", b""
    if pad is not None:
        flags, head, tail = flags | PADDED, bytes([pad]), b"\0" * pad
    if priority:
        flags |= PRIORITISED
        head += struct.pack(">IB", *priority)
    each = max(1, -(-len(block) // parts)) if block else 1
    pieces = [block[i:i + each] for i in range(0, len(block), each)] or [b""]
    out = frame(HEADERS, flags | (END_HEADERS if len(pieces) == 1 else 0), stream,
                head + pieces[0] + tail)
    for i, piece in enumerate(pieces[1:], 2):
        out += frame(CONTINUATION, END_HEADERS if i == len(pieces) else 0, stream, piece)
    return out


def integer(value, prefix_bits, first=0):
    """RFC 7541 section 5.1."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytearray([first | most]), value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def literal(name, value, indexed=False):
    """A field with a literal name, without Huffman coding; 'indexed': into the dynamic table."""
    return (b"\x40" if indexed else b"\x00") + integer(len(name), 7) + name \
        + integer(len(value), 7) + value


def literals(fields):
    return b"".join(literal(n, v) for n, v in fields)


class Splitter:
    """Bytes into frames: (type, flags, stream, payload)."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, piece):
        self.buffer += piece
        found, at = [], 0
        while len(self.buffer) - at >= 9:
            length = int.from_bytes(self.buffer[at:at + 3], "big")
            if len(self.buffer) - at < 9 + length:
                break
            kind, flags, stream = struct.unpack_from(">BBI", self.buffer, at + 3)
            found.append((kind, flags, stream & 0x7fffffff,
                          bytes(self.buffer[at + 9:at + 9 + length])))
            at += 9 + length
        del self.buffer[:at]
        return found


def unpadded(flags, payload):
    """The payload of DATA or HEADERS without padding and priority."""
    if flags & PADDED:
        payload = payload[1:len(payload) - payload[0]]
    return payload
