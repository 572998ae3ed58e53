# SPDX-License-Identifier: Apache-2.0
"""Upstreams that fail at each phase, and the one safe retry."""
import random
import socket
import threading

from harness.client import Client, Ended, chunked, request
from harness.upstream import Connection, response

OK = b"HTTP/1.1 200 OK\r\n"
ONE = {"workers": 1}


def closed_port():
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def refused(t, g, status, reason, method="GET", body=b"", kept=True):
    """The answer to one request is this refusal, with a line in the access log."""
    c = t.client(g)
    r = c.ask(method, "/fails", body=body)
    t.equal(r.status, status, "status")
    t.check(b"/fails" not in r.body, "the error text echoes the request")
    lines = g.access(lambda a: a.get("reason") in reason.split("|"))
    t.check(lines, lambda: f"no access-log line with reason {reason}: {g.access_all()}")
    if kept:
        t.check("close" not in (r.get("connection") or ""),
                "the client's connection should live on")
    return c


def errors(g, reason):
    """upstream_errors_total of the reason; a request is counted when it is over, a moment after
    its answer.
    """
    m = g.wait_metric(lambda m: m.sum("upstream_errors_total", reason=reason)) or g.metrics()
    return m.sum("upstream_errors_total", reason=reason) or 0


def test_connect_refused(t):
    g = t.gateway(f"http://127.0.0.1:{closed_port()}")
    c = refused(t, g, 502, "connect")
    t.equal(errors(g, "connect"), 1, "upstream_errors_total{reason=connect}")
    t.equal(c.ask("POST", "/fails", body=b"x").status, 502, "with a body")
    t.equal(c.ask("POST", "/fails", body=b"x" * 100000).status, 502, "with a longer body")


def test_connect_refused_elsewhere(t):
    """Nothing was sent, so the next endpoint is tried, for any method."""
    u = t.upstream()
    g = t.gateway(f"http://127.0.0.1:{closed_port()}", u)
    c = t.client(g)
    for i in range(40):
        t.equal(c.ask(("GET", "POST")[i % 2], f"/{i}", body=b"x" * (i % 2)).status, 200,
                f"answer {i}")


def test_unix_upstream_missing(t):
    refused(t, t.gateway(f"unix:{t.path('nobody.sock')}"), 502, "connect")


def test_name_that_does_not_resolve(t):
    refused(t, t.gateway("http://no-such-name.invalid:80"), 503, "resolve")


class BlackHole:
    """A listener whose queue is full: the kernel drops the SYNs of whoever comes next."""

    def __init__(self, t):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(0)
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.fillers = []
        for _ in range(8):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.sock.getsockname())
            self.fillers.append(s)
        probe = socket.socket()
        probe.settimeout(0.2)
        try:
            probe.connect(self.sock.getsockname())
            t.skip("the kernel does not drop SYNs for a full queue here")
        except socket.timeout:
            pass
        finally:
            probe.close()


def test_connect_black_holed(t):
    hole = BlackHole(t)
    g = t.gateway(hole.url, config={"timeouts": {"connect": "300ms"}})
    refused(t, g, 504, "connect_timeout")
    t.equal(errors(g, "connect_timeout"), 1, "upstream_errors_total{reason=connect_timeout}")


def test_black_hole_beside_a_good_one(t):
    hole = BlackHole(t)
    g = t.gateway(hole.url, t.upstream(), config={"timeouts": {"connect": "200ms"}})
    c = t.client(g)
    for i in range(10):
        t.equal(c.ask("GET", f"/{i}").status, 200, f"answer {i}")


def second_dies(how):
    """The first request of a connection is answered, the second one is met by its end."""

    def handle(conn, msg):
        conn.read_body(msg)
        if conn.messages.index(msg) == 0:
            conn.send(response(200, b"" if msg.method == "HEAD" else f"{conn.index}".encode()))
        elif how == "fin":
            conn.close()
        else:
            conn.reset()

    return handle


def dead_reused(t, how):
    g, u = t.pair(second_dies(how), config=ONE)
    c = t.client(g)
    t.equal(c.ask("GET", "/1").body, b"0", "first answer")
    for method in ("GET", "DELETE", "HEAD", "OPTIONS"):
        n = len(u.connections)
        t.equal(c.ask(method, f"/{method}").status, 200,
                f"{method} on a dead reused connection ({how})")
        t.equal(len(u.connections), n + 1, f"connections after {method}")
    t.check(g.wait_metric(lambda m: m.sum("upstream_retries_total") == 4),
            "upstream_retries_total is not 4")
    n = len(u.messages)
    r = c.ask("PUT", "/put", body=b"small")  # Again only when the body can be said again.
    t.equal(r.status, 200 if len(u.messages) == n + 2 else 502, f"PUT with a body ({how})")
    if r.status != 200:
        t.equal(c.ask("GET", "/between").status, 200, "the next request")
    n = len(u.messages)
    r = c.ask("POST", "/post", body=b"pay")
    t.equal(r.status, 502, f"POST on a dead reused connection ({how})")
    t.equal(len(u.messages), n + 1, "times that the POST was sent")


