# SPDX-License-Identifier: Apache-2.0
"""Slow and silent clients, with short deadlines."""
import threading
import time

from harness.client import Client, Ended, request
from harness.upstream import response

MIB = 1 << 20


def closed_reasons(g, reason):
    return g.wait_metric(lambda m: (m.sum("gateway_connections_closed_total", reason=reason)
                                    or 0) >= 1)


def between(t, took, low, high, what):
    t.check(low <= took <= high, f"{what} after {took:.2f} s, want {low} to {high}")


def test_silent_client(t):
    """Nothing is sent: closed without a word."""
    g, _ = t.pair(config={"timeouts": {"head": "500ms", "keepalive": "500ms"}})
    began = time.monotonic()
    c = t.client(g)
    t.equal(c.wait_end(), "fin", "end")
    between(t, time.monotonic() - began, 0.45, 3.0, "closed")
    t.equal(bytes(c.raw), b"", "bytes sent")
    t.check(closed_reasons(g, "idle_timeout"),
            "gateway_connections_closed_total{reason=idle_timeout}")


def test_idle_keepalive(t):
    """After a response, silence: closed without a word."""
    g, _ = t.pair(config={"timeouts": {"head": "5s", "keepalive": "500ms"}})
    c = t.client(g)
    t.equal(c.ask().status, 200, "answer")
    n, began = len(c.raw), time.monotonic()
    t.equal(c.wait_end(), "fin", "end")
    between(t, time.monotonic() - began, 0.4, 3.0, "closed")
    t.equal(len(c.raw), n, "bytes after the answer")


def trickle(c, data, pause_s):
    """Send byte by byte until somebody hangs up; the pause is the attack, not a synchronisation."""
    pause = threading.Event()

    def run():
        try:
            for i in range(len(data)):
                c.sock.sendall(data[i:i + 1])
                if pause.wait(pause_s):
                    return
        except OSError:
            pass

    th = threading.Thread(target=run, daemon=True)
    th.start()
    return pause


def test_head_dribbled(t):
    """The head has a time in all, not between bytes."""
    g, u = t.pair(config={"timeouts": {"head": "800ms", "keepalive": "5s"}})
    for served in (0, 1):
        c = t.client(g)
        for _ in range(served):
            c.ask()
        n = u.n_bytes
        began = time.monotonic()
        c.expect("GET")
        stop = trickle(c, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 1000, 0.05)
        r = c.take()
        stop.set()
        between(t, time.monotonic() - began, 0.75, 3.0, "408")
        t.equal((r.status, r.get("connection")), (408, "close"), "answer")
        t.check(c.wait_end() in ("fin", "reset"), "the connection must end")
        t.equal(u.n_bytes, n, "bytes at the upstream")
    t.equal(len(g.access(lambda a: a.get("reason") == "header_timeout", n=2)), 2,
            "access-log lines")


def test_body_stalls(t):
    """A body that stops coming."""
    g, u = t.pair(config={"timeouts": {"body_idle": "600ms"}})
    for i, head in enumerate((b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n")):
        c = t.client(g)
        c.expect("POST")
        began = time.monotonic()
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n"
               + (b"abc" if not i else b"3\r\nabc\r\n"))
        r = c.take()
        between(t, time.monotonic() - began, 0.55, 3.0, "408")
        t.equal((r.status, r.get("connection")), (408, "close"), "answer")
        t.check(u.wait(lambda n=i: len(u.connections) > n and not u.connections[n].open, 2.0),
                "the upstream was not told")
        t.check(not any(m.complete for m in u.messages), "a complete message that was not sent")
    t.equal(len(g.access(lambda a: a.get("reason") == "body_timeout", n=2)), 2, "access-log lines")


def test_body_dribbled(t):
    """One byte now and then beats the idle deadline, not the minimum rate."""
    g, u = t.pair(config={"timeouts": {"body_idle": "2s"}})
    c = t.client(g, timeout_s=20)
    c.expect("POST")
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    stop = trickle(c, b"x" * 900, 0.1)
    r = c.take()
    stop.set()
    t.equal(r.status, 408, "answer")
    t.check(u.wait(lambda: not u.connections[0].open, 2.0), "the upstream was not told")


def pour(c):
    """Send without end until somebody hangs up."""

    def run():
        try:
            while True:
                c.sock.sendall(b"x" * MIB)
        except OSError:
            pass

    th = threading.Thread(target=run, daemon=True)
    th.start()
    return th


def test_upload_is_not_taken(t):
    """An upstream that takes no more of a body is to blame, however little patience there is with
    the client, which has sent all it could.
    """
    go = threading.Event()
    for splice in (True, False):
        u = t.upstream(lambda conn, msg: go.wait(10), rcvbuf=4096)
        g = t.gateway(u, splice=splice,
                      config={"timeouts": {"body_idle": "400ms", "write_stall": "1200ms"}})
        c = t.client(g, timeout_s=20)
        c.expect("POST")
        began = time.monotonic()
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n")
        pourer = pour(c)
        r = c.take()
        between(t, time.monotonic() - began, 1.1, 6.0, "504")
        t.equal(r.status, 504, "answer")
        t.check(g.access(lambda a: a.get("reason") == "upstream_write_timeout"),
                "no access-log line with its reason")
        c.close()
        pourer.join(5)
    go.set()


def test_response_is_not_read(t):
    """A client that stops reading is cut off, and what waits for it is bounded."""

    def pour(conn, msg):
        conn.read_body(msg)
        conn.stash["sent"] = 0
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {256 * MIB}\r\n\r\n".encode())
        for _ in range(4096):
            conn.send(b"x" * 65536)
            conn.stash["sent"] += 65536

    for splice in (True, False):
        g, u = t.pair(pour, splice=splice, config={"timeouts": {"write_stall": "700ms"}})
        before = g.rss_kib()
        c = t.client(g, rcvbuf=4096)
        c.expect("GET")
        c.send(request())
        began = time.monotonic()
        t.check(u.wait(lambda: u.connections and not u.connections[0].open, 10.0),
                "the upstream is held for ever")
        between(t, u.connections[0].closed_at - began, 0.65, 6.0, "cut off")
        sent = u.connections[0].stash["sent"]
        t.check(sent < 32 * MIB, f"the upstream could send {sent >> 20} MiB that nobody read")
        t.check(g.rss_kib() - before < 4096, "memory grew")
        t.check(g.access(lambda a: a.get("reason") == "send_timeout"),
                "no access-log line with its reason")


def test_slow_reader_is_served(t):
    """Slow is not stalled: who reads on gets everything."""
    size = 3 * MIB

    def body(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, b"x" * size))

    g, _ = t.pair(body, config={"timeouts": {"write_stall": "700ms"}})
    c = t.client(g, rcvbuf=16384, timeout_s=30)
    c.expect("GET")
    c.send(request())
    r = c.take_head()
    pause = threading.Event()
    while not r.complete:
        c.pump(time.monotonic() + 5)
        if r.body_len < MIB:
            pause.wait(0.002)
    t.equal(r.body_len, size, "length")


