# SPDX-License-Identifier: Apache-2.0
"""Answers that come before the request is over, and clients that go away early (D24).
"""
import select
import socket
import threading
import time

from harness.client import Client, chunked, request
from harness.upstream import response

MIB = 1 << 20


def test_half_closed_client_gets_its_reply(t):
    go = threading.Event()

    def late(conn, msg):
        conn.read_body(msg)
        go.wait(5)
        conn.send(response(200, b"full reply" * 1000))

    g, u = t.pair(late)
    for data in (request(), request("POST", "/", [], b"hello")):
        go.clear()
        n = len(u.messages)
        c = t.client(g)
        c.expect("GET")
        c.send(data)
        c.half_close()
        t.check(u.wait(lambda: len(u.messages) > n), "the request does not arrive")
        t.check(c.silent(0.1), "an answer before the upstream's")
        go.set()
        r = c.take()
        t.equal((r.status, r.body_len, r.get("connection")), (200, 10000, "close"), "answer")
        t.equal(c.wait_end(), "fin", "end")


def test_half_closed_client_gets_a_long_reply(t):
    size = 8 * MIB

    def long(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, b"x" * size))

    for splice in (True, False):
        g, _ = t.pair(long, splice=splice)
        c = t.client(g)
        c.expect("GET")
        c.send(request())
        c.half_close()
        t.equal(c.take().body_len, size, f"length of the answer, splice={splice}")


def test_half_closed_clients_do_not_wait_for_each_other(t):
    """One that reads nothing holds up nobody else, however long it is put up with."""
    piece, n = b"x" * 65536, 128

    def long(conn, msg):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([piece] * n))

    g, _ = t.pair(long, config={"workers": 1, "timeouts": {"write_stall": "120s"}})
    for _ in range(2):
        stuck = t.client(g, rcvbuf=4096)
        stuck.expect("GET")
        stuck.send(request())
        stuck.half_close()
        stuck.take_head()
        c = t.client(g, rcvbuf=4096, timeout_s=20)
        c.expect("GET")
        c.send(request())
        c.half_close()
        t.equal(c.take().body_len, n * len(piece), "length of the answer")
        t.equal(c.wait_end(), "fin", "end")


def early(conn, msg):
    """Answers as soon as the head is there, and does not read on until the gateway ends the
    connection.
    """
    conn.send(response(413, b"too much", reason="Content Too Large"))
    conn.stash["end"] = conn.wait_end(5.0)
    conn.close()


def test_early_answer_to_an_upload(t):
    """The reply is relayed; the half-fed upstream connection is never used again (D24)."""
    g, u = t.pair(early)
    c = t.client(g)
    c.expect("POST")
    c.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
    r = c.take()
    t.equal((r.status, r.body), (413, b"too much"), "answer")
    t.check(u.wait(lambda: u.connections[0].peer_end, 3.0),
            "the upstream connection with half a request stays open")
    t.check(not u.messages[0].complete, "the upstream got a complete message that was not sent")
    c2 = t.client(g)
    t.equal(c2.ask("GET", "/next").status, 413, "a new connection")
    t.check(len(u.connections) >= 2, "the connection was used again")


def test_early_answer_while_the_client_keeps_sending(t):
    """A client that sends on gets its reply before its connection ends."""
    g, _ = t.pair(early)
    c = t.client(g)
    c.expect("POST")
    c.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")

    def pour():
        try:
            for _ in range(100):
                c.sock.sendall(b"x" * MIB)
        except OSError:
            pass

    c.sock.settimeout(10)
    pourer = threading.Thread(target=pour, daemon=True)
    pourer.start()
    r = c.take()
    t.equal((r.status, r.body), (413, b"too much"), "answer")
    c.close()
    pourer.join(5)


def test_small_rest_of_an_upload_is_drained(t):
    """An early answer, then the few missing bytes: either the connection goes on in step, or it
    closes in order.
    """
    g, _ = t.pair(early)
    c = t.client(g)
    c.expect("POST")
    c.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789")
    r = c.take()
    t.equal(r.status, 413, "answer")
    c.send(b"0123456789")
    if "close" in (r.get("connection") or ""):
        t.check(c.wait_end() in ("fin", "reset"), "the connection must end")
    else:
        t.equal(c.ask("GET", "/next").status, 413, "the next request on the connection")


def gone_within(t, u, began, what):
    conn = u.connections[-1]
    t.check(u.wait(lambda: not conn.open, 5.0), f"{what}: the upstream was not told")
    took = conn.closed_at - began
    t.check(took <= 1.0, f"{what}: the upstream was told after {took:.2f} s")


def endless(conn, msg):
    conn.read_body(msg)
    kind = msg.target
    if kind == "/chunked":
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    else:
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n" if kind == "/chunked" else b"x" * 65536
    while True:
        conn.send(block)


