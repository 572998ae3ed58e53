# SPDX-License-Identifier: Apache-2.0
"""Upgrades: what is passed on, what becomes a tunnel, how a tunnel moves bytes and how it ends."""
import hashlib
import signal
import socket
import threading

from harness.certs import Cert, client_context
from harness.client import request
from harness.upstream import Connection, Gone, Upstream, response, set_reset_on_close

ALLOWED = {"upgrades": ["websocket"]}
ASK = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
       ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


class End(Connection):
    """The upstream's side of a connection: heads are read here, and what follows one is raw."""

    def __init__(self, *args):
        super().__init__(*args)
        self.heads = []
        self.rest = b""

    def run(self, handler):
        try:
            while self.sock.fileno() >= 0:
                head = self.read_head()
                if head is None:
                    break
                self.heads.append(head)
                self.upstream.notify()
                handler(self, head)
        except (Gone, OSError) as e:
            self.error = repr(e)
        finally:
            self.sock.close()
            self.closed_at = 1.0
            self.upstream.notify()

    def read_head(self):
        while b"\r\n\r\n" not in self.rest:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.rest += data
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head.decode("latin-1").lower().split("\r\n")

    def read(self, n=None):
        """n bytes, or up to the end."""
        data = bytearray(self.rest)
        self.rest = b""
        while n is None or len(data) < n:
            got = self.sock.recv(262144)
            if not got:
                break
            data += got
        if n is not None:
            self.rest, data = bytes(data[n:]), data[:n]
        return bytes(data)


class Ends(Upstream):
    connection_type = End


def switching(talk):
    """An upstream's handler that accepts and then talks."""
    def handle(conn, _head):
        conn.sock.sendall(SWITCH)
        talk(conn)
    return handle


def echo(conn):
    data = conn.rest
    conn.rest = b""
    while True:
        if data:
            conn.sock.sendall(data)
        data = conn.sock.recv(262144)
        if not data:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.close()
            return


class Place:
    """A gateway in front of such an upstream."""

    def __init__(self, t, handler, config=None, **kw):
        self.t = t
        self.up = Ends(handler)
        t._upstreams.append(self.up)
        self.g = t.gateway(self.up, config=dict(ALLOWED, **(config or {})), **kw)

    def ask(self, fields=(), early=b"", **kw):
        """A client that has asked for a WebSocket."""
        c = self.t.client(self.g, **kw)
        c.expect("GET")
        c.send(request("GET", "/ws", ASK + list(fields)) + early)
        return c

    def open(self, early=b"", **kw):
        """A client behind its 101."""
        c = self.ask(early=early, **kw)
        c.head, c.rest = read_head(self.t, c)
        self.t.equal(c.head[0], "http/1.1 101 switching protocols", "status line")
        return c

    def record(self, condition=lambda r: True):
        found = self.g.access(condition)
        self.t.check(found, "no record in the access log")
        return found[0]

    def reason(self, want):
        self.t.check(self.g.access(lambda r: r["reason"] == want),
                     lambda: f"no {want} in {self.g.access_all()}")


def read_head(t, c):
    data = b""
    while b"\r\n\r\n" not in data:
        got = c.sock.recv(65536)
        t.check(got, f"the connection ended in a head: {data!r}")
        data += got
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").lower().split("\r\n"), rest


def read(t, c, n):
    data = bytearray(c.rest)
    while len(data) < n:
        got = c.sock.recv(262144)
        t.check(got, f"the tunnel ended after {len(data)} of {n} bytes")
        data += got
    c.rest = bytes(data[n:])
    del data[n:]
    return bytes(data)


def read_end(c):
    """'fin' or 'reset', and what came before."""
    data = bytearray(c.rest)
    c.rest = b""
    try:
        while True:
            got = c.sock.recv(262144)
            if not got:
                return "fin", bytes(data)
            data += got
    except ConnectionResetError:
        return "reset", bytes(data)


