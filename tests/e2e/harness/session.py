# SPDX-License-Identifier: Apache-2.0
"""Many client connections at once, each sending its pieces in turn with the others.

Between two pieces of one connection the gateway gets pieces of all the others, so that it sees
them one by one without anybody sleeping. Each session has a loopback address of its own: the
upstream knows by X-Forwarded-For whose message it got, the access log whose line it is.
"""
import selectors
import socket
import ssl
import time

from . import certs
from .http1 import Malformed, Reader
from .upstream import set_reset_on_close

AT_ONCE = 64
GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
PATIENCE_S = 12.0


def client_address(index):
    """A different 127.x.y.z for each index."""
    return f"127.{64 + (index >> 16)}.{(index >> 8) & 255}.{index & 255}"


class Session:
    """One connection: what it sends, and what came back."""

    def __init__(self, source, pieces, n_answers, end=None, method="GET", probe=None,
                 wait_close=True):
        self.source = source
        self.pieces = pieces
        self.at = 0
        self.n_answers = n_answers
        self.end = end
        self.probe = probe
        self.wait_close = wait_close
        self.reader = Reader(response=True)
        self.reader.expect(method)
        self.ended = None
        self.problem = None
        self.probed = False
        self.done = False
        self.sock = None
        self.pending = b""
        self.deadline = 0

    def open(self, address):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.bind((self.source, 0))
        self.sock.settimeout(5.0)
        self.sock.connect(address)
        if certs.EVERYWHERE:
            self.sock = certs.everywhere()[1].wrap_socket(self.sock, server_hostname=certs.NAME)
        self.sock.setblocking(False)
        self._alive()

    def _alive(self):
        """Something happened: patience begins anew."""
        self.deadline = time.monotonic() + PATIENCE_S

    @property
    def answers(self):
        """Final responses, without the probe's."""
        return self.reader.messages[:self.n_answers] if self.probed else self.reader.messages

    def send_next(self):
        """The next piece, as far as it goes."""
        if not self.pending:
            if self.at >= len(self.pieces):
                return
            self.pending = self.pieces[self.at]
            self.at += 1
        try:
            n = self.sock.send(self.pending)
            self.pending = self.pending[n:]
        except WOULD_BLOCK:
            return
        except GONE:
            self.at, self.pending = len(self.pieces), b""
            return
        self._alive()
        if self.at >= len(self.pieces) and not self.pending:
            self._sent()

    def _sent(self):
        if self.end == "fin" and not self.probed:
            try:
                socket.socket.shutdown(self.sock, socket.SHUT_WR)
            except OSError:
                pass
        elif self.end == "reset" and not self.probed:
            set_reset_on_close(self.sock)
            self._finish("reset by us")

    def sending(self):
        return not self.done and (self.at < len(self.pieces) or bool(self.pending))

    def receive(self):
        """All that is there: what TLS has opened already, no selector tells."""
        self._receive()
        while not self.done and getattr(self.sock, "pending", int)():
            self._receive()

    def _receive(self):
        try:
            data = self.sock.recv(65536)
        except WOULD_BLOCK:
            return
        except ConnectionResetError:
            self._finish("reset")
            return
        if not data:
            self.reader.eof()
            self._finish("fin")
            return
        self._alive()
        try:
            self.reader.feed(data)
        except Malformed as e:
            self.problem = f"malformed answer: {e}"
            self._finish("malformed")
            return
        self._progress()

    def _progress(self):
        whole = len([m for m in self.reader.messages if m.complete])
        if self.probed:
            if whole > self.n_answers:
                self._finish(None)
        elif whole >= self.n_answers and self.probe:
            self.probed = True
            self.pieces = self.pieces + [self.probe]
        elif whole >= self.n_answers and not self.wait_close:
            self._finish(None)

    def _finish(self, how):
        self.ended = how
        self.done = True

    def give_up(self):
        if not self.done:
            self.problem = (f"nothing more came in {PATIENCE_S:.0f} s; got "
                            f"{[m.status for m in self.reader.messages]}, sent all: {not self.sending()}")
            self._finish("timeout")


def run(sessions, address):
    """Run all of them to their end, AT_ONCE at a time."""
    waiting = list(reversed(sessions))
    live = []
    sel = selectors.DefaultSelector()
    while waiting or live:
        while waiting and len(live) < AT_ONCE:
            s = waiting.pop()
            s.open(address)
            sel.register(s.sock, selectors.EVENT_READ, s)
            live.append(s)
        for s in live:
            s.send_next()
        busy = any(s.sending() for s in live)
        for key, _ in sel.select(0 if busy else 0.05):
            if not key.data.done:
                key.data.receive()
        now = time.monotonic()
        for s in [s for s in live if s.done or now > s.deadline]:
            s.give_up()
            sel.unregister(s.sock)
            s.sock.close()
            live.remove(s)
    sel.close()