def test_reused_connection_ends(t):
    dead_reused(t, "fin")


def test_reused_connection_is_reset(t):
    dead_reused(t, "reset")


def test_never_retried_twice(t):
    def dies_later(conn, msg):
        conn.read_body(msg)
        if msg.target == "/good":
            conn.send(response(200, b"good"))
        else:
            conn.close()

    g, u = t.pair(dies_later, config=ONE)
    c = t.client(g)
    t.equal(c.ask("GET", "/good").status, 200, "first answer")
    t.equal(c.ask("GET", "/bad").status, 502, "second answer")
    t.equal([m.target for m in u.messages], ["/good", "/bad", "/bad"], "requests at the upstream")


def test_answer_begun_is_not_retried(t):
    """A byte of the response has come: no retry, 502."""

    def begins(conn, msg):
        conn.read_body(msg)
        if conn.messages.index(msg) == 0:
            conn.send(response(200, b"good"))
        else:
            conn.send(b"HTTP/1.1 2")
            conn.close()

    g, u = t.pair(begins, config=ONE)
    c = t.client(g)
    t.equal(c.ask("GET", "/1").status, 200, "first answer")
    t.equal(c.ask("GET", "/2").status, 502, "second answer")
    t.equal(len(u.messages), 2, "requests at the upstream")


def ends_fresh(how):
    def handle(conn, msg):
        conn.read_body(msg)
        getattr(conn, how)()

    return handle


def test_fresh_connection_ends_before_the_head(t):
    for how in ("close", "reset"):
        g, u = t.pair(ends_fresh(how))
        refused(t, g, 502, "reset")
        t.equal(len(u.messages), 1, f"attempts on a fresh connection ({how})")
        t.equal(errors(g, "reset"), 1, "upstream_errors_total{reason=reset}")


def test_connection_ends_before_the_request_is_read(t):
    """Accepted and closed at once, in a row."""

    class Slammer(Connection):
        def run(self, handler):
            self.reset()

    u = t.upstream()
    u.connection_type = Slammer
    g = t.gateway(u)
    c = t.client(g)
    for method, body in (("GET", b""), ("POST", b"x" * 1000), ("GET", b"")):
        t.equal(c.ask(method, "/", body=body).status, 502, f"answer to {method}")


def truncated(t, data, how, reason, splice=True, config=None):
    """The client sees a message that is not complete, and no byte that the upstream did not send.
    """

    def cut(conn, msg):
        conn.read_body(msg)
        conn.send(data)
        conn.wait_sent()
        if how == "stall":
            conn.wait_end(5.0)
            conn.close()
        else:
            getattr(conn, how)()

    g, u = t.pair(cut, splice=splice, config=config)
    c = t.client(g)
    c.expect("GET")
    c.send(request())
    r = c.take_head()
    c.wait_end()
    t.equal((r.status, r.complete), (200, False), "answer")
    t.check(not bytes(c.raw).endswith(b"0\r\n\r\n"), "a last chunk was sent")
    lines = g.access(lambda a: a.get("reason") in reason.split("|") and a.get("status") == 200)
    t.check(lines, lambda: f"no access-log line with reason {reason}: {g.access_all()}")
    t.check(u.wait(lambda: not u.connections[0].open, 3.0), "the upstream connection was kept")
    return r


def test_mid_body_ends(t):
    long = b"Content-Length: 3000000\r\n\r\n" + b"x" * 1000000
    for splice in (True, False):
        t.equal(truncated(t, OK + b"Content-Length: 100\r\n\r\nabc", "close", "upstream_truncated",
                          splice).body, b"abc", "body")
        truncated(t, OK + b"Content-Length: 100\r\n\r\nabc", "reset",
                  "reset_midbody|upstream_truncated", splice)
        t.check(truncated(t, OK + long, "close", "upstream_truncated", splice).body_len <= 1000000,
                "body length")
        truncated(t, OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "close",
                  "upstream_truncated", splice)
        truncated(t, OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "reset",
                  "reset_midbody|upstream_truncated", splice)


def test_stall_mid_body(t):
    short = {"timeouts": {"body_idle": "400ms"}}
    for splice in (True, False):
        truncated(t, OK + b"Content-Length: 100\r\n\r\nabc", "stall", "idle", splice, short)
        truncated(t, OK + b"Content-Length: 3000000\r\n\r\n" + b"x" * 500000, "stall", "idle",
                  splice, short)
        truncated(t, OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "stall", "idle",
                  splice, short)


