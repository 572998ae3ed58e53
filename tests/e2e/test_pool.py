# SPDX-License-Identifier: Apache-2.0
"""Upstream connections: reuse, limits, purge, kinds of address, and how several upstreams share
the work.
"""
import collections
import os
import pwd
import socket
import threading

from harness.client import Client
from harness.upstream import response

ONE = {"workers": 1}


def parallel(n, work):
    """work(k) in n threads; what they raised."""
    raised = []

    def guarded(k):
        try:
            work(k)
        except Exception as e:
            raised.append(repr(e))

    threads = [threading.Thread(target=guarded, args=(k,)) for k in range(n)]
    for th in threads:
        th.start()
    for th in threads:
        th.join(60)
    return raised


def test_one_connection_serves_many(t):
    g, u = t.pair(config=ONE)
    for i in range(5):
        c = t.client(g)
        for k in range(20):
            t.equal(c.ask("GET", f"/{i}/{k}").status, 200, "answer")
        c.close()
    t.equal(len(u.connections), 1, "upstream connections for 100 requests in a row")
    t.check(g.wait_metric(lambda m: (m.sum("upstream_pool_hits_total"),
                                     m.sum("upstream_pool_misses_total")) == (99, 1)),
            "upstream_pool_hits_total and upstream_pool_misses_total are not 99 and 1")


def test_reuse_at_steady_load(t):
    g, u = t.pair(config=ONE)

    def work(k):
        with Client(g.address) as c:
            for i in range(200):
                c.ask("GET", f"/{k}/{i}")

    t.equal(parallel(8, work), [], "raised")
    t.check(len(u.connections) <= 8, f"{len(u.connections)} upstream connections for 8 clients")


def test_idle_connections_are_purged(t):
    g, u = t.pair(config={"workers": 1, "pool": {"idle_timeout": "300ms"}})
    c = t.client(g)
    t.equal(c.ask().status, 200, "answer")
    t.check(u.wait(lambda: not u.connections[0].open, 8.0), "an idle connection is kept for ever")
    t.equal(u.connections[0].peer_end, "fin", "who ended it, and how")
    t.equal(c.ask().status, 200, "answer on a new connection")
    t.check(g.wait_metric(lambda m: m.sum("upstream_connections_idle") == 0, 8.0),
            "upstream_connections_idle")


def test_idle_connections_are_limited(t):
    """Ten at once, two are kept."""
    barrier = threading.Barrier(10)

    def together(conn, msg):
        conn.read_body(msg)
        barrier.wait(10)
        conn.send(response(200, b"x"))

    g, u = t.pair(together, config={"workers": 1, "pool": {"max_idle_per_upstream": 2}})

    def work(_):
        with Client(g.address) as c:
            c.ask()

    t.equal(parallel(10, work), [], "raised")
    t.equal(len(u.connections), 10, "upstream connections")
    t.check(u.wait(lambda: len(u.open_connections()) <= 2, 15.0),
            f"{len(u.open_connections())} idle connections are kept")
    t.check(g.wait_metric(lambda m: m.sum("upstream_connections_idle") <= 2),
            "upstream_connections_idle")


def test_connections_are_worn_out(t):
    g, u = t.pair(config={"workers": 1, "pool": {"max_requests": 5}})
    c = t.client(g)
    for i in range(20):
        t.equal(c.ask("GET", f"/{i}").status, 200, "answer")
    t.equal([len(k.messages) for k in u.connections], [5, 5, 5, 5],
            "requests per upstream connection")


def test_upstream_that_says_close(t):
    def once(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, b"x", [("Connection", "close")]))
        conn.wait_end(5.0)
        conn.close()

    g, u = t.pair(once, config=ONE)
    c = t.client(g)
    for i in range(5):
        r = c.ask("GET", f"/{i}")
        t.equal(r.status, 200, "answer")
        t.check("close" not in (r.get("connection") or ""), "the upstream's close was passed on")
    t.equal([len(k.messages) for k in u.connections], [1] * 5, "requests per upstream connection")
    t.check(u.wait(lambda: not u.open_connections(), 3.0), "connections that said close are kept")


