# SPDX-License-Identifier: Apache-2.0
"""Expect: 100-continue and other interim responses (X01, X02, X06, U11, U12)."""
from harness.client import request
from harness.upstream import response

EXPECT = [("Expect", "100-continue"), ("Content-Length", "5")]


def continuing(conn, msg):
    """An upstream that says 100 itself where it is asked."""
    if msg.get("expect"):
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    conn.read_body(msg)
    conn.send(response(200, msg.body))


def plain(conn, msg):
    """An upstream that says nothing before it has the body."""
    conn.read_body(msg)
    conn.send(response(200, msg.body))


def ask_waiting(t, handler):
    g, u = t.pair(handler)
    c = t.client(g)
    c.expect("POST")
    c.send(request("POST", "/", EXPECT))
    t.equal(c.wait_interim(), [100], "interim responses")
    c.send(b"hello")
    r = c.take()
    t.equal((r.status, r.body, r.interim), (200, b"hello", [100]), "answer")
    t.equal(u.messages[0].body, b"hello", "body at the upstream")
    t.equal(c.ask().status, 200, "the next request")


def test_client_waits_and_upstream_continues(t):
    ask_waiting(t, continuing)


def test_client_waits_and_upstream_is_silent(t):
    """Whoever says it, the client gets its 100 and only one."""

    def silent_until_body(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, msg.body))

    g, u = t.pair(silent_until_body)
    c = t.client(g)
    c.expect("POST")
    c.send(request("POST", "/", EXPECT))
    got_head = u.wait(lambda: u.messages, 2.0)
    if not got_head or not u.messages[0].get("expect"):
        t.equal(c.wait_interim(), [100], "interim responses when the gateway answers for itself")
    c.send(b"hello")
    r = c.take()
    t.equal((r.status, r.body), (200, b"hello"), "answer")
    t.check(len(r.interim) <= 1, f"interim responses {r.interim}")


def test_final_answer_instead_of_100(t):
    """The upstream refuses and reads no body: relayed, and its connection is used no more (X06)."""

    def refusing(conn, msg):
        conn.send(response(403, b"no", reason="Forbidden"))
        conn.stash["end"] = conn.wait_end(5.0)
        conn.close()

    g, u = t.pair(refusing)
    c = t.client(g)
    c.expect("POST")
    c.send(request("POST", "/", EXPECT))
    r = c.take()
    t.equal((r.status, r.body), (403, b"no"), "answer")
    t.check(100 not in r.interim or not u.messages[0].get("expect"),
            f"interim responses {r.interim}")
    t.check(u.wait(lambda: u.connections[0].peer_end, 2.0),
            "the upstream connection with half a request stays open")


def test_refused_by_us_without_100(t):
    """A refused head gets its final status at once (X02)."""
    g, u = t.pair()
    c = t.client(g)
    c.expect("POST")
    c.send(b"POST https://a/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    r = c.take()
    t.equal((r.status, r.interim), (421, []), "answer")
    t.equal(u.n_bytes, 0, "bytes at the upstream")


def test_body_sent_at_once_is_no_request(t):
    g, u = t.pair(plain)
    c = t.client(g)
    inner = request("GET", "/inner")
    c.expect("POST")
    c.send(request("POST", "/outer", [("Expect", "100-continue")], inner))
    c.expect("GET")
    c.send(request("GET", "/next"))
    t.equal(c.take().body, inner, "first answer")
    t.equal(c.take().status, 200, "second answer")
    t.equal([m.target for m in u.messages], ["/outer", "/next"], "requests at the upstream")


def test_http10_gets_no_interim(t):
    g, _ = t.pair(continuing)
    c = t.client(g)
    c.expect("POST")
    c.send(request("POST", "/", [("Expect", "100-continue")], b"hello", version="HTTP/1.0"))
    r = c.take()
    t.equal((r.status, r.body, r.interim), (200, b"hello", []), "answer")


def test_early_hints_are_relayed(t):
    def hints(conn, msg):
        conn.read_body(msg)
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" * 2
                  + response(200, b"done"))

    g, _ = t.pair(hints)
    c = t.client(g)
    for _ in range(2):
        r = c.ask()
        t.equal((r.status, r.body, r.interim), (200, b"done", [103, 103]), "answer to HTTP/1.1")
    c = t.client(g)
    r = c.ask("GET", "/", [("Connection", "keep-alive")], version="HTTP/1.0")
    t.equal((r.status, r.body, r.interim), (200, b"done", []), "answer to HTTP/1.0")


def test_ten_interim_responses_at_most(t):
    def flood(conn, msg):
        conn.read_body(msg)
        conn.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + response(200, b"done"))

    g, u = t.pair(flood)
    c = t.client(g)
    r = c.ask()
    t.equal(r.status, 502, "answer")
    t.check(len(r.interim) <= 10, f"{len(r.interim)} interim responses were relayed")
    t.check(g.access(lambda a: a.get("reason") == "upstream_1xx"),
            "no access-log line with its reason")
    t.check(u.wait(lambda: not u.connections[0].open, 2.0), "that upstream connection stays open")


test_refused_by_us_without_100.clear = True  # An https target is served over TLS.
