# SPDX-License-Identifier: Apache-2.0
"""A strict, incremental reader of HTTP/1 messages, for requests (at the upstream) and responses
(at the client).

It is the judge of what the gateway writes, so it forgives nothing: CRLF line ends, single spaces,
token names, one framing field with plain digits, no chunk extensions. What breaks a rule raises
Malformed.
"""
import hashlib
import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
TARGET = re.compile(rb"(?:\*|/[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]*)\Z")
VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?\Z")
KEPT_BODY = 1 << 20


class Malformed(Exception):
    """The bytes are not a message under RFC 9112."""


class Message:
    """One request or response; grows while it arrives."""

    def __init__(self):
        self.start = b""
        self.method = self.target = self.version = ""
        self.status = 0
        self.fields = []
        self.trailers = []
        self.interim = []
        self.framing = "none"
        self.length = None
        self.body_len = 0
        self.n_chunks = 0
        self.complete = False
        self._kept = bytearray()
        self._hash = hashlib.sha256()

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return ", ".join(values) if values else None

    def add_body(self, data):
        self.body_len += len(data)
        self._hash.update(data)
        if len(self._kept) < KEPT_BODY:
            self._kept += data[:KEPT_BODY - len(self._kept)]

    @property
    def body(self):
        if self.body_len > KEPT_BODY:
            raise ValueError("body too long to have been kept; compare digests")
        return bytes(self._kept)

    @property
    def digest(self):
        return self._hash.hexdigest()

    def __repr__(self):
        what = self.start.decode("latin-1")[:80]
        return f"<{what!r} body={self.body_len} complete={self.complete}>"


def closes(msg):
    """Whether the message says that its connection ends."""
    tokens = [t.strip().lower() for t in (msg.get("connection") or "").split(",")]
    if "close" in tokens:
        return True
    return msg.version == "HTTP/1.0" and "keep-alive" not in tokens


class Reader:
    """Feed bytes, take messages. For responses, tell the method of each request by expect()."""

    def __init__(self, response=False):
        self.response = response
        self.messages = []
        self.current = None
        self.buf = bytearray()
        self.total = 0
        self._methods = []
        self.interim = []
        self._state = self._head
        self._left = 0

    def expect(self, method):
        self._methods.append(method)

    def feed(self, data):
        self.total += len(data)
        self.buf += data
        while self._state():
            pass

    def eof(self):
        """The peer ended: completes what only its end delimits."""
        if self.current and self.current.framing == "eof":
            self._finish()

    def idle(self):
        return self.current is None and not self.buf

    def _line(self):
        at = self.buf.find(b"\n")
        if at < 0:
            if len(self.buf) > 70000:
                raise Malformed("a line without end")
            return None
        line = bytes(self.buf[:at + 1])
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Malformed(f"line end of {line[:60]!r}")
        del self.buf[:at + 1]
        return line[:-2]

    def _head(self):
        end = self.buf.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buf) > 200000:
                raise Malformed("a head without end")
            if not self.response and re.match(rb"[^!-~]", self.buf):
                raise Malformed(f"a request begins with {bytes(self.buf[:20])!r}")
            return False
        lines = bytes(self.buf[:end]).split(b"\r\n")
        del self.buf[:end + 4]
        msg = Message()
        msg.start = lines[0]
        if self.response:
            self._status_line(msg)
        else:
            self._request_line(msg)
        msg.fields = [self._field(line) for line in lines[1:]]
        self._frame(msg)
        return True

    def _request_line(self, msg):
        parts = msg.start.split(b" ")
        if len(parts) != 3 or not TOKEN.match(parts[0]) or not TARGET.match(parts[1]):
            raise Malformed(f"request line {msg.start[:100]!r}")
        if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise Malformed(f"version {parts[2][:20]!r}")
        msg.method, msg.target, msg.version = (p.decode("latin-1") for p in parts)

    def _status_line(self, msg):
        m = re.match(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*))?\Z", msg.start)
        if not m:
            raise Malformed(f"status line {msg.start[:100]!r}")
        msg.version, msg.status = m.group(1).decode(), int(m.group(2))

    @staticmethod
    def _field(line):
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.match(name) or not VALUE.match(value):
            raise Malformed(f"field {line[:100]!r}")
        return name.decode("latin-1"), value.decode("latin-1")

    def _frame(self, msg):
        lengths, codings = msg.all("content-length"), msg.all("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Malformed(f"{len(lengths)} lengths, {len(codings)} codings")
        if lengths and not re.match(r"(0|[1-9][0-9]{0,18})\Z", lengths[0]):
            raise Malformed(f"length {lengths[0]!r}")
        if codings and (codings[0] != "chunked" or msg.version == "HTTP/1.0"):
            raise Malformed(f"coding {codings[0]!r}")
        if not self.response:
            hosts = msg.all("host")
            if len(hosts) != 1 or not hosts[0]:
                raise Malformed(f"Host {hosts!r}")
        if self.response and not self._frame_response(msg):
            return
        self.current = msg
        msg.interim, self.interim = self.interim, []
        self.messages.append(msg)
        if codings and msg.framing != "empty":
            msg.framing, self._state = "chunked", self._chunk_size
        elif lengths and msg.framing != "empty":
            msg.length = self._left = int(lengths[0])
            msg.framing, self._state = "length", self._body
        elif self.response and msg.framing != "empty":
            msg.framing, self._state = "eof", self._rest
        else:
            self._finish()

    def _frame_response(self, msg):
        """False for an interim response, which is kept aside for the final one."""
        if msg.status < 200:
            if msg.status == 101:
                raise Malformed("101 where no upgrade can be")
            if msg.all("content-length") or msg.all("transfer-encoding"):
                raise Malformed("framing on an interim response")
            self.interim.append(msg.status)
            self._state = self._head
            return False
        method = self._methods.pop(0) if self._methods else "GET"
        if method == "HEAD" or msg.status in (204, 304):
            msg.framing = "empty"
        return True

    def _finish(self):
        self.current.complete = True
        self.current = None
        self._state = self._head
        return True

    def _take(self):
        data = bytes(self.buf[:self._left])
        del self.buf[:len(data)]
        self._left -= len(data)
        self.current.add_body(data)

    def _body(self):
        self._take()
        return self._finish() if not self._left else False

    def _rest(self):
        self._left = len(self.buf)
        self._take()
        return False

    def _chunk_size(self):
        line = self._line()
        if line is None:
            return False
        if not re.match(rb"[0-9A-Fa-f]{1,16}\Z", line):
            raise Malformed(f"chunk size {line[:60]!r}")
        self._left = int(line, 16)
        self.current.n_chunks += 1
        self._state = self._chunk_data if self._left else self._trailer
        return True

    def _chunk_data(self):
        self._take()
        if self._left or len(self.buf) < 2:
            return False
        if self.buf[:2] != b"\r\n":
            raise Malformed(f"after a chunk: {bytes(self.buf[:20])!r}")
        del self.buf[:2]
        self._state = self._chunk_size
        return True

    def _trailer(self):
        line = self._line()
        if line is None:
            return False
        if not line:
            return self._finish()
        self.current.trailers.append(self._field(line))
        return True