def reset_mid_download(t, splice):
    g, u = t.pair(endless, splice=splice)
    for kind in ("/length", "/chunked"):
        c = t.client(g)
        c.expect("GET")
        c.send(request("GET", kind))
        r = c.take_head()
        c.pump_until(lambda m=r: m.body_len > MIB)
        began = time.monotonic()
        c.reset()
        gone_within(t, u, began, f"{kind}, splice={splice}")
    logged = g.access(lambda a: a.get("reason") == "client_abort", n=2)
    t.equal(len(logged), 2, "access-log lines with reason client_abort")


def test_client_resets_mid_download(t):
    reset_mid_download(t, True)


def test_client_resets_mid_download_without_splice(t):
    reset_mid_download(t, False)


def mute(conn, msg):
    conn.read_body(msg)
    conn.wait_end(5.0)
    conn.close()


def test_client_resets_while_the_answer_is_awaited(t):
    """Nothing flows, yet the upstream is told within a second."""
    g, u = t.pair(mute)
    c = t.client(g)
    c.send(request())
    t.check(u.wait(lambda: u.messages), "the request does not arrive")
    began = time.monotonic()
    c.reset()
    gone_within(t, u, began, "waiting")


def test_client_resets_behind_a_pipelined_request(t):
    """The second request waits unread, so nothing is received: the end is noticed all the same."""
    g, u = t.pair(mute)
    for i, tail in enumerate((request(target="/next"), b"GET /par")):
        c = t.client(g)
        c.send(request() + tail)
        t.check(u.wait(lambda n=i: len(u.messages) > n), "the request does not arrive")
        began = time.monotonic()
        c.reset()
        gone_within(t, u, began, repr(tail))


def test_client_resets_after_its_half_close(t):
    g, u = t.pair(mute)
    c = t.client(g)
    c.send(request())
    c.half_close()
    t.check(u.wait(lambda: u.messages), "the request does not arrive")
    t.check(c.silent(0.3), "a half-closed client is still waited for")
    t.check(u.connections[-1].open, "half-closed, but the upstream was told of an end")
    began = time.monotonic()
    c.reset()
    gone_within(t, u, began, "half-closed")


def reset_stuck_upload(t, splice):
    """The upstream reads nothing of the body, so nothing more is received from the client."""
    def deaf(conn, msg):
        ended = select.poll()
        ended.register(conn.sock, select.POLLRDHUP)
        ended.poll(5000)
        conn.close()

    g, u = t.pair(deaf, splice=splice)
    c = t.client(g)
    c.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
    c.sock.settimeout(0.5)
    try:
        while True:
            c.send(b"x" * 65536)
    except socket.timeout:
        pass
    began = time.monotonic()
    c.reset()
    gone_within(t, u, began, f"stuck, splice={splice}")


def test_client_resets_a_stuck_upload(t):
    reset_stuck_upload(t, True)


def test_client_resets_a_stuck_upload_without_splice(t):
    reset_stuck_upload(t, False)


def reset_mid_upload(t, splice):
    g, u = t.pair(splice=splice)
    for i, head in enumerate((b"Content-Length: 100000000\r\n", b"Transfer-Encoding: chunked\r\n")):
        c = t.client(g)
        body = b"x" * 300000 if not i else b"493e0\r\n" + b"x" * 300000 + b"\r\n"
        c.send(b"POST /up HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n" + body)
        t.check(u.wait(lambda n=i: len(u.messages) > n and u.messages[n].body_len >= 300000),
                "the body does not arrive")
        began = time.monotonic()
        c.reset()
        gone_within(t, u, began, head.decode())
        t.check(not u.messages[i].complete, "a complete message arrived that was not sent")
    # And no later request meets what is left of them.
    c = t.client(g)
    t.equal(c.ask("GET", "/fresh").body.split()[1], b"/fresh", "a request behind")


def test_client_resets_mid_upload(t):
    reset_mid_upload(t, True)


def test_client_resets_mid_upload_without_splice(t):
    reset_mid_upload(t, False)


def test_client_half_closes_mid_upload(t):
    """A FIN inside the body makes the message incomplete: no reply, upstream aborted (D21, K14)."""
    g, u = t.pair()
    c = t.client(g)
    c.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    t.check(u.wait(lambda: u.messages and u.messages[0].body_len == 3), "the body does not arrive")
    began = time.monotonic()
    c.half_close()
    gone_within(t, u, began, "half-closed upload")
    t.check(c.wait_end() in ("fin", "reset"), "the connection must end")
    t.equal(bytes(c.raw), b"", "answer")
    t.check(not u.messages[0].complete, "a complete message arrived that was not sent")


def test_upstream_answers_and_stops_reading(t):
    """The upload is cut short, the reply is not; nobody waits for ever."""

    def deaf(conn, msg):
        conn.send(response(200, b"enough", [("Connection", "close")]))
        conn.half_close()
        conn.wait_end(5.0)
        conn.close()

    g, _ = t.pair(deaf)
    with Client(g.address) as c:
        c.expect("PUT")
        c.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 10000)
        r = c.take()
        t.equal((r.status, r.body), (200, b"enough"), "answer")
        try:
            for _ in range(50):
                c.sock.sendall(b"x" * 100000)
        except OSError:
            pass
        t.check(c.wait_end(5.0) in ("fin", "reset"), "the connection must end")
