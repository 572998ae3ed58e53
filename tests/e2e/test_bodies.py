# SPDX-License-Identifier: Apache-2.0
"""Bodies in both directions: by length, in chunks, to the end of the connection; small, large,
none at all.
"""
import hashlib
import random
import threading

from harness.client import chunked, request
from harness.upstream import response

MIB = 1 << 20
SIZES = [0, 1, 2, 100, 4095, 4096, 4097, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 262143,
         262144, 262145, 1000003]


def weight(w):
    def mark(fn):
        fn.weight = w
        return fn
    return mark


def pattern(size, seed=1):
    """Bytes that differ from place to place, so that a shifted or doubled piece shows."""
    block = random.Random(seed).randbytes(65521)
    return (block * (size // len(block) + 1))[:size]


def sized(conn, msg):
    """/length/N, /chunked/N, /eof/N: N bytes, framed so."""
    conn.read_body(msg)
    kind, size = msg.target.split("/")[1:3]
    body = pattern(int(size))
    if kind == "length":
        conn.send(response(200, body))
    elif kind == "chunked":
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 7001):
            piece = body[at:at + 7001]
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")
    else:
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        conn.close()


def downloads(t, splice):
    u = t.upstream(sized)
    g = t.gateway(u, splice=splice)
    c = t.client(g)
    for size in SIZES:
        want = hashlib.sha256(pattern(size)).hexdigest()
        for kind in ("length", "chunked", "eof"):
            r = c.ask("GET", f"/{kind}/{size}")
            t.equal((r.status, r.body_len, r.digest), (200, size, want), f"{kind} of {size}")
            t.equal(r.framing, "length" if kind == "length" else "chunked",
                    f"framing of {kind}, {size}")
    return g


def test_downloads(t):
    g = downloads(t, True)
    t.check(g.wait_metric(lambda m: m.sum("gateway_bytes_spliced_total") > 0),
            "nothing was spliced")


def test_downloads_without_splice(t):
    g = downloads(t, False)
    t.equal(g.metrics().sum("gateway_bytes_spliced_total"), 0,
            "spliced bytes with SLUICE_SPLICE=off")


def uploads(t, splice):
    g, u = t.pair(splice=splice)
    c = t.client(g)
    n = 0
    for size in SIZES:
        body = pattern(size, 2)
        c.expect("PUT")
        c.send(request("PUT", f"/{size}", [("Content-Length", "0")] if not body else [], body))
        t.equal(c.take().body.split()[2], str(size).encode(),
                f"size seen by the upstream of {size}")
        c.expect("POST")
        c.send(request("POST", f"/{size}", [("Transfer-Encoding", "chunked")]))
        c.send(chunked([body[i:i + 5003] for i in range(0, size, 5003)]))
        t.equal(c.take().body.split()[2], str(size).encode(), f"chunked, size seen of {size}")
        want = hashlib.sha256(body).hexdigest()
        for msg, framing in zip(u.messages[n:], ("length", "chunked")):
            t.equal((msg.digest, msg.framing), (want, framing), f"body of {size} at the upstream")
        n += 2


def test_uploads(t):
    uploads(t, True)


def test_uploads_without_splice(t):
    uploads(t, False)


def test_chunks_are_passed_on_as_they_come(t):
    """A chunk reaches the other side before the next one is sent, in both directions."""
    step = threading.Event()
    got = []

    def talk(conn, msg):
        while msg.body_len < 5:
            if not conn.receive():
                return
        got.append(msg.body_len)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        conn.read_body(msg)
        conn.send(b"3\r\none\r\n")
        step.wait(5)
        conn.send(b"3\r\ntwo\r\n0\r\n\r\n")

    g, u = t.pair(talk)
    c = t.client(g)
    c.expect("POST")
    c.send(request("POST", "/", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n")
    t.check(u.wait(lambda: got), "the first chunk does not arrive at the upstream")
    c.send(b"5\r\nagain\r\n0\r\n\r\n")
    r = c.take_head()
    c.pump_until(lambda: r.body_len >= 3)
    t.equal(r.body, b"one", "first chunk of the answer")
    step.set()
    c.pump_until(lambda: r.complete)
    t.equal(r.body, b"onetwo", "answer")


def test_chunk_extensions_are_not_forwarded(t):
    """The upstream's reader is strict: an extension that arrived would be a violation."""
    g, u = t.pair()
    c = t.client(g)
    c.expect("POST")
    c.send(request("POST", "/", [("Transfer-Encoding", "chunked")])
           + b"3;a=b\r\nabc\r\n0;c=\"d\"\r\n\r\n")
    t.equal(c.take().body.split()[2], b"3", "size seen by the upstream")
    t.equal(u.messages[0].framing, "chunked", "framing at the upstream")


def test_trailers_of_an_answer_do_no_harm(t):
    def trailing(conn, msg):
        conn.read_body(msg)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                  b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")

    g, _ = t.pair(trailing)
    c = t.client(g)
    for _ in range(3):
        r = c.ask()
        t.equal((r.body, r.complete), (b"abc", True), "answer")
        t.check(r.trailers in ([], [("x-sum", "1")], [("X-Sum", "1")]), f"trailers {r.trailers}")


def test_bodiless_answers(t):
    """HEAD, 204 and 304 have no body whatever their fields say; the connection goes on."""

    def bare(conn, msg):
        conn.read_body(msg)
        if msg.target == "/204":
            conn.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif msg.target == "/304":
            conn.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n")
        elif msg.method == "HEAD":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        else:
            conn.send(response(200, b"body"))

    g, u = t.pair(bare, config={"workers": 1})
    c = t.client(g)
    for _ in range(3):
        r = c.ask("GET", "/204")
        t.equal((r.status, r.body, r.get("content-length"), r.get("transfer-encoding")),
                (204, b"", None, None), "204")
        r = c.ask("GET", "/304")
        t.equal((r.status, r.body, r.get("etag"), r.get("transfer-encoding")),
                (304, b"", '"x"', None), "304")
        r = c.ask("HEAD", "/")
        t.equal((r.status, r.body, r.get("content-length")), (200, b"", "1000"), "HEAD")
        t.equal(c.ask("GET", "/").body, b"body", "GET")
    t.equal(len(u.connections), 1, "upstream connections")


class Blob:
    """An upstream that sends or takes a long body without keeping it."""

    BLOCK = pattern(MIB)

    def __init__(self, size):
        self.size = size

    def handle(self, conn, msg):
        conn.read_body(msg)
        if msg.method == "GET":
            conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.size}\r\n\r\n".encode())
            for _ in range(self.size // MIB):
                conn.send(self.BLOCK)
        else:
            conn.send(response(200, msg.digest.encode()))

    def digest(self):
        h = hashlib.sha256()
        for _ in range(self.size // MIB):
            h.update(self.BLOCK)
        return h.hexdigest()


def large(t, splice):
    blob = Blob((1024 if t.full else 16) * MIB)
    want = blob.digest()
    g, _ = t.pair(blob.handle, splice=splice)
    c = t.client(g, timeout_s=600 if t.full else 60)
    before = g.rss_kib()
    r = c.ask("GET", "/blob")
    t.equal((r.status, r.body_len, r.digest), (200, blob.size, want), "download")
    c.expect("PUT")
    c.send(f"PUT /blob HTTP/1.1\r\nHost: a\r\nContent-Length: {blob.size}\r\n\r\n".encode())
    c.sock.settimeout(c.timeout_s)
    for _ in range(blob.size // MIB):
        c.sock.sendall(Blob.BLOCK)
    t.equal(c.take().body.decode(), want, "digest of the upload")
    t.check(g.rss_kib() - before < 8192, f"memory grew from {before} to {g.rss_kib()} KiB")


@weight(20)
def test_large(t):
    large(t, True)


@weight(20)
def test_large_without_splice(t):
    large(t, False)


test_downloads.clear = True  # It counts spliced bytes.
