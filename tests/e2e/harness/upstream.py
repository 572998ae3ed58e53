# SPDX-License-Identifier: Apache-2.0
"""An upstream that records every byte it is sent and does what a test tells it.

A handler is called with (connection, message) when the head of a request is there; it may read
the body (conn.read_body), send bytes, close or reset. Whatever it leaves unread is read
afterwards. Each connection has its own thread.
"""
import fcntl
import os
import socket
import ssl
import struct
import termios
import threading
import time

from .http1 import Malformed, Reader

KEPT_RAW = 1 << 18
PATIENCE_S = 20.0


class Gone(Exception):
    """The gateway closed or reset the connection."""


def set_reset_on_close(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def response(status=200, body=b"", fields=(), reason="OK"):
    """The bytes of an ordinary, length-delimited response."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{n}: {v}" for n, v in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def echo(conn, msg):
    """The default: say what was asked for, so that a mixed-up answer shows."""
    conn.read_body(msg)
    nonce = msg.get("x-nonce") or ""
    body = f"{msg.method} {msg.target} {msg.body_len} {nonce}".encode("latin-1")
    whole = response(200, body, [("X-Nonce", nonce)])
    conn.send(whole[:-len(body)] if msg.method == "HEAD" else whole)


class Connection:
    """One accepted connection: what came, and the means to answer."""

    def __init__(self, upstream, sock, index):
        self.upstream = upstream
        self.sock = sock
        self.index = index
        self.reader = Reader()
        self.raw = bytearray()
        self.opened = time.monotonic()
        self.closed_at = None
        self.peer_end = None  # "fin" or "reset", when the gateway ended first.
        self.we_ended = False
        self.error = None
        self.stash = {}

    @property
    def messages(self):
        return self.reader.messages

    @property
    def open(self):
        return self.closed_at is None

    def send(self, data, pieces=None):
        """All of data, or piece by piece when sizes are given (the last size repeats)."""
        try:
            if pieces is None:
                self.sock.sendall(data)
                return
            at = 0
            while at < len(data):
                self.sock.sendall(data[at:at + pieces])
                at += pieces
        except (BrokenPipeError, ConnectionResetError) as e:
            self.peer_end = self.peer_end or "reset"
            raise Gone() from e

    def receive(self):
        """Read what is there, waiting for it; False when the gateway has ended its side."""
        try:
            data = self.sock.recv(262144)
        except (ConnectionResetError, ssl.SSLError):
            self.peer_end = "reset"
            self.upstream.notify()
            return False
        except socket.timeout as e:
            raise Gone() from e
        if not data:
            self.peer_end = "fin"
            self.upstream.notify()
            return False
        if len(self.raw) < KEPT_RAW:
            self.raw += data[:KEPT_RAW - len(self.raw)]
        n = len(self.messages)
        try:
            self.reader.feed(data)
        finally:
            self.upstream.arrived(self.messages[n:])
        return True

    def read_body(self, msg):
        while not msg.complete:
            if not self.receive():
                raise Gone()

    def wait_end(self, timeout_s=PATIENCE_S):
        """Wait for the gateway to end the connection; its kind, or None."""
        self.sock.settimeout(timeout_s)
        try:
            while self.receive():
                pass
        except (Gone, Malformed):
            return self.peer_end
        return self.peer_end

    def wait_sent(self, timeout_s=2.0):
        """Until the kernel has delivered what was sent: a reset right behind it would destroy it.
        """
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while time.monotonic() < deadline:
            left = struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0" * 4))[0]
            if not left:
                return
            pause.wait(0.002)

    def say_end(self):
        """TLS: nothing more comes, by close_notify. The socket stays open."""
        self.we_ended = True
        self.sock.settimeout(0.0)
        try:
            self.sock.unwrap()
        except (OSError, ValueError):  # It does not wait for the same from the gateway.
            pass
        self.sock.settimeout(PATIENCE_S)

    def close(self):
        self.we_ended = True
        self.sock.close()

    def half_close(self):
        self.we_ended = True
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.we_ended = True
        set_reset_on_close(self.sock)
        self.sock.close()

    def shake(self):
        """TLS, where the upstream speaks it; False when the gateway refuses it."""
        if not self.upstream.tls:
            return True
        try:
            self.sock = self.upstream.tls.wrap_socket(self.sock, server_side=True)
        except OSError as e:
            self.error = repr(e)
            return False
        return True

    def run(self, handler):
        done = 0
        try:
            if not self.shake():
                return
            while self.sock.fileno() >= 0:
                while len(self.messages) <= done:
                    if not self.receive():
                        return
                msg = self.messages[done]
                done += 1
                handler(self, msg)
                if self.sock.fileno() >= 0 and not self.we_ended:
                    self.read_body(msg)
                if self.we_ended and self.sock.fileno() >= 0:
                    self.wait_end()
                    return
        except Gone:
            pass
        except Malformed as e:
            self.error = f"malformed: {e}"
            self.upstream.violations.append(f"connection {self.index}: {e}; raw {bytes(self.raw[-300:])!r}")
        except OSError as e:
            if not self.we_ended:
                self.error = repr(e)
        finally:
            self.sock.close()
            self.closed_at = time.monotonic()
            self.upstream.notify()


class Upstream:
    """Listens on loopback (IPv4, IPv6) or a Unix path, until stop(). 'tls': an ssl context."""

    connection_type = Connection

    def __init__(self, handler=echo, family="ipv4", path=None, port=0, backlog=512, rcvbuf=None,
                 tls=None):
        self.handler = handler
        self.tls = tls
        self.connections = []
        self.messages = []  # Of all connections, in the order in which their heads arrived.
        self.violations = []
        self.cond = threading.Condition()
        self.stopping = False
        self.family = family
        self.path = path
        self._bind(port, backlog, rcvbuf)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _bind(self, port, backlog, rcvbuf):
        kinds = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6, "unix": socket.AF_UNIX}
        self.sock = socket.socket(kinds[self.family], socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if self.family == "unix":
            self.sock.bind(self.path)
            self.url, self.port = f"unix:{self.path}", 0
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(("127.0.0.1" if self.family == "ipv4" else "::1", port))
            self.port = self.sock.getsockname()[1]
            host = "127.0.0.1" if self.family == "ipv4" else "[::1]"
            self.url = f"{'https' if self.tls else 'http'}://{host}:{self.port}"
        self.sock.listen(backlog)

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S * 3)
            if self.family != "unix":
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.cond:
                conn = self.connection_type(self, sock, len(self.connections))
                self.connections.append(conn)
            threading.Thread(target=conn.run, args=(self.handle,), daemon=True).start()

    def handle(self, conn, msg):
        self.handler(conn, msg)

    def notify(self):
        with self.cond:
            self.cond.notify_all()

    def wait(self, condition, timeout_s=5.0):
        """Until condition() is true; what it returned last."""
        deadline = time.monotonic() + timeout_s
        with self.cond:
            while True:
                got = condition()
                left = deadline - time.monotonic()
                if got or left <= 0:
                    return got
                self.cond.wait(min(left, 0.5))

    def arrived(self, messages):
        with self.cond:
            self.messages += messages
            self.cond.notify_all()

    @property
    def n_bytes(self):
        return sum(c.reader.total for c in list(self.connections))

    def open_connections(self):
        return [c for c in list(self.connections) if c.open]

    def stop(self):
        self.stopping = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for c in list(self.connections):
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
