# SPDX-License-Identifier: Apache-2.0
"""Both sides of the gateway without a word of what they speak: a client asks, an origin answers,
over HTTP/1.1 or HTTP/2, in clear or over TLS.
"""
import hashlib

from .certs import client_context, origin_context
from .client import Client, Ended
from .h2client import H2Client
from .h2upstream import H2Upstream
from .upstream import Upstream

CLIENTS = ("h1", "h1+tls", "h2c", "h2")
UPSTREAMS = ("http", "https", "h2c", "h2")
PIECE = 1 << 18


def pieces(body):
    """A body is bytes, or (piece, how often)."""
    if isinstance(body, tuple):
        for _ in range(body[1]):
            yield body[0]
    else:
        for at in range(0, len(body), PIECE):
            yield body[at:at + PIECE]


def length_of(body):
    return len(body[0]) * body[1] if isinstance(body, tuple) else len(body)


def digest_of(body):
    found = hashlib.sha256()
    for piece in pieces(body):
        found.update(piece)
    return found.hexdigest()


class H1Exchange:
    """A request at an origin that speaks HTTP/1.1."""

    def __init__(self, conn, msg):
        self.conn = conn
        self.msg = msg
        self.chunked = False

    def read_body(self):
        self.conn.read_body(self.msg)

    def head(self, status, fields=(), end=False):
        names = {n.lower() for n, _ in fields}
        bodiless = self.msg.method == "HEAD" or status in (204, 304)
        lines = [f"HTTP/1.1 {status} X"] + [f"{n}: {v}" for n, v in fields]
        if "content-length" not in names and not bodiless:
            self.chunked = not end
            lines.append("Content-Length: 0" if end else "Transfer-Encoding: chunked")
        self.conn.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def body(self, data):
        self.conn.send(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def end(self, trailers=()):
        if self.chunked:
            lines = b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in trailers)
            self.conn.send(b"0\r\n" + lines + b"\r\n")

    def abort(self):
        self.conn.wait_sent()
        self.conn.reset()

    def wait_end(self):
        return self.conn.wait_end() is not None


def origin(t, protocol, handler, cert):
    """An upstream that speaks so; the handler gets an exchange."""
    tls = None
    if protocol in ("https", "h2"):
        tls = origin_context(cert, protocols=["h2" if protocol == "h2" else "http/1.1"])
    if protocol in ("h2c", "h2"):
        up = H2Upstream(handler, tls=tls)
    else:
        up = Upstream(lambda conn, msg: handler(H1Exchange(conn, msg)), tls=tls)
    return t.keep_upstream(up)


class Reply:
    """What a client got."""

    def __init__(self, got, ended=None):
        self.status = got.status
        self.get = got.get
        self.body = got.body if got.body_len < 1 << 20 else None
        self.body_len = got.body_len
        self.digest = got.digest
        self.trailers = [(n.lower(), v) for n, v in got.trailers]
        self.complete = got.complete
        self.ended = ended


def patience_s(t):
    """For a whole message."""
    return 600 if t.large else 30


class H1Side:
    """A client that speaks HTTP/1.1: one request at a time."""

    def __init__(self, t, address, tls=None, name=None):
        self.connect = lambda: t.client(address, tls=tls, name=name, timeout_s=patience_s(t))
        self.client = None

    def begin(self, method, path, fields=(), body=None, length=True, trailers=()):
        """Send a head, and the body if it isn't None (then the client may also send pieces)."""
        if self.client is None or self.client.ended:
            self.client = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: a"] + [f"{n}: {v}" for n, v in fields]
        self.chunked = body is not None and not length
        if body is not None:
            lines.append(f"Content-Length: {length_of(body)}" if length
                         else "Transfer-Encoding: chunked")
        self.client.expect(method)
        self.client.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def piece(self, data):
        self.client.send(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def finish(self, trailers=()):
        if self.chunked:
            lines = b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in trailers)
            self.client.send(b"0\r\n" + lines + b"\r\n")

    def take(self):
        """The reply, whole, or as far as it came."""
        try:
            got = self.client.take_head()
        except Ended as e:
            return e
        try:
            self.client.pump_until(lambda: got.complete)
        except Ended as e:
            return Reply(got, e.kind)
        return Reply(got)

    def take_some(self, n):
        got = self.client.take_head()
        self.client.pump_until(lambda: got.body_len >= n)

    def leave(self):
        """In the middle of a request."""
        self.client.reset()
        self.client = None


class H2Side:
    """A client that speaks HTTP/2."""

    def __init__(self, t, address, tls=None, name=None):
        self.client = t.h2client(address, tls=tls, name=name, timeout_s=patience_s(t))
        self.stream = None

    def begin(self, method, path, fields=(), body=None, length=True, trailers=()):
        fields = list(fields)
        if body is not None and length:
            fields.append(("content-length", str(length_of(body))))
        self.stream = self.client.request(method, path, [(n.lower(), v) for n, v in fields],
                                          end_stream=body is None)

    def piece(self, data):
        self.client.send_body(self.stream, data, end_stream=False)

    def finish(self, trailers=()):
        self.client.send_body(self.stream, b"", trailers=list(trailers) or None)

    def take(self):
        self.client.wait(lambda: self.stream.done)
        s = self.stream
        if s.status is None:
            return Ended(f"rst {s.rst}, {self.client.ended}", self.client.raw)
        return Reply(s, None if s.complete else f"rst {s.rst}")

    def take_some(self, n):
        self.client.wait(lambda: self.stream.body_len >= n)

    def leave(self):
        """The connection lives on: only the stream is gone."""
        self.client.cancel(self.stream)


def client(t, kind, site):
    """A client of a Site that speaks so."""
    context = None
    if kind in ("h1+tls", "h2"):
        context = client_context(site.cert)
        context.set_alpn_protocols(["h2" if kind == "h2" else "http/1.1"])
    address = site.tls if context else site.clear
    side = H2Side if kind in ("h2c", "h2") else H1Side
    return side(t, address, tls=context, name="site.test" if context else None)


def ask(side, method, path, fields=(), body=None, length=True, trailers=()):
    """A whole request and its reply."""
    side.begin(method, path, fields, body, length, trailers)
    if body is not None:
        for one in pieces(body):
            side.piece(one)
        side.finish(trailers)
    return side.take()
