# SPDX-License-Identifier: Apache-2.0
"""Connections that carry several requests: order, pipelining, HTTP/1.0, and that no answer goes
to another request.
"""
import threading

from harness.client import Client, request
from harness.upstream import response


def test_many_requests_on_one_connection(t):
    g, u = t.pair()
    c = t.client(g)
    for i in range(300):
        r = c.ask("GET", f"/n/{i}", [("X-Nonce", f"n{i}")])
        t.equal((r.status, r.body), (200, f"GET /n/{i} 0 n{i}".encode()), f"answer {i}")
    t.equal(len(u.messages), 300, "requests at the upstream")


def test_pipelined_in_order(t):
    g, u = t.pair()
    c = t.client(g)
    methods = ["GET", "HEAD", "POST", "GET", "PUT", "OPTIONS"] * 20
    data = b""
    for i, m in enumerate(methods):
        c.expect(m)
        body = b"x" * (i * 7 % 50) if m in ("POST", "PUT") else b""
        data += request(m, f"/p/{i}", [("X-Nonce", str(i))], body)
    c.send(data)
    for i, m in enumerate(methods):
        r = c.take()
        t.equal((r.status, r.get("x-nonce")), (200, str(i)), f"answer {i} ({m})")
    t.equal(len(u.messages), len(methods), "requests forwarded")


def test_a_thousand_pipelined_without_reading(t):
    """Reading stops when a response is queued, memory stays flat, order holds (X15)."""
    body = b"z" * 20000

    def big(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, msg.target.encode().ljust(len(body), b".")))

    u = t.upstream(big)
    g = t.gateway(u, config={"workers": 1})
    before = g.rss_kib()
    c = t.client(g, rcvbuf=8192)
    data = b"".join(request(target=f"/q/{i}") for i in range(1000))
    sender = threading.Thread(target=c.sock.sendall, args=(data,), daemon=True)
    c.sock.settimeout(30)
    sender.start()
    t.check(u.wait(lambda: len(u.messages) >= 1), "nothing was forwarded")
    # 20 MB of answers are wanted; what the gateway may hold is bounded, and so is what it asks for.
    t.check(g.metrics() is not None, "the admin listener must answer meanwhile")
    t.check(len(u.messages) < 900, f"{len(u.messages)} requests were answered though nobody reads")
    grown = g.rss_kib() - before
    t.check(grown < 4096, f"memory grew by {grown} KiB")
    for _ in range(1000):
        c.expect("GET")
    for i in range(1000):
        r = c.take(timeout_s=20)
        t.check(r.body.rstrip(b".") == f"/q/{i}".encode(), lambda: f"answer {i} is {r.body[:20]!r}")
    sender.join(10)


def test_http10_closes_unless_asked(t):
    g, _ = t.pair()
    c = t.client(g)
    r = c.ask(version="HTTP/1.0")
    t.equal((r.status, r.get("connection")), (200, "close"), "HTTP/1.0 answer")
    t.equal(c.wait_end(), "fin", "end of the connection")
    c = t.client(g)
    for i in range(3):
        r = c.ask("GET", f"/{i}", [("Connection", "keep-alive")], version="HTTP/1.0")
        t.equal((r.status, r.get("connection")), (200, "keep-alive"), f"HTTP/1.0 keep-alive {i}")


def test_http10_upstream(t):
    """An upstream of HTTP/1.0 is asked in 1.1, and its answer goes out as 1.1."""

    def old(conn, msg):
        conn.read_body(msg)
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
        conn.close()

    g, _ = t.pair(old)
    c = t.client(g)
    for _ in range(3):
        r = c.ask()
        t.equal((r.version, r.status, r.body), ("HTTP/1.1", 200, b"old"), "answer")


def test_no_answer_is_mixed_up(t):
    """Many connections at once, each answer carries its own request's nonce."""
    g, u = t.pair()
    wrong = []

    def work(k):
        with Client(g.address) as c:
            for i in range(60):
                nonce = f"{k}-{i}"
                r = c.ask("POST" if i % 3 else "GET", f"/{k}/{i}", [("X-Nonce", nonce)],
                          b"b" * (i % 3) * 100)
                if r.get("x-nonce") != nonce or not r.body.endswith(nonce.encode()):
                    wrong.append((nonce, r.get("x-nonce")))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(16)]
    for th in threads:
        th.start()
    for th in threads:
        th.join(60)
    t.equal(wrong, [], "mixed-up answers")
    t.equal(len(u.messages), 16 * 60, "requests at the upstream")


def test_closing_is_kept(t):
    """Connection: close is answered as such; bytes behind are not looked at."""
    g, u = t.pair()
    c = t.client(g)
    c.expect("GET")
    c.send(request("GET", "/1", [("Connection", "close")]) + request("GET", "/2"))
    r = c.take()
    t.equal((r.status, r.get("connection")), (200, "close"), "answer")
    t.check(c.wait_end() in ("fin", "reset"), "the connection must end")
    t.equal([m.target for m in u.messages], ["/1"], "requests at the upstream")
