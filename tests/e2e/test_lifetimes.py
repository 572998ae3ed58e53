# SPDX-License-Identifier: Apache-2.0
"""What connections must not outlive, and what must not outlive them."""
import signal
import threading
import time

from harness.client import request
from harness.upstream import response


def test_one_connection_at_a_time(t):
    """With room for a single client the gate opens again when that one has gone."""
    g, _ = t.pair(config={"limits": {"connections": 1}, "workers": 1})
    for i in range(5):
        with t.client(g) as c:
            t.equal(c.ask("GET", f"/{i}").status, 200, f"answer {i}")


def test_a_probe_does_not_hold_up_the_drain(t):
    """A keep-alive connection that the drain finds queued ends with our own answer, too."""
    release = threading.Event()

    def handle(conn, msg):
        release.wait(15)
        conn.send(response(200, b"late"))

    g, u = t.pair(handle, config={"timeouts": {"drain_grace": "0s", "drain": "20s"},
                                  "workers": 1})
    held = t.client(g)
    held.expect("GET")
    held.send(request("GET", "/held"))
    t.check(u.wait(lambda: u.messages), "the request does not arrive")
    probes = [t.client(g) for _ in range(3)]  # No request yet: they get a second for the first.
    g.freeze()  # The kernel takes connections on as before.
    try:
        probes += [t.client(g) for _ in range(3)]
        g.signal(signal.SIGTERM)
    finally:
        g.thaw()
    t.check(g.wait_metric(lambda m: m.sum("gateway_draining") == 1), "gateway_draining")
    for c in probes:
        r = c.ask("GET", "/health")
        t.equal((r.status, r.get("connection")), (503, "close"), "probe")
    release.set()
    t.equal(held.take().body, b"late", "the held request's answer")
    t.equal(g.wait_exit(8.0), 0, "exit code")


def test_an_answer_that_nobody_asked_for(t):
    """The peer of a pooled connection speaks just as a request is put on it: not its answer."""
    conns = []

    def handle(conn, msg):
        conns.append(conn)
        conn.send(response(200, msg.target.encode()))

    g, u = t.pair(handle, config={"workers": 1})
    c = t.client(g)
    t.equal(c.ask("GET", "/first").body, b"/first", "first answer")
    t.check(g.wait_metric(lambda m: m.sum("upstream_connections_idle") == 1),
            "the connection is not pooled")
    g.freeze()  # Both wait for the same turn, the request in front.
    try:
        c.expect("GET")
        c.send(request("GET", "/second"))
        time.sleep(0.1)
        conns[0].send(response(200, b"poison"))
        time.sleep(0.1)
    finally:
        g.thaw()
    t.equal(c.take().body, b"/second", "second answer")


def test_interim_answers_are_no_silence(t):
    """A reused connection that ends behind a 1xx had begun to answer: no second try."""
    def handle(conn, msg):
        if msg.target == "/first":
            conn.send(response(200, b"first"))
            return
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        conn.close()

    g, u = t.pair(handle, rest=False, config={"workers": 1})
    c = t.client(g)
    t.equal(c.ask("GET", "/first").status, 200, "first answer")
    t.equal(c.ask("GET", "/second").status, 502, "second answer")
    t.equal([m.target for m in u.messages], ["/first", "/second"], "requests upstream")


test_a_probe_does_not_hold_up_the_drain.clear = True  # A handshake waits for who is not accepted.
