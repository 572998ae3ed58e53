# SPDX-License-Identifier: Apache-2.0
"""Upstreams that speak HTTP/2, in clear by prior knowledge or over TLS, on Python's h2, which
judges what the gateway writes: what it refuses is a violation.
"""
import select
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from .http1 import Message
from .upstream import Connection, Gone, PATIENCE_S, Upstream

PIECE = 16384
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class H2Stream:
    """One request, and the means to answer it."""

    def __init__(self, conn, number, msg):
        self.conn = conn
        self.number = number
        self.msg = msg
        self.rst = None  # The code with which the gateway ended it.

    @property
    def gone(self):
        return self.rst is not None or not self.conn.open

    def _wait(self, condition, timeout_s=PATIENCE_S):
        """Until condition() holds; Gone when the gateway has ended the stream."""
        self.conn.upstream.wait(lambda: condition() or self.gone, timeout_s)
        if not condition():
            raise Gone()

    def read_body(self):
        """As long as more of it comes."""
        while not self.msg.complete:
            n = self.msg.body_len
            self._wait(lambda n=n: self.msg.complete or self.msg.body_len > n)

    def head(self, status, fields=(), end=False):
        pairs = [(":status", str(status))] + [(n.lower(), v) for n, v in fields]
        self.conn.act(self, lambda h: h.send_headers(self.number, pairs, end_stream=end))

    def body(self, data):
        """All of it, as far as the windows let it."""
        at = 0
        while at < len(data):
            self._wait(lambda: self.conn.window(self.number) > 0)
            n = min(PIECE, len(data) - at, self.conn.window(self.number))
            piece = data[at:at + n]
            self.conn.act(self, lambda h, p=piece: h.send_data(self.number, p))
            at += n

    def end(self, trailers=()):
        if trailers:
            self.conn.act(self, lambda h: h.send_headers(self.number, trailers, end_stream=True))
        else:
            self.conn.act(self, lambda h: h.end_stream(self.number))

    def abort(self, code=h2.errors.ErrorCodes.INTERNAL_ERROR):
        """The upstream gives up in the middle."""
        self.conn.act(self, lambda h: h.reset_stream(self.number, code))

    def wait_end(self, timeout_s=PATIENCE_S):
        """Whether the gateway ended the stream, or its connection."""
        return bool(self.conn.upstream.wait(lambda: self.gone, timeout_s))


class H2Connection(Connection):
    """An accepted connection; each request on it runs the handler in a thread of its own.

    Conditions that others wait for are looked at under the upstream's lock, and may take the
    connection's: nobody takes them the other way round.
    """

    def __init__(self, upstream, sock, index):
        super().__init__(upstream, sock, index)
        self.streams = {}
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding=False))

    def act(self, stream, fn):
        """Do something with the connection's state, and send what comes of it."""
        with self.lock:
            try:
                if stream.gone:
                    raise Gone()
                fn(self.h2)
                self.flush()
            except (h2.exceptions.ProtocolError, OSError) as e:
                raise Gone() from e

    def flush(self):
        """Under the lock, and without blocking: OpenSSL minds two threads in one connection."""
        data = memoryview(self.h2.data_to_send())
        while data:
            try:
                data = data[self.sock.send(data):]
            except WOULD_BLOCK:
                select.select([], [self.sock], [], PATIENCE_S)

    def _read(self):
        """What has come, waiting for it; nothing at the end."""
        while True:
            with self.lock:
                try:
                    return self.sock.recv(262144)
                except WOULD_BLOCK:
                    pass
            select.select([self.sock], [], [], PATIENCE_S)

    def window(self, number):
        with self.lock:
            try:
                return min(self.h2.local_flow_control_window(number),
                           self.h2.max_outbound_frame_size)
            except h2.exceptions.ProtocolError:
                return 0

    @property
    def messages(self):
        return [s.msg for s in self.streams.values()]

    def run(self, handler):
        try:
            if not self.shake():
                return
            self.sock.setblocking(False)
            with self.lock:
                self.h2.local_settings = h2.settings.Settings(
                    client=False, initial_values={
                        h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.upstream.streams_max})
                self.h2.initiate_connection()
                self.flush()
            while self._receive(handler):
                pass
        except h2.exceptions.ProtocolError as e:
            self.error = f"{type(e).__name__}: {e}"
            self.upstream.violations.append(f"connection {self.index}: {self.error}")
        except OSError as e:
            if not self.we_ended:
                self.error = repr(e)
        finally:
            self.sock.close()
            self.closed_at = time.monotonic()
            self.upstream.notify()

    def _receive(self, handler):
        try:
            data = self._read()
        except (ConnectionResetError, ssl.SSLError):
            self.peer_end = "reset"
            return False
        if not data:
            self.peer_end = "fin"
            return False
        with self.lock:
            try:
                events = self.h2.receive_data(data)
            finally:
                self.flush()
            begun = [s for s in (self._take(event) for event in events) if s]
            self.flush()
        self.upstream.arrived([s.msg for s in begun])
        for stream in begun:
            threading.Thread(target=self._handle, args=(handler, stream), daemon=True).start()
        return True

    def _take(self, event):
        """The stream that begins with it, or None."""
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RequestReceived):
            return self._begin(event)
        if isinstance(event, h2.events.DataReceived):
            stream.msg.add_body(event.data)
            if event.flow_controlled_length:
                self._acknowledge(event)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.msg.trailers = [(n.decode("latin-1"), v.decode("latin-1"))
                                   for n, v in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            stream.msg.complete = True
        elif isinstance(event, h2.events.StreamReset) and stream:
            stream.rst = int(event.error_code)
        return None

    def _acknowledge(self, event):
        try:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        except h2.exceptions.StreamClosedError:
            pass

    def _begin(self, event):
        fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers]
        pseudo = dict(f for f in fields if f[0][:1] == ":")
        msg = Message()
        msg.method, msg.target, msg.version = pseudo[":method"], pseudo.get(":path", ""), "HTTP/2"
        msg.start = f"{msg.method} {msg.target} HTTP/2".encode("latin-1")
        msg.fields = [f for f in fields if f[0][:1] != ":"]
        msg.pseudo = pseudo
        if ":authority" in pseudo:
            msg.fields.insert(0, ("Host", pseudo[":authority"]))
        stream = H2Stream(self, event.stream_id, msg)
        self.streams[event.stream_id] = stream
        return stream

    @staticmethod
    def _handle(handler, stream):
        try:
            handler(stream)
        except Gone:
            pass


class H2Upstream(Upstream):
    """Like Upstream; the handler gets an H2Stream."""

    connection_type = H2Connection

    def __init__(self, handler, tls=None, streams_max=100, **kw):
        self.streams_max = streams_max
        super().__init__(handler, tls=tls, **kw)
        self.url = ("h2" if tls else "h2c") + self.url[self.url.index(":"):]

    def handle(self, stream):
        self.handler(stream)

    @property
    def n_bytes(self):
        return sum(len(c.messages) for c in list(self.connections))
