# SPDX-License-Identifier: Apache-2.0
"""An upstream that says in HTTP/2 whatever a script tells it, checked by nobody: for answers that
no library would write.
"""
import socket
import time

import hpack

from . import h2frames as f
from .h2vectors import text
from .upstream import Connection, Upstream

AFTER = "/after"  # This is always answered well.


def pairs(fields):
    return [(text(n), text(v)) for n, v in fields]


class Scripted(Connection):
    """A connection from the gateway; each whole request on it gets the script."""

    def run(self, handler):
        self.decoder = hpack.Decoder()
        self.splitter = f.Splitter()
        self.paths = {}
        try:
            if self.shake():
                self._serve()
        except (OSError, hpack.HPACKError) as e:
            self.error = repr(e)
        finally:
            self.sock.close()
            self.closed_at = time.monotonic()
            self.upstream.notify()

    def _serve(self):
        self._write(b"".join(self._frames(step, 0) for step in self.upstream.hello))
        greeting = len(f.PREFACE)
        while True:
            data = self.sock.recv(262144)
            if not data:
                return
            skipped = min(greeting, len(data))
            greeting -= skipped
            for kind, flags, stream, payload in self.splitter.feed(data[skipped:]):
                self._take(kind, flags, stream, payload)

    def _write(self, data):
        self.sock.sendall(data)

    def _take(self, kind, flags, stream, payload):
        if kind == f.SETTINGS and not flags & f.ACK:
            self._write(f.settings(ack=True))
        elif kind == f.PING and not flags & f.ACK:
            self._write(f.frame(f.PING, f.ACK, 0, payload))
        elif kind == f.GOAWAY:
            self.upstream.goaways.append(f.error_name(int.from_bytes(payload[4:8], "big")))
        elif kind == f.RST_STREAM:
            self.upstream.resets.append(f.error_name(int.from_bytes(payload, "big")))
        elif kind == f.HEADERS:
            fields = dict(self.decoder.decode(f.unpadded(flags, payload), raw=True))
            self.paths[stream] = fields.get(b":path", b"").decode("latin-1")
        if kind in (f.HEADERS, f.DATA) and flags & f.END_STREAM:
            self._answer(stream, self.paths.get(stream))

    def _answer(self, stream, path):
        self.upstream.asked.append(path)
        script = self.upstream.script
        if path == AFTER:
            script = [{"head": [[":status", "200"], ["content-length", "2"]], "end": False},
                      {"data": "ok", "end": True}]
        out = b""
        for step in script:
            if "close" in step:
                self._write(out)
                self.sock.close()
                raise OSError("closed by the script")
            out += self._frames(step, stream)
        self._write(out)
        self.upstream.notify()

    def _frames(self, step, stream):
        on = step.get("on", stream)
        end = step.get("end", False)
        if "repeat" in step:
            return b"".join(self._frames(s, stream) for s in step["steps"]) * step["repeat"]
        if "head" in step:
            return f.headers(on, f.literals(pairs(step["head"])), end, parts=step.get("parts", 1))
        if "block" in step:
            return f.headers(on, text(step["block"]), end)
        if "data" in step:
            return f.data(on, text(step["data"]), end, step.get("pad"))
        if "rst" in step:
            return f.rst_stream(on, step["rst"])
        if "goaway" in step:
            return f.goaway(step.get("last", 0), step["goaway"])
        if "settings" in step:
            return f.settings([tuple(p) for p in step["settings"]])
        if "grant" in step:
            return f.window_update(on, step["grant"])
        if "raw" in step:
            return text(step["raw"])
        return f.frame(f.TYPES.get(step["frame"], step["frame"]), step.get("flags", 0), on,
                       text(step.get("payload", "")), step.get("length"))


class ScriptedUpstream(Upstream):
    """Says 'hello' first (SETTINGS) and 'script' to each request, but for AFTER."""

    connection_type = Scripted

    def __init__(self, **kw):
        self.hello = [{"settings": []}]
        self.script = []
        self.asked = []
        self.goaways = []
        self.resets = []
        super().__init__(**kw)
        self.url = ("h2" if self.tls else "h2c") + self.url[self.url.index(":"):]

    def drop(self):
        """End all connections, so that the next request needs a new one."""
        for c in self.open_connections():
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.wait(lambda: not self.open_connections())

    @property
    def n_bytes(self):
        return len(self.asked)
