# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 client with its hands on the frames. It writes what it is told, and judges strictly
what comes back: whatever breaks RFC 9113 is a violation.
"""
import hashlib
import re
import select
import socket
import ssl
import struct
import time

import hpack

from . import certs, h2frames as f
from .client import Ended, PATIENCE_S
from .upstream import set_reset_on_close

KEPT_BODY = 1 << 20
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?\Z")
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
GRANT_AT = 16384
LOST = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Stream:
    """One stream as the client sees it."""

    def __init__(self, number, window, method="GET"):
        self.number = number
        self.method = method
        self.status = None
        self.fields = []
        self.trailers = []
        self.interim = []
        self.body_len = 0
        self.n_data = 0
        self.complete = False
        self.rst = None
        self.send_window = window
        self.receive_window = 0
        self.ungranted = 0
        self._kept = bytearray()
        self._hash = hashlib.sha256()

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name):
        values = self.all(name)
        return ", ".join(values) if values else None

    def add_body(self, data):
        self.n_data += 1
        self.body_len += len(data)
        self._hash.update(data)
        if len(self._kept) < KEPT_BODY:
            self._kept += data[:KEPT_BODY - len(self._kept)]

    @property
    def body(self):
        return bytes(self._kept)

    @property
    def digest(self):
        return self._hash.hexdigest()

    @property
    def done(self):
        return self.complete or self.rst is not None

    def __repr__(self):
        end = f"rst {self.rst}" if self.rst else "complete" if self.complete else "open"
        return f"<stream {self.number}: {self.status}, {self.body_len} bytes, {end}>"


class H2Client:
    """One connection. With hello=False nothing at all is said first."""

    def __init__(self, address, tls=None, name=None, source=None, hello=True, settings=(),
                 timeout_s=PATIENCE_S, rcvbuf=None, huffman=False, grants=True):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout_s)
        self.timeout_s = timeout_s
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scheme = "http"
        if certs.EVERYWHERE and not tls:
            tls, name = certs.client_context(certs.everywhere()[0]), certs.NAME
            tls.set_alpn_protocols(["h2"])
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
            self.scheme = "https"
        self.sock.setblocking(False)
        self.encoder = hpack.Encoder() if huffman else None
        self.decoder = hpack.Decoder()
        self.grants = grants
        self.streams = {}
        self.next_stream = 1
        self.sent_settings = dict(settings)
        self.peer_settings = {}
        self.n_settings = 0
        self.n_settings_acks = 0
        self.pongs = []
        self.goaway = None
        self.ended = None
        self.violations = []
        self.raw = bytearray()
        self.send_window = f.DEFAULT_WINDOW
        self.receive_window = f.DEFAULT_WINDOW
        self.ungranted = 0
        self.out = bytearray()
        self.due = bytearray()  # Answers of ours, which may not fall into the middle of a frame.
        self.mid_frame = False
        self.splitter = f.Splitter()
        self._block = None
        if hello:
            self.send(f.PREFACE + f.settings(settings))

    # --- bytes ---

    def send(self, data, deadline=None):
        """All of data, while what comes is read; what the peer no longer takes is dropped."""
        self.out += data
        self.flush(deadline or time.monotonic() + self.timeout_s)

    def flush(self, deadline):
        while not self.ended:
            if not self.mid_frame:
                self.out += self.due
                self.due.clear()
            if not self.out:
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise Ended("timeout", self.raw)
            readable, writable, _ = select.select([self.sock], [self.sock], [], left)
            if readable:
                self._read()
            if writable and self.out:
                self._write()

    def _write(self):
        try:
            n = self.sock.send(bytes(self.out[:262144]))
            del self.out[:n]
        except WOULD_BLOCK:
            return
        except LOST:
            self.out.clear()
            self.due.clear()
            while not self.ended and self._read():
                pass
            self.ended = self.ended or "reset"

    def _read(self):
        """Read what is there; False when there was nothing."""
        try:
            data = self.sock.recv(262144)
        except WOULD_BLOCK:
            return False
        except LOST:
            self.ended = "reset"
            return False
        except ssl.SSLError as e:
            self.ended = f"tls: {e.reason}"
            return False
        if not data:
            self.ended = "fin"
            return False
        if len(self.raw) < 1 << 16:
            self.raw += data
        if bytes(self.raw[:5]) == b"HTTP/":
            return True  # An answer in HTTP/1, to a preface that is none.
        for one in self.splitter.feed(data):
            self._frame(*one)
        return True

    def pump(self, deadline):
        """Write what is due, or read once; False at the end of the connection."""
        if self.out or self.due:
            self.flush(deadline)  # It may have read what is waited for.
            return not self.ended
        if self.ended:
            return False
        if not (getattr(self.sock, "pending", int)() and self._read()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise Ended("timeout", self.raw)
            if select.select([self.sock], [], [], left)[0]:
                self._read()
        return not self.ended

    def wait(self, condition, timeout_s=None):
        """Whether condition() came to hold before the deadline and the connection's end."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        try:
            while not condition():
                if not self.pump(deadline):
                    return bool(condition())
        except Ended:
            return bool(condition())
        return True

    def wait_end(self, timeout_s=None):
        """How the gateway ended the connection, or None while it has not."""
        self.wait(lambda: False, timeout_s)
        return self.ended

    # --- frames in ---

    def _violation(self, text):
        if len(self.violations) < 20:
            self.violations.append(text)

    def _frame(self, kind, flags, stream, payload):
        if len(payload) > self.sent_settings.get("MAX_FRAME_SIZE", f.DEFAULT_FRAME_MAX):
            self._violation(f"frame of {len(payload)} bytes")
        if not self.n_settings and kind != f.SETTINGS:
            self._violation(f"the first frame is of type {kind}")
        if self._block and (kind != f.CONTINUATION or stream != self._block[0]):
            self._violation(f"type {kind} inside a header block")
        act = {f.DATA: self._data, f.HEADERS: self._headers, f.CONTINUATION: self._continuation,
               f.RST_STREAM: self._rst, f.SETTINGS: self._settings, f.PING: self._ping,
               f.GOAWAY: self._goaway, f.WINDOW_UPDATE: self._window}.get(kind)
        if act:
            act(flags, stream, payload)
        else:
            self._violation(f"frame of type {kind}")

    def _known(self, stream, what):
        s = self.streams.get(stream)
        if s is None:
            self._violation(f"{what} on stream {stream}, which nobody opened")
        elif s.complete:
            self._violation(f"{what} on stream {stream} after its end")
        return s

    def _data(self, flags, stream, payload):
        s = self._known(stream, "DATA")
        self.receive_window -= len(payload)
        if self.receive_window < 0:
            self._violation("more DATA than the connection's window")
        if s is None:
            return
        s.receive_window -= len(payload)
        if s.receive_window < 0:
            self._violation(f"more DATA than the window of stream {stream}")
        if s.status is None:
            self._violation("DATA before the head")
        s.add_body(f.unpadded(flags, payload))
        self._grant(s, len(payload), flags & f.END_STREAM)
        if flags & f.END_STREAM:
            self._finish(s)

    def _grant(self, s, n, is_last):
        if not self.grants:
            return
        self.ungranted += n
        if self.ungranted >= GRANT_AT:
            self.grant(0, self.ungranted)
            self.ungranted = 0
        s.ungranted += n
        if s.ungranted >= GRANT_AT and not is_last:
            self.grant(s.number, s.ungranted)
            s.ungranted = 0

    def grant(self, stream, n):
        """More bytes may come, on a stream or (0) the connection."""
        if stream:
            self.streams[stream].receive_window += n
        else:
            self.receive_window += n
        self.due += f.window_update(stream, n)

    def _headers(self, flags, stream, payload):
        payload = f.unpadded(flags, payload)
        if flags & f.PRIORITISED:
            payload = payload[5:]
        self._block = [stream, flags, bytearray(payload)]
        if flags & f.END_HEADERS:
            self._head()

    def _continuation(self, flags, stream, payload):
        if not self._block:
            self._violation("CONTINUATION without HEADERS")
            return
        self._block[2] += payload
        if flags & f.END_HEADERS:
            self._head()

    def _head(self):
        stream, flags, block = self._block
        self._block = None
        fields = self.decoder.decode(bytes(block), raw=True)
        s = self._known(stream, "HEADERS")
        if s is None:
            return
        names = [n for n, _ in fields]
        for n, v in fields:
            plain = n[1:] if n[:1] == b":" else n
            if not NAME.match(plain) or not VALUE.match(v):
                self._violation(f"field {n!r}: {v!r}")
            if n in HOP_BY_HOP:
                self._violation(f"field {n!r} in HTTP/2")
        if s.status is not None:
            if not flags & f.END_STREAM or any(n[:1] == b":" for n in names):
                self._violation("trailers that do not end the stream, or with a pseudo-field")
            s.trailers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields]
        elif names.count(b":status") != 1 or names[0] != b":status" \
                or any(n[:1] == b":" for n in names[1:]):
            self._violation(f"pseudo-fields of a response: {names[:5]}")
        else:
            self._response(s, int(fields[0][1]), fields[1:], flags)
        if flags & f.END_STREAM:
            self._finish(s)

    def _response(self, s, status, fields, flags):
        if status < 200:
            s.interim.append(status)
            if flags & f.END_STREAM or status == 101:
                self._violation(f"interim response {status}, flags {flags}")
            return
        s.status = status
        s.fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields]

    def _finish(self, s):
        s.complete = True
        lengths = s.all("content-length")
        bodiless = s.method == "HEAD" or s.status in (204, 304)
        if s.status is None:
            self._violation("the end of a stream before its head")
        if len(lengths) > 1 or (lengths and not bodiless and int(lengths[0]) != s.body_len):
            self._violation(f"content-length {lengths}, {s.body_len} bytes of DATA")
        if bodiless and s.body_len:
            self._violation(f"{s.body_len} bytes of DATA for {s.method} {s.status}")

    def _rst(self, _, stream, payload):
        s = self.streams.get(stream)
        code = f.error_name(struct.unpack(">I", payload)[0])
        if s is None:
            self._violation(f"RST_STREAM {code} on stream {stream}, which nobody opened")
        elif s.rst is None:
            s.rst = code

    def _settings(self, flags, _, payload):
        if flags & f.ACK:
            self.n_settings_acks += 1
            if "HEADER_TABLE_SIZE" in self.sent_settings:
                self.decoder.max_allowed_table_size = self.sent_settings["HEADER_TABLE_SIZE"]
            return
        self.n_settings += 1
        for i in range(0, len(payload), 6):
            key, value = struct.unpack_from(">HI", payload, i)
            if key == f.SETTING_IDS["INITIAL_WINDOW_SIZE"]:
                delta = value - self.peer_settings.get(key, f.DEFAULT_WINDOW)
                for s in self.streams.values():
                    s.send_window += delta
            self.peer_settings[key] = value
        self.due += f.settings(ack=True)

    def _ping(self, flags, _, payload):
        if flags & f.ACK:
            self.pongs.append(payload)
        else:
            self.due += f.frame(f.PING, f.ACK, 0, payload)

    def _goaway(self, _, stream, payload):
        last, code = struct.unpack_from(">II", payload)
        if stream:
            self._violation("GOAWAY on a stream")
        if self.goaway and last > self.goaway[0]:
            self._violation(f"GOAWAY with last stream {last} after {self.goaway[0]}")
        self.goaway = (last, f.error_name(code))

    def change_settings(self, pairs):
        """Settings of ours that are about to be sent; a larger window counts at once, a smaller
        one may be overdrawn by what is on its way.
        """
        for key, value in pairs:
            if key == "INITIAL_WINDOW_SIZE" and value < 1 << 31:
                delta = value - self.sent_settings.get(key, f.DEFAULT_WINDOW)
                for s in self.streams.values():
                    s.receive_window += max(delta, 0)
            self.sent_settings[key] = value

    def _window(self, _, stream, payload):
        n = struct.unpack(">I", payload)[0]
        if not 0 < n < 1 << 31:
            self._violation(f"WINDOW_UPDATE by {n}")
        if not stream:
            self.send_window += n
        elif stream in self.streams:
            self.streams[stream].send_window += n

    # --- requests ---

    def encode(self, fields):
        """Texts (Latin-1) or bytes, in their order."""
        pairs = [tuple(x.encode("latin-1") if isinstance(x, str) else x for x in pair)
                 for pair in fields]
        return self.encoder.encode(pairs) if self.encoder else f.literals(pairs)

    def open(self, method="GET", number=None):
        """A stream of ours, known from now on; nothing is sent."""
        number = self.next_stream if number is None else number
        self.next_stream = max(self.next_stream, number + 2)
        s = Stream(number, self.peer_settings.get(4, f.DEFAULT_WINDOW), method)
        s.receive_window = self.sent_settings.get("INITIAL_WINDOW_SIZE", f.DEFAULT_WINDOW)
        self.streams[number] = s
        return s

    def pseudo(self, method="GET", path="/", authority="a"):
        return [(":method", method), (":scheme", self.scheme), (":authority", authority),
                (":path", path)]

    def request(self, method="GET", path="/", fields=(), end_stream=True, authority="a"):
        """Open a stream with a head; the stream."""
        s = self.open(method)
        block = self.encode([*self.pseudo(method, path, authority), *fields])
        self.send(f.headers(s.number, block, end_stream))
        return s

    def send_body(self, s, body, end_stream=True, trailers=None, timeout_s=None, pad=None,
                  piece=f.DEFAULT_FRAME_MAX - 256):
        """DATA within the windows, waiting for more; False when the stream ended first."""
        at, cost = 0, 0 if pad is None else pad + 1
        while at < len(body):
            if not self.wait(lambda: s.done or min(s.send_window, self.send_window) > cost,
                             timeout_s) or s.done:
                return False
            n = min(piece, len(body) - at, min(s.send_window, self.send_window) - cost)
            last = end_stream and trailers is None and at + n == len(body)
            self.send(f.data(s.number, body[at:at + n], last, pad))
            s.send_window -= n + cost
            self.send_window -= n + cost
            at += n
        if trailers is not None:
            self.send(f.headers(s.number, self.encode(trailers), True))
        elif not body and end_stream:
            self.send(f.data(s.number, b"", True))
        return True

    def take_head(self, s, timeout_s=None):
        self.wait(lambda: s.status is not None or s.done, timeout_s)
        return self._or_ended(s, s.status is not None)

    def take(self, s, timeout_s=None):
        """The stream when its response is whole."""
        self.wait(lambda: s.done, timeout_s)
        return self._or_ended(s, s.complete)

    def _or_ended(self, s, good):
        if not good:
            raise Ended(f"rst {s.rst}" if s.rst else f"{self.ended}, goaway {self.goaway}, {s}",
                        self.raw)
        return s

    def ask(self, method="GET", path="/", fields=(), body=None, trailers=None, **kw):
        s = self.request(method, path, fields, end_stream=body is None and trailers is None, **kw)
        if body is not None or trailers is not None:
            self.send_body(s, body or b"", trailers=trailers)
        return self.take(s)

    def cancel(self, s, code="CANCEL"):
        self.send(f.rst_stream(s.number, code))

    def reset(self):
        set_reset_on_close(self.sock)
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
