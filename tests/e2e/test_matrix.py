# SPDX-License-Identifier: Apache-2.0
"""Every way to speak with clients beside every way to speak with upstreams: each kind of request
and answer means the same at the other end, however it is framed on the way, and an end in the
middle is never taken for the end of a message.
"""
from harness import sides
from harness.client import Ended
from harness.site import Site, blob

MIB = 1 << 20
PIECE = blob(MIB)


def large(t):
    """1 GiB, or a few pieces of it."""
    return PIECE, (1024 if t.large else 3)


def serve(ex):
    """The origin: what it does is in the path, /KIND/NUMBER."""
    kind, _, number = ex.msg.target[1:].partition("/")
    ANSWERS.get(kind, say)(ex, number)


def say(ex, _):
    """What was asked, with a length."""
    ex.read_body()
    m = ex.msg
    body = f"{m.method} {m.target} {m.body_len} {m.digest[:16]}".encode()
    ex.head(200, [("Content-Length", str(len(body))), ("X-Nonce", m.get("x-nonce") or ""),
                  ("X-Sum", dict((n.lower(), v) for n, v in m.trailers).get("x-sum", "none"))])
    if m.method != "HEAD":
        ex.body(body)
    ex.end()


def stream(ex, number):
    """Pieces of unknown length, with trailers behind them."""
    ex.read_body()
    ex.head(200)
    for i in range(int(number)):
        ex.body(b"piece %d;" % i)
    ex.end([("x-check", number)])


def give(ex, number):
    """So many pieces of 1 MiB, with their length."""
    ex.read_body()
    ex.head(200, [("Content-Length", str(int(number) * MIB))])
    for _ in range(int(number)):
        ex.body(PIECE)
    ex.end()


def status(ex, number):
    ex.read_body()
    fields = [("ETag", '"x"')]
    if number == "404":
        fields.append(("Content-Length", "0"))
    ex.head(int(number), fields, end=True)


def break_off(ex, how):
    """Gone in the middle of an answer: with a length, without, or before its head."""
    ex.read_body()
    if how != "head":
        ex.head(200, [("Content-Length", "1000000")] if how == "length" else [])
        ex.body(b"x" * 10000)
    ex.abort()


def hold(ex, _):
    """Never answers."""
    ex.wait_end()


def flow(ex, _):
    """An answer without an end, until the gateway has had enough."""
    ex.head(200)
    for _ in range(10000):
        ex.body(PIECE)


def refuse(ex, _):
    """Answers without a look at the body."""
    ex.head(403, [("Content-Length", "2")])
    ex.body(b"no")
    ex.end()


ANSWERS = {"stream": stream, "give": give, "status": status, "break": break_off, "hold": hold,
           "flow": flow, "refuse": refuse}


# --- what is asked; each gets (t, side, upstream, what it is) ---

def asks_and_posts(t, side, up, what):
    for method, path, body, length in (
            ("GET", "/a?b=c", None, True), ("POST", "/p", b"hello", True),
            ("POST", "/p", b"", True), ("POST", "/p", b"hello", False), ("PUT", "/p", blob(100000), True),
            ("POST", "/p", blob(100000), False), ("DELETE", "/d", None, True)):
        r = sides.ask(side, method, path, [("X-Nonce", what)], body, length)
        n, digest = sides.length_of(body or b""), sides.digest_of(body or b"")[:16]
        t.equal((r.status, r.body), (200, f"{method} {path} {n} {digest}".encode()),
                f"{what}: {method} of {n} bytes, length {length}")
        t.equal(r.get("x-nonce"), what, f"{what}: a field back and forth")
        t.equal(int(r.get("content-length")), r.body_len, f"{what}: the length of the answer")


def forwards_what_was_asked(t, side, up, what):
    n = len(up.messages)
    t.equal(sides.ask(side, "GET", "/x/../seen?q=1", [("X-A", "b"), ("Cookie", "a=1; b=2")]).status,
            200, what)
    m = up.messages[n]
    t.equal((m.method, m.target, m.get("host"), m.get("x-a"), m.get("cookie")),
            ("GET", "/seen?q=1", "a", "b", "a=1; b=2"), f"{what}: as the origin sees it")
    t.equal(m.get("x-forwarded-for"), "127.0.0.1", f"{what}: the client's address")


def heads_alone(t, side, up, what):
    r = sides.ask(side, "HEAD", "/h")
    t.check(r.status == 200 and r.complete and r.body_len == 0 and int(r.get("content-length")) > 0,
            f"{what}: HEAD: {r.status} {r.complete} {r.body_len} {r.get('content-length')}")
    for number in ("204", "304", "404"):
        r = sides.ask(side, "GET", f"/status/{number}")
        t.equal((r.status, r.body_len, r.complete, r.get("etag")), (int(number), 0, True, '"x"'),
                f"{what}: {number}")
    r = sides.ask(side, "HEAD", "/status/404")
    t.equal((r.status, r.complete), (404, True), f"{what}: HEAD of a 404")


