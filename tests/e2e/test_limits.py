# SPDX-License-Identifier: Apache-2.0
"""What the system grants is little: descriptors, memory; and limits on heads from the
configuration.
"""
import threading
import time

from harness.client import Client, Ended, request
from harness.upstream import response


def serve_all(t, g, n):
    """n clients at once, each asks once and leaves; all must get their answer, some of them after
    waiting.
    """
    results = []
    lock = threading.Lock()

    def work(k):
        try:
            with Client(g.address, timeout_s=30) as c:
                r = c.ask("GET", f"/{k}")
                with lock:
                    results.append(r.status)
        except (Ended, OSError) as e:
            with lock:
                results.append(repr(e))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(n)]
    for th in threads:
        th.start()
    for th in threads:
        th.join(60)
    t.equal([r for r in results if r != 200][:5], [], f"answers of {n} clients")
    t.equal(len(results), n, "answers")


def test_few_descriptors(t):
    """64 descriptors: accepting pauses in time, nobody is dropped, work goes on."""
    g, _ = t.pair(prefix=["prlimit", "--nofile=64:64"])
    serve_all(t, g, 200)
    t.check(g.running(), "still there")
    held = []
    for _ in range(80):
        c = t.client(g)
        c.expect("GET")
        c.send(request())
        held.append(c)
    t.equal(held[0].take().status, 200, "the first one")
    t.check(g.wait_metric(lambda m: m.sum("gateway_accept_paused") >= 1), "gateway_accept_paused")
    before = g.cpu_ticks()
    t.check(held[-1].silent(1.0), "the last one is served though there is no room")
    t.check(g.cpu_ticks() - before < 40, "a paused gateway burns the processor")
    for c in held[:-1]:
        c.close()
    t.equal(held[-1].take().status, 200, "the last one, when there is room")


def test_few_descriptors_and_slow_upstream(t):
    """Descriptors are shared between clients and upstreams: no deadlock between the two."""
    pause = threading.Event()

    def slow(conn, msg):
        conn.read_body(msg)
        pause.wait(0.02)
        conn.send(response(200, b"x" * 100000))

    g, _ = t.pair(slow, prefix=["prlimit", "--nofile=64:64"])
    serve_all(t, g, 150)


def test_one_warning_says_the_consequence(t):
    g, _ = t.pair(prefix=["prlimit", "--nofile=64:64"])
    warnings = [e for e in g.events if e.get("level") in ("warn", "warning")]
    t.check(any("nofile" in str(e).lower() or "descriptor" in str(e).lower() for e in warnings),
            f"warnings {warnings}")


def test_head_limits(t):
    g, u = t.pair(config={"limits": {"head_bytes": "4KiB", "head_fields": 10}})
    for fields, want in (([("X-A", "b")] * 5, 200), ([("X-A", "b")] * 12, 431),
                         ([("X-A", "b" * 1000)] * 3, 200),
                         ([("X-A", "b" * 1000)] * 6, 431)):
        with Client(g.address) as c:
            t.equal(c.ask("GET", "/", fields).status, want, f"status with {len(fields)} fields")
    t.equal(len(u.messages), 2, "requests at the upstream")


def test_connections_come_and_go(t):
    """Thousands of short connections leave nothing behind."""
    g, _ = t.pair()
    n = 20000 if t.full else 1500

    def work(k):
        for i in range(n // 6):
            with Client(g.address) as c:
                if i % 5 == 0:
                    c.reset()
                elif i % 5 == 1:
                    c.send(b"GET / HT")
                elif i % 5 == 2:
                    c.send(request())
                    c.reset()
                else:
                    c.ask("GET", f"/{k}/{i}")

    work(0)
    files, rss = g.n_descriptors(), g.rss_kib()
    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 6)]
    for th in threads:
        th.start()
    for th in threads:
        th.join(600 if t.full else 60)
    deadline = time.monotonic() + 5
    while g.n_descriptors() > files + 16 and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    t.check(g.n_descriptors() <= files + 16,
            f"{files} descriptors before, {g.n_descriptors()} after")
    t.check(g.rss_kib() < rss + 8192, f"{rss} KiB before, {g.rss_kib()} after")


test_few_descriptors.clear = True  # A handshake waits for who is not accepted.