def test_stall_before_the_head(t):
    def mute(conn, msg):
        conn.read_body(msg)
        conn.wait_end(5.0)
        conn.close()

    g, u = t.pair(mute, config={"timeouts": {"response_head": "300ms"}})
    c = refused(t, g, 504, "response_timeout")
    t.check(u.wait(lambda: not u.connections[0].open, 2.0), "the upstream connection was kept")
    t.equal(c.ask("POST", "/", body=b"x").status, 504, "with a body")


def test_head_dribbled_past_its_time(t):
    """Bytes keep coming, the head does not end (U13)."""

    def dribble(conn, msg):
        conn.read_body(msg)
        pause = threading.Event()
        conn.send(OK)
        for _ in range(80):
            conn.send(b"X-A: b\r\n")
            pause.wait(0.05)

    g, _ = t.pair(dribble, config={"timeouts": {"response_head": "500ms"}})
    refused(t, g, 504, "upstream_timeout|response_timeout")


def test_answer_byte_by_byte(t):
    def slice_up(conn, msg):
        conn.read_body(msg)
        body = bytes(range(256)) * 8
        whole = response(200, body) if msg.target == "/length" else \
            OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([body[i:i + 100]
                                                                  for i in range(0, 2048, 100)])
        conn.send(whole, pieces=1)

    for splice in (True, False):
        g, _ = t.pair(slice_up, splice=splice)
        c = t.client(g)
        for target in ("/length", "/chunked"):
            t.equal(c.ask("GET", target).body, bytes(range(256)) * 8, f"body of {target}")


def test_bytes_on_an_idle_connection(t):
    """What an upstream says unasked is never an answer (U09)."""
    told = threading.Event()

    def poisons(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, msg.target.encode()))
        if msg.target == "/1":
            told.wait(5)
            conn.send(response(200, b"poison"))
            conn.stash["poisoned"] = True
            conn.wait_end(3.0)
            conn.close()

    g, u = t.pair(poisons, config=ONE)
    c = t.client(g)
    t.equal(c.ask("GET", "/1").body, b"/1", "first answer")
    told.set()
    t.check(u.wait(lambda: not u.connections[0].open, 3.0), "the poisoned connection stays open")
    t.equal(u.connections[0].peer_end is not None, True, "the gateway ended it")
    t.equal(c.ask("GET", "/2").body, b"/2", "second answer")
    t.check(g.wait_metric(lambda m: (m.sum("upstream_errors_total", reason="upstream_unsolicited")
                                     or 0) +
                          (m.sum("upstream_pool_closed_total") or 0) >= 1), "not counted")


def test_idle_connections_that_end(t):
    """Upstreams that close pooled connections at random cost no client an error."""
    rng = random.Random(7)

    def fickle(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, msg.target.encode()))
        if rng.random() < 0.2:
            conn.close()

    g, u = t.pair(fickle)
    failed = []

    def work(k):
        with Client(g.address) as c:
            for i in range(5000 if t.full else 150):
                r = c.ask("GET", f"/{k}/{i}")
                if (r.status, r.body) != (200, f"/{k}/{i}".encode()):
                    failed.append((k, i, r.status))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for th in threads:
        th.start()
    for th in threads:
        th.join(90 if not t.full else 900)
    t.equal(failed, [], "failed requests")
    t.check(len(u.connections) > 10, "no connection was ever closed; the test is void")


def excess(t, size, splice):
    """A second response in the same segment as the last byte of the first: never the answer to
    the next request.
    """

    def generous(conn, msg):
        conn.read_body(msg)
        body = msg.get("x-nonce").encode().rjust(size, b".")
        whole = response(200, body)
        conn.send(whole[:-1])
        conn.send(whole[-1:] + response(200, b"evil"))

    g, _ = t.pair(generous, splice=splice)

    def work(k, wrong):
        with Client(g.address) as c:
            for i in range(100):
                try:
                    r = c.ask("GET", "/", [("X-Nonce", f"{k}.{i}")])
                except Ended as e:
                    wrong.append(repr(e))
                    return
                if r.status != 200 or r.body.lstrip(b".") != f"{k}.{i}".encode():
                    wrong.append((r.status, r.body[-20:]))

    wrong = []
    threads = [threading.Thread(target=work, args=(k, wrong)) for k in range(4)]
    for th in threads:
        th.start()
    for th in threads:
        th.join(60)
    t.equal(wrong[:5], [], "wrong answers")


def test_excess_behind_a_short_body(t):
    """What comes behind the length promised is part of no reply (U08, U17)."""
    excess(t, 10, True)


def test_excess_behind_a_spliced_body(t):
    excess(t, 200000, True)


def test_excess_behind_a_long_copied_body(t):
    excess(t, 200000, False)