def trailers_both_ways(t, side, up, what):
    r = sides.ask(side, "POST", "/stream/3", [("TE", "trailers")], b"abc", False, [("x-sum", "7")])
    t.equal((r.status, r.body, r.trailers), (200, b"piece 0;piece 1;piece 2;", [("x-check", "3")]),
            f"{what}: trailers of the answer")
    r = sides.ask(side, "POST", "/p", [], b"abc", False, [("x-sum", "7")])
    t.equal(r.get("x-sum"), "7", f"{what}: trailers of the request")
    r = sides.ask(side, "GET", "/stream/0")
    t.equal((r.status, r.body, r.trailers), (200, b"", [("x-check", "0")]),
            f"{what}: trailers behind nothing")


def large_bodies(t, side, up, what):
    body = large(t)
    want = sides.length_of(body), sides.digest_of(body)
    r = sides.ask(side, "GET", f"/give/{body[1]}")
    t.equal((r.status, r.body_len, r.digest, r.complete), (200, *want, True), f"{what}: down")
    for length in (True, False):
        r = sides.ask(side, "POST", "/p", [], body, length)
        t.equal((r.status, r.body), (200, f"POST /p {want[0]} {want[1][:16]}".encode()),
                f"{what}: up, length {length}")


def an_early_refusal(t, side, up, what):
    """It arrives although the body has not been sent."""
    side.begin("POST", "/refuse", (), b"x" * 3 * MIB)
    side.piece(b"x" * 1000)
    r = side.take()
    t.equal((getattr(r, "status", r), getattr(r, "body", None)), (403, b"no"),
            f"{what}: refused early")
    side.leave()


def client_gone(t, side, up, what):
    """In its body, while it waits, and in the answer: the origin is told each time, and never has
    a whole message that was none.
    """
    for length in (True, False):
        n = len(up.messages)
        side.begin("POST", "/p", (), b"x" * MIB, length)
        side.piece(b"x" * 10000)
        t.check(up.wait(lambda: len(up.messages) > n and up.messages[n].body_len),
                f"{what}: no body")
        side.leave()
        wait_told(t, up, up.messages[n], f"{what}: left in its body, length {length}")
        t.check(not up.messages[n].complete, f"{what}: half a body became a whole one")
    for path in ("/hold", "/flow"):
        n = len(up.messages)
        side.begin("GET", path)
        t.check(up.wait(lambda: len(up.messages) > n), f"{what}: {path} is not forwarded")
        if path == "/flow":
            side.take_some(100000)
        side.leave()
        wait_told(t, up, up.messages[n], f"{what}: left {path}")


def wait_told(t, up, msg, what):
    """Until the origin's end of a request is closed or reset."""
    def told():
        for c in list(up.connections):
            streams = getattr(c, "streams", None)
            if streams is None and msg in c.messages:
                return not c.open
            for s in list((streams or {}).values()):
                if s.msg is msg:
                    return s.gone
        return False
    t.check(up.wait(told), f"{what}: the origin is not told")


def upstream_gone(t, side, up, what):
    for how in ("length", "chunks"):
        r = sides.ask(side, "GET", f"/break/{how}")
        t.check(isinstance(r, Ended) or r.status == 502 or (not r.complete and r.ended),
                lambda: f"{what}: broken off ({how}), seen as {vars(r)}")
    for path, want in (("/break/head", 502), ("/after", 200)):
        r = sides.ask(side, "GET", path)
        t.equal(getattr(r, "status", r), want, f"{what}: {path}")


CASES = (asks_and_posts, forwards_what_was_asked, heads_alone, trailers_both_ways, large_bodies,
         an_early_refusal, client_gone, upstream_gone)


def run_matrix(t, client, upstream):
    site = Site(t, upstream=lambda cert: sides.origin(t, upstream, serve, cert))
    for case in CASES:
        side = sides.client(t, client, site)
        case(t, side, site.up, f"{client} to {upstream}: {case.__name__.replace('_', ' ')}")


def _make(client, upstream):
    def test(t):
        run_matrix(t, client, upstream)
    test.weight = 30
    test.clear = True
    return test


for _client in sides.CLIENTS:
    for _upstream in sides.UPSTREAMS:
        globals()[f"test_{_client.replace('+', '_')}_to_{_upstream}"] = _make(_client, _upstream)