def test_unix_socket(t):
    u = t.upstream(family="unix", path=t.path("up.sock"))
    os.chmod(u.path, 0o777)
    g = t.gateway(u)
    c = t.client(g)
    for i in range(5):
        t.equal(c.ask("GET", f"/{i}", host="site.example").body, f"GET /{i} 0 ".encode(), "answer")
    t.equal({m.get("host") for m in u.messages}, {"site.example"}, "Host at the upstream")
    r = c.ask("PUT", "/big", body=b"x" * 3000000)
    t.equal(r.body, b"PUT /big 3000000 ", "answer to a large body")


def test_ipv6(t):
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        t.skip("no IPv6 on loopback")
    u = t.upstream(family="ipv6")
    g = t.gateway(u, listener={"address": "[::1]:0"})
    c = t.client(g)
    r = c.ask("GET", "/six")
    t.equal(r.body, b"GET /six 0 ", "answer")
    t.equal(u.messages[0].get("x-forwarded-for"), "::1", "X-Forwarded-For")


def test_name(t):
    """A name is resolved, and not by a worker that serves."""
    u = t.upstream()
    g = t.gateway(f"http://localhost:{u.port}")
    c = t.client(g)
    t.equal(c.ask("GET", "/named").body, b"GET /named 0 ", "answer")


def test_several_share_the_work(t):
    ups = [t.upstream() for _ in range(3)]
    g = t.gateway(*ups)

    def work(k):
        with Client(g.address) as c:
            for i in range(50):
                c.ask("GET", f"/{k}/{i}")

    t.equal(parallel(6, work), [], "raised")
    shares = [len(u.messages) for u in ups]
    t.equal(sum(shares), 300, "requests at the upstreams")
    t.check(min(shares) >= 45, f"shares {shares}")


def test_the_slow_one_gets_less(t):
    """Two random choices on requests in flight: a slow upstream is avoided."""
    pause = threading.Event()

    def slow(conn, msg):
        conn.read_body(msg)
        pause.wait(0.1)
        conn.send(response(200, b"slow"))

    a, b = t.upstream(slow), t.upstream()
    g = t.gateway(a, b, config=ONE)

    def work(k):
        with Client(g.address) as c:
            for i in range(40):
                c.ask("GET", f"/{k}/{i}")

    t.equal(parallel(8, work), [], "raised")
    t.check(len(a.messages) * 2 < len(b.messages),
            f"slow {len(a.messages)}, quick {len(b.messages)}")


def test_one_of_several_dies(t):
    """Requests go on with the others; every failure has a status that says so."""
    ups = [t.upstream() for _ in range(3)]
    g = t.gateway(*ups)
    seen = collections.Counter()
    c = t.client(g)
    for i in range(150):
        if i == 50:
            ups[0].stop()
        seen[c.ask("GET", f"/{i}").status] += 1
    t.equal(seen, collections.Counter({200: 150}), "statuses")


def test_unprivileged_with_little_memlock(t):
    """As an ordinary user with the usual 8 MiB of lockable memory."""
    if os.geteuid():
        t.skip("must be root to become somebody else")
    try:
        pwd.getpwnam("nobody")
    except KeyError:
        t.skip("no user nobody")
    os.chmod(t.folder, 0o755)
    u = t.upstream()
    g = t.gateway(u, user="nobody", prefix=["prlimit", "--memlock=8388608:8388608"])
    c = t.client(g)
    for i in range(20):
        t.equal(c.ask("GET", f"/{i}").status, 200, "answer")
    r = c.ask("PUT", "/big", body=b"x" * 3000000)
    t.equal(r.body, b"PUT /big 3000000 ", "answer to a large body")