def block(size):
    one = hashlib.sha256(b"tunnel").digest() * 2048
    return (one * (size // len(one) + 1))[:size]


def pour(c, data):
    """Send all of it from a thread of its own, so that the caller can read meanwhile."""
    thread = threading.Thread(target=c.sendall, args=(data,), daemon=True)
    thread.start()
    return thread


# --- Becoming a tunnel. --------------------------------------------------------------------------

def test_an_echo(t):
    p = Place(t, switching(echo))
    c = p.open()
    for i in range(200):
        text = b"message %d" % i * (1 + i % 50)
        c.send(text)
        t.equal(read(t, c, len(text)), text, f"echo {i}")
    m = p.g.metrics()
    t.equal((m.sum("gateway_tunnels_active"), m.sum("gateway_tunnels_total")), (1, 1), "tunnels")
    t.equal(m.sum("gateway_pipes_used"), 0, "pipes of a tunnel with little in it")
    c.half_close()
    t.equal(read_end(c)[0], "fin", "how it ends")
    c.close()
    r = p.record()
    n = sum(len(b"message %d" % i * (1 + i % 50)) for i in range(200))
    t.equal((r["status"], r["upstream_status"], r["reason"], r["ended_in"]),
            (101, 101, "", "tunnel"), "record")
    t.equal((r["bytes_in"], r["bytes_out"]), (n, n), "bytes both ways")
    t.equal(p.g.metrics().sum("gateway_tunnels_active"), 0, "tunnels afterwards")


def test_heads_are_written_afresh(t):
    p = Place(t, switching(echo))
    c = t.client(p.g)
    c.rest = b""
    c.send(request("GET", "/ws", [("Connection", "keep-alive, UPGRADE, X-Mine"),
                                  ("Upgrade", "h2c, WebSocket"), ("HTTP2-Settings", "AAMAAABk"),
                                  ("X-Mine", "1"), ("Sec-WebSocket-Key", "a"), ("TE", "trailers")]))
    head, _ = read_head(t, c)
    asked = p.up.connections[0].heads[0]
    t.equal([line for line in asked if line.startswith(("connection:", "upgrade:"))],
            ["connection: upgrade", "upgrade: websocket"], "what the upstream was asked")
    t.check("sec-websocket-key: a" in asked, "the key is missing")
    for name in ("http2-settings", "x-mine", "te:", "keep-alive"):
        t.check(not any(line.startswith(name) for line in asked), f"{name} was passed on")
    t.equal([line for line in head if line.startswith(("connection:", "upgrade:"))],
            ["connection: upgrade", "upgrade: websocket"], "what the client was answered")
    t.check("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head, "the accept is missing")


def test_without_leave_it_is_http(t):
    """X07: not allowed on the route; both requests are served."""
    p = Place(t, lambda conn, head: conn.sock.sendall(response(200, head[0].encode())),
              {"upgrades": "none"})
    c = p.ask(early=request("GET", "/2"))
    c.expect("GET")
    t.equal((c.take().body, c.take().body), (b"get /ws http/1.1", b"get /2 http/1.1"), "answers")
    for head in p.up.connections[0].heads:
        t.check(not any(line.startswith("upgrade") for line in head), "Upgrade was passed on")


def test_what_is_ignored(t):
    """X11, X12, other methods, bodies: plain HTTP, although upgrades are allowed."""
    p = Place(t, lambda conn, head: conn.sock.sendall(response(200, b"plain")))
    for method, version, fields, body in (
            ("GET", "HTTP/1.0", ASK, b""),
            ("GET", "HTTP/1.1", ASK[1:], b""),
            ("GET", "HTTP/1.1", ASK[:1], b""),
            ("GET", "HTTP/1.1", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
                                 ("HTTP2-Settings", "AAMAAABk")], b""),
            ("GET", "HTTP/1.1", [("Connection", "Upgrade"), ("Upgrade", "websocket/13")], b""),
            ("GET", "HTTP/1.1", ASK, b"body"),
            ("OPTIONS", "HTTP/1.1", ASK, b""),
            ("POST", "HTTP/1.1", ASK, b"")):
        c = t.client(p.g)
        t.equal(c.ask(method, "/", fields, body, version=version).status, 200, f"{method} {fields}")
        c.close()
    heads = [head for conn in p.up.connections for head in conn.heads]
    t.equal(len(heads), 8, "requests that arrived")
    for head in heads:
        t.check(not any(line.startswith(("upgrade", "connection", "http2-settings"))
                        for line in head), lambda: f"passed on: {head}")


def test_a_refusal_is_an_answer(t):
    """X09: no tunnel, and the connection goes on."""
    p = Place(t, lambda conn, head: conn.sock.sendall(
        response(200 if "/ws" in head[0] else 201, b"plain")))
    c = p.ask()
    t.equal((c.take().status, c.ask("GET", "/2").status), (200, 201), "answers on one connection")
    t.equal(len(p.up.connections), 1, "upstream connections")
    t.equal(p.g.metrics().sum("gateway_tunnels_total"), 0, "tunnels")


def test_wrong_answers(t):
    """Another protocol, several, none, without Connection, in HTTP/1.0: 502."""
    line = b"HTTP/1.1 101 Switching Protocols\r\n"
    for head in (line + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
                 line + b"Connection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
                 line + b"Connection: upgrade\r\n\r\n",
                 line + b"Upgrade: websocket\r\n\r\n",
                 line.replace(b"1.1", b"1.0") + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"):
        p = Place(t, lambda conn, _, head=head: conn.sock.sendall(head + b"not HTTP"))
        c = p.ask()
        t.equal(c.take().status, 502, f"answer to {head}")
        p.reason("upstream_upgrade")
        t.equal(c.ask().status, 502, "the client's connection goes on")
        t.check(p.up.wait(lambda: not p.up.open_connections()), "the upstream's does not")


def test_an_unasked_switch(t):
    p = Place(t, lambda conn, _: conn.sock.sendall(SWITCH))
    c = t.client(p.g)
    t.equal(c.ask().status, 502, "answer")
    p.reason("upstream_upgrade")


# --- Bytes before the 101. -----------------------------------------------------------------------

def test_early_bytes_are_held(t):
    """X08: nothing of them reaches the upstream before its 101; then all of them do."""
    for size in (1, 1000, 16384, 200000):
        early = block(size)
        seen = []

        def handle(conn, _head):
            conn.sock.settimeout(0.3)
            try:
                seen.append(conn.rest + conn.sock.recv(65536))
            except socket.timeout:
                seen.append(conn.rest)
            conn.sock.settimeout(10)
            conn.sock.sendall(SWITCH)
            conn.sock.sendall(conn.read(size))

        p = Place(t, handle)
        c = p.ask(early=early)  # The kernel takes what the gateway does not.
        head, c.rest = read_head(t, c)
        t.equal(head[0], "http/1.1 101 switching protocols", "status line")
        t.equal(read(t, c, size), early, "echo of what came early")
        t.equal(seen, [b""], "before the 101")


def test_early_bytes_are_dropped(t):
    """X08: an answer that does not switch; they are no request."""
    for early in (b"\x81\x05hello", request("GET", "/smuggled")):
        release = threading.Event()

        def handle(conn, head):
            release.wait(10)
            conn.sock.sendall(response(200, head[0].encode()))

        p = Place(t, handle)
        c = p.ask(early=early)
        t.check(p.up.wait(lambda: p.up.connections and p.up.connections[0].heads), "no request")
        release.set()
        r = c.take()
        t.equal((r.status, r.body, r.get("connection")), (200, b"get /ws http/1.1", "close"),
                "answer")
        t.equal(c.wait_end(), "fin", "end")
        p.reason("upgrade_early_data")
        t.equal([conn.heads for conn in p.up.connections][0][1:], [], "a request behind it")


# --- Bytes in the tunnel. ------------------------------------------------------------------------

SIZE = 40_000_000


def volume(t, spliced, **kw):
    size = SIZE * (25 if t.large else 1)
    data = block(size)
    patience_s = 600 if t.large else 60

    def talk(conn):
        conn.sock.settimeout(patience_s)  # sendall() means all of it.
        thread = pour(conn.sock, data)
        got = conn.read(size)
        t.equal(hashlib.sha256(got).digest(), hashlib.sha256(data).digest(), "what went up")
        thread.join(patience_s)
        conn.sock.shutdown(socket.SHUT_WR)
        conn.read()

    p = Place(t, switching(talk), **kw)
    c = p.open(timeout_s=patience_s)
    thread = pour(c.sock, data)
    got = read(t, c, size)
    t.check(got == data, "what came down differs")
    thread.join(patience_s)
    t.equal(read_end(c), ("fin", b""), "end")
    c.half_close()
    r = p.record()
    t.equal((r["bytes_in"], r["bytes_out"]), (size, size), "bytes")
    t.equal(r["bytes_copied"] + r["bytes_spliced"], 2 * size, "copied and spliced")
    m = p.g.metrics()
    t.equal(m.sum("gateway_bytes_spliced_total"), r["bytes_spliced"], "the metric")
    t.check((r["bytes_spliced"] > 0) == spliced, f"spliced {r['bytes_spliced']}")
    return r


def test_volume_both_ways_is_spliced(t):
    volume(t, True)


test_volume_both_ways_is_spliced.clear = True
test_volume_both_ways_is_spliced.weight = 3


def test_volume_both_ways_copied(t):
    volume(t, False, splice=False)


test_volume_both_ways_copied.clear = True  # Python cannot read and write TLS at once.
test_volume_both_ways_copied.weight = 3


def test_over_tls(t):
    """From the client; a tunnel's bytes are copied then, and its ends are passed on."""
    cert = Cert(t.folder, "site", ["site.test"])
    listener = {"tls": {"certificates": [cert.as_config()]}}
    data = block(3_000_000)

    def talk(conn):
        conn.sock.sendall(conn.read(len(data)))
        conn.sock.shutdown(socket.SHUT_WR)
        conn.read()

    p = Place(t, switching(talk), listener=listener)
    c = p.open(tls=client_context(cert), name="site.test", timeout_s=30)
    c.send(data)
    t.check(read(t, c, len(data)) == data, "what came back differs")
    t.equal(read_end(c), ("fin", b""), "end")
    c.close()
    r = p.record()
    t.equal((r["status"], r["bytes_in"], r["bytes_out"], r["bytes_spliced"]),
            (101, len(data), len(data), 0), "record")


def test_under_faults(t):
    """The ring misbehaves as kernels may; no byte is lost, and each end is told."""
    data = block(700_000)

    def talk(conn):
        conn.sock.sendall(conn.read(len(data)))
        conn.sock.shutdown(socket.SHUT_WR)
        conn.read()

    for seed in range(1, 21 if t.full else 5):
        p = Place(t, switching(talk), splice=bool(seed & 1), env={"SLUICE_FAULTS": str(seed)})
        c = p.open(timeout_s=30)
        c.send(data)
        t.check(read(t, c, len(data)) == data, f"SLUICE_FAULTS={seed}: what came back differs")
        t.equal(read_end(c), ("fin", b""), f"SLUICE_FAULTS={seed}: end")
        c.half_close()
        t.equal(p.record()["reason"], "", f"SLUICE_FAULTS={seed}: reason")


def test_a_reader_that_stops(t):
    """Back-pressure: what lies between is bounded, and nothing is lost when it reads on."""
    n_sent = [0]
    size = 30_000_000
    data = block(size)

    def talk(conn):
        for at in range(0, size, 65536):
            conn.sock.sendall(data[at:at + 65536])
            n_sent[0] = min(at + 65536, size)
        conn.sock.shutdown(socket.SHUT_WR)
        conn.read()

    p = Place(t, switching(talk))
    c = p.open(rcvbuf=65536)
    last = -1
    pause = threading.Event()
    while last != n_sent[0]:
        last = n_sent[0]
        pause.wait(0.5)
    t.check(last < size // 2, f"{last} bytes were taken for one who reads none")
    t.check(read(t, c, size) == data, "what came differs")
    t.equal(read_end(c), ("fin", b""), "end")


# --- Ends. ---------------------------------------------------------------------------------------

def test_half_close_from_the_client(t):
    """The upstream reads the end, and may still say what it has to say."""
    def talk(conn):
        got = conn.read()
        conn.sock.sendall(b"got %d" % len(got))
        conn.sock.shutdown(socket.SHUT_WR)

    p = Place(t, switching(talk))
    c = p.open()
    c.send(b"x" * 100000)
    c.half_close()
    t.equal(read_end(c), ("fin", b"got 100000"), "answer behind the end")
    t.equal(p.record()["reason"], "", "reason")


def test_half_close_from_the_upstream(t):
    got = []

    def talk(conn):
        conn.sock.sendall(b"all I say")
        conn.sock.shutdown(socket.SHUT_WR)
        got.append(conn.read())

    p = Place(t, switching(talk))
    c = p.open()
    t.equal(read_end(c), ("fin", b"all I say"), "its end")
    c.send(b"but I have more" * 10000)
    c.half_close()
    t.check(p.up.wait(lambda: got), "the upstream does not read the end")
    t.equal(got, [b"but I have more" * 10000], "what came behind it")
    t.equal(p.record()["reason"], "", "reason")


def test_reset_from_the_client(t):
    ends = []

    def talk(conn):
        try:
            conn.read()
            ends.append("fin")
        except ConnectionResetError:
            ends.append("reset")

    p = Place(t, switching(talk))
    c = p.open()
    c.send(b"x")
    t.check(p.g.wait_metric(lambda m: m.sum("upstream_sent_bytes_total") > 1), "nothing is sent")
    c.reset()
    t.check(p.up.wait(lambda: ends), "the upstream is not told")
    t.equal(ends, ["reset"], "what it is told")
    p.reason("client_abort")


def test_reset_from_the_upstream(t):
    def talk(conn):
        conn.read(5)
        set_reset_on_close(conn.sock)
        conn.sock.close()

    p = Place(t, switching(talk))
    c = p.open()
    c.send(b"hello")
    t.equal(read_end(c)[0], "reset", "what the client is told")
    p.reason("reset_midbody")


test_reset_from_the_upstream.clear = True  # Over TLS, Python takes any end for an orderly one.


def test_never_pooled(t):
    """X10: each tunnel has a connection of its own, which ends with it."""
    def handle(conn, head):
        if "/ws" not in head[0]:
            conn.sock.sendall(response(200, b"plain"))
            return
        conn.sock.sendall(SWITCH)
        conn.sock.sendall(conn.read(4))
        conn.read()

    p = Place(t, handle)
    plain = t.client(p.g)
    t.equal(plain.ask().status, 200, "a plain request")
    for i in range(5):
        c = p.open()
        c.send(b"ping")
        t.equal(read(t, c, 4), b"ping", "echo")
        c.half_close()
        t.equal(read_end(c), ("fin", b""), f"end {i}")
        c.close()
        t.equal(plain.ask().status, 200, "a plain request afterwards")
    t.check(p.up.wait(lambda: len(p.up.open_connections()) <= 1), "tunnels stay open")
    for conn in p.up.connections:
        at = [i for i, head in enumerate(conn.heads) if "/ws" in head[0]]
        t.check(at in ([], [len(conn.heads) - 1]), "a request behind a tunnel")
    t.equal(p.g.metrics().sum("gateway_tunnels_total"), 5, "tunnels")


def test_a_dead_pooled_connection(t):
    """Nothing of a tunnel has begun: asked for again on a fresh connection."""
    def handle(conn, head):
        if "/ws" in head[0] and conn.index == 0:
            set_reset_on_close(conn.sock)
            conn.sock.close()
        elif "/ws" in head[0]:
            conn.sock.sendall(SWITCH)
            echo(conn)
        else:
            conn.sock.sendall(response(200, b"plain"))

    p = Place(t, handle, {"workers": 1})
    t.equal(t.client(p.g).ask().status, 200, "a plain request")
    c = p.open()
    c.send(b"ping")
    t.equal(read(t, c, 4), b"ping", "echo")
    t.equal(p.g.metrics().sum("upstream_retries_total"), 1, "retries")


def test_idle(t):
    """Bytes of either side keep it; then both sides read an orderly end."""
    ends = []

    def talk(conn):
        for _ in range(3):
            conn.sock.sendall(conn.read(4))
        ends.append(conn.read())

    p = Place(t, switching(talk), {"timeouts": {"tunnel_idle": "600ms"}})
    c = p.open()
    pause = threading.Event()
    for _ in range(3):
        pause.wait(0.4)
        c.send(b"ping")
        t.equal(read(t, c, 4), b"ping", "echo")
    t.equal(read_end(c), ("fin", b""), "end")
    c.close()
    t.check(p.up.wait(lambda: ends), "the upstream does not read the end")
    r = p.record()
    t.equal((r["reason"], r["ended_by"], r["ended_in"]), ("tunnel_idle", "gateway", "tunnel"),
            "record")
    t.check(r["duration_ms"] >= 1700, f"ended after {r['duration_ms']} ms")


def test_one_that_does_not_read(t):
    """It holds buffers, so it does not get the hour of one that has nothing to say."""
    def talk(conn):
        try:
            conn.sock.sendall(block(30_000_000))
        except OSError:
            pass

    p = Place(t, switching(talk), {"timeouts": {"write_stall": "500ms"}})
    c = p.open(rcvbuf=65536)
    p.reason("send_timeout")
    t.equal(read_end(c)[0], "reset", "end")


test_one_that_does_not_read.clear = True


def test_drain_with_grace(t):
    """Served on for the grace; then both sides read an end; exit 0."""
    ends = []

    def talk(conn):
        while True:
            data = conn.sock.recv(100)
            if not data:
                break
            conn.sock.sendall(data)
        ends.append("fin")

    p = Place(t, switching(talk), {"timeouts": {"tunnel_grace": "1500ms", "drain": "20s"}})
    c = p.open()
    p.g.signal(signal.SIGTERM)
    t.check(p.g.wait_metric(lambda m: m.sum("gateway_draining") == 1), "gateway_draining")
    for i in range(10):
        c.send(b"%04d" % i)
        t.equal(read(t, c, 4), b"%04d" % i, "echo while draining")
    t.equal(read_end(c), ("fin", b""), "end")
    c.close()
    t.check(p.up.wait(lambda: ends), "the upstream does not read the end")
    t.equal(p.g.wait_exit(), 0, "exit code")
    r = p.record()
    t.equal((r["status"], r["reason"], r["bytes_in"]), (101, "draining", 40), "record")


def test_drain_deadline(t):
    """A grace beyond the drain's deadline does not hold the process."""
    p = Place(t, switching(lambda conn: conn.read()),
              {"timeouts": {"tunnel_grace": "1h", "drain": "500ms"}})
    c = p.open()
    p.g.signal(signal.SIGTERM)
    t.equal(read_end(c)[0], "reset", "end")
    t.equal(p.g.wait_exit(), 0, "exit code")
    p.reason("draining")


test_drain_deadline.clear = True


def test_an_end_while_much_is_unread(t):
    """A client that ends both ways at once, with much on its way to a slow upstream."""
    got = []
    release = threading.Event()

    def talk(conn):
        conn.sock.shutdown(socket.SHUT_WR)
        release.wait(20)
        got.append(conn.read())

    p = Place(t, switching(talk))
    c = p.open()
    t.equal(read_end(c), ("fin", b""), "the upstream's end")
    data = block(8_000_000)
    thread = pour(c.sock, data)
    pause = threading.Event()
    pause.wait(0.3)
    release.set()
    thread.join(30)
    c.half_close()
    t.check(p.up.wait(lambda: got, 30), "the upstream does not read the end")
    t.check(got[0] == data, f"{len(got[0])} of {len(data)} bytes")


def test_allowed_by_a_reload(t):
    def handle(conn, head):
        if any(line.startswith("upgrade") for line in head):
            conn.sock.sendall(SWITCH)
            echo(conn)
        conn.sock.sendall(response(200, b"plain"))

    p = Place(t, handle, {"upgrades": ["none"]})
    c = p.ask()
    t.equal(c.take().status, 200, "before")
    p.g.write_config({"upgrades": ["websocket"]}, {})
    p.g.signal(signal.SIGHUP)
    t.check(p.g.wait_event(lambda e: e.get("event") == "reloaded"), "no reload")
    c = p.open()
    c.send(b"ping")
    t.equal(read(t, c, 4), b"ping", "echo")