def refused_at_once(g, source):
    """Whether a connection from there is ended without an answer."""
    try:
        c = Client(g.address, source=source)
    except ConnectionResetError:
        return True
    try:
        c.expect("GET")
        c.send(request())
        return c.wait_end(3.0) in ("fin", "reset") and not c.raw
    except (BrokenPipeError, ConnectionResetError):
        return True
    except Ended:
        return False
    finally:
        c.close()


def test_connections_per_client(t):
    """One address too many times; other addresses are served."""
    g, _ = t.pair(config={"workers": 1, "limits": {"per_client": 5}})
    held = [t.client(g, source="127.0.0.7") for _ in range(5)]
    for c in held:
        t.equal(c.ask().status, 200, "within the limit")
    t.check(refused_at_once(g, "127.0.0.7"), "the sixth connection of an address is served")
    t.equal(t.client(g, source="127.0.0.8").ask().status, 200, "another address")
    for c in held:
        t.equal(c.ask().status, 200, "those before go on")
    t.check(closed_reasons(g, "per_client_connections"), "not counted")
    held.pop().close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not refused_at_once(g, "127.0.0.7"):
            return
    t.check(False, "the place of a connection that ended is not given away")


def test_connection_limit(t):
    """At the limit accepting pauses: who comes then waits, and is served when there is room."""
    g, _ = t.pair(config={"workers": 1, "limits": {"connections": 16}})
    held = [t.client(g) for _ in range(16)]
    served = []
    for c in held:
        c.expect("GET")
        c.send(request())
        try:
            served.append(c.take(1.0).status)
        except Ended:
            break
    t.check(len(served) >= 8 and set(served) == {200}, f"served {served}")
    paused = g.wait_metric(lambda m: m.sum("gateway_accept_paused") == 1)
    late = t.client(g)
    late.expect("GET")
    late.send(request())
    t.check(paused, "gateway_accept_paused is not 1 at the limit")
    t.check(late.silent(0.2), "a connection above the limit is served or refused")
    for c in held:
        c.close()
    t.equal(late.take().status, 200, "the one that waited")
    t.check(g.wait_metric(lambda m: m.sum("gateway_accept_paused") == 0),
            "accepting is not resumed")


def test_good_clients_among_slow_ones(t):
    """Four hundred slow ones of each kind do not hurt the others."""
    g, u = t.pair(config={"timeouts": {"head": "20s", "body_idle": "20s", "keepalive": "20s"}})
    before = g.rss_kib()
    slow = []
    for i in range(400):
        c = t.client(g)
        if i % 4 == 1:
            c.send(b"GET / HTTP/1.1\r\nHo")
        elif i % 4 == 2:
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        elif i % 4 == 3:
            c.expect("GET")
            c.send(request())
        slow.append(c)
    good = t.client(g)
    took = []
    for i in range(200):
        began = time.monotonic()
        t.equal(good.ask("GET", f"/{i}").status, 200, "answer")
        took.append(time.monotonic() - began)
    took.sort()
    t.check(took[190] < 0.2, f"95th percentile {took[190] * 1000:.0f} ms")
    grown = g.rss_kib() - before
    t.check(grown < 400 * 64, f"memory grew by {grown} KiB for 400 connections")


for _fn in (test_head_dribbled, test_upload_is_not_taken, test_connection_limit):
    _fn.clear = True  # Two threads of the test use one socket, or it waits to be accepted.
