# SPDX-License-Identifier: Apache-2.0
"""A client with its hands on the socket: pieces, half-close, reset, slow reading."""
import select
import socket
import ssl
import time

from . import certs
from .http1 import Reader
from .upstream import set_reset_on_close

PATIENCE_S = 10.0


class Ended(Exception):
    """The gateway ended the connection before what was waited for; kind is 'fin', 'reset' or
    'timeout'.
    """

    def __init__(self, kind, got):
        super().__init__(f"{kind} after {len(got)} bytes: {bytes(got[-200:])!r}")
        self.kind = kind


def request(method="GET", target="/", fields=(), body=b"", host="a", version="HTTP/1.1"):
    """The bytes of an ordinary request; a body gets its Content-Length."""
    lines = [f"{method} {target} {version}", f"Host: {host}"]
    lines += [f"{n}: {v}" for n, v in fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunked(pieces, trailers=()):
    out = bytearray()
    for p in pieces:
        out += b"%x\r\n%s\r\n" % (len(p), p)
    out += b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in trailers) + b"\r\n"
    return bytes(out)


class Client:
    """One connection to the gateway."""

    def __init__(self, address, source=None, rcvbuf=None, timeout_s=PATIENCE_S, tls=None,
                 name=None):
        """'address': (host, port), or the path of a Unix socket; 'tls': an ssl context, with the
        server name to ask for.
        """
        is_unix = isinstance(address, str)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(socket.AF_UNIX if is_unix else family, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout_s)
        self.timeout_s = timeout_s
        self.sock.connect(address)
        if not is_unix:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if certs.EVERYWHERE and not tls and not is_unix:
            tls, name = certs.everywhere()[1], certs.NAME
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.reader = Reader(response=True)
        self.raw = bytearray()
        self.n_taken = 0
        self.ended = None

    def send(self, data):
        self.sock.sendall(data)

    def ask(self, method="GET", target="/", fields=(), body=b"", **kw):
        """Send a request and take its response."""
        self.reader.expect(method)
        self.send(request(method, target, fields, body, **kw))
        return self.take()

    def expect(self, method):
        self.reader.expect(method)

    def pump(self, deadline):
        """Read once; False at the end of the connection."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Ended("timeout", self.raw)
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(262144)
        except socket.timeout as e:
            raise Ended("timeout", self.raw) from e
        except ConnectionResetError:
            self.ended = "reset"
            return False
        if not data:
            self.ended = "fin"
            self.reader.eof()
            return False
        if len(self.raw) < 1 << 16:
            self.raw += data
        self.reader.feed(data)
        return True

    def take_head(self, timeout_s=None):
        """The next final response, as soon as its head is there."""
        self.pump_until(lambda: len(self.reader.messages) > self.n_taken, timeout_s)
        self.n_taken += 1
        return self.reader.messages[self.n_taken - 1]

    def take(self, timeout_s=None):
        """The next final response, whole."""
        msg = self.take_head(timeout_s)
        self.pump_until(lambda: msg.complete, timeout_s)
        return msg

    def pump_until(self, condition, timeout_s=None):
        """Read until condition() holds."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while not condition():
            if not self.pump(deadline) and not condition():
                raise Ended(self.ended, self.raw)

    def wait_interim(self, n=1, timeout_s=None):
        """Until n interim responses have come for the next response; their statuses."""
        self.pump_until(lambda: len(self.reader.interim) >= n, timeout_s)
        return list(self.reader.interim)

    def wait_end(self, timeout_s=None):
        """Until the gateway ends the connection: 'fin' or 'reset'; everything else is read and
        kept.
        """
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while self.ended is None:
            self.pump(deadline)
        return self.ended

    def silent(self, seconds):
        """Whether nothing at all arrives for this long (a bounded observation, not a
        synchronisation).
        """
        deadline = time.monotonic() + seconds
        while select.select([self.sock], [], [], max(0, deadline - time.monotonic()))[0]:
            if not isinstance(self.sock, ssl.SSLSocket):
                return False
            self.sock.setblocking(False)
            try:
                self.raw += self.sock.recv(1)
                return False
            except ssl.SSLWantReadError:
                continue  # A session ticket, of no interest to anybody.
        return True

    def half_close(self):
        socket.socket.shutdown(self.sock, socket.SHUT_WR)  # Of TCP: TLS goes on reading.

    def reset(self):
        set_reset_on_close(self.sock)
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
