# SPDX-License-Identifier: Apache-2.0
"""What the gateway adds, keeps and drops of fields in both directions (F17-F27)."""
import re

from harness.client import request
from harness.upstream import response

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def forwarded(t, g, u, *fields, **kw):
    """The request that reaches the upstream for one with these fields."""
    c = t.client(g)
    t.equal(c.ask("GET", "/", fields, **kw).status, 200, f"status with {fields}")
    return u.messages[-1]


def test_forwarding_fields(t):
    g, u = t.pair()
    m = forwarded(t, g, u, host="site.example:8080")
    t.equal(m.get("host"), "site.example:8080", "Host")
    t.equal(m.get("x-forwarded-for"), "127.0.0.1", "X-Forwarded-For")
    t.equal(m.get("x-real-ip"), "127.0.0.1", "X-Real-IP")
    t.equal(m.get("x-forwarded-proto"), "http", "X-Forwarded-Proto")
    t.equal(m.get("x-forwarded-host"), "site.example:8080", "X-Forwarded-Host")
    t.check("close" not in (m.get("connection") or ""), "Connection at the upstream")


def test_strangers_and_trusted(t):
    liar = [("X-Forwarded-For", "6.6.6.6"), ("X-Real-IP", "6.6.6.6"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=6.6.6.6"), ("X-Forwarded-Host", "evil")]
    g, u = t.pair()
    m = forwarded(t, g, u, *liar)
    for name in ("x-forwarded-for", "x-real-ip", "forwarded", "x-forwarded-proto",
                 "x-forwarded-host"):
        t.check("6.6.6.6" not in (m.get(name) or "")
                and (m.get(name) or "") not in ("evil", "https"),
                f"{name} of a stranger reached the upstream: {m.get(name)}")
    t.check(g.wait_metric(lambda m: (m.sum("gateway_headers_stripped_total") or 0) >= 5),
            "gateway_headers_stripped_total")
    g, u = t.pair(listener={"trusted_proxies": ["127.0.0.0/8"]})
    m = forwarded(t, g, u, *liar)
    t.equal(m.get("x-forwarded-for"), "6.6.6.6, 127.0.0.1", "X-Forwarded-For of a trusted proxy")
    t.equal(m.get("x-forwarded-proto"), "https", "X-Forwarded-Proto of a trusted proxy")
    t.check((m.get("forwarded") or "").startswith("for=6.6.6.6"),
            f"Forwarded of a trusted proxy: {m.get('forwarded')}")
    g, u = t.pair(listener={"trusted_proxies": ["10.0.0.0/8", "192.168.0.0/16"]})
    t.equal(forwarded(t, g, u, *liar).get("x-forwarded-for"), "127.0.0.1",
            "X-Forwarded-For, another network trusted")


def test_request_id(t):
    g, u = t.pair()
    made = {forwarded(t, g, u).get("x-request-id") for _ in range(20)}
    t.check(len(made) == 20 and all(made) and min(map(len, made)) >= 16,
            f"identifiers made: {sorted(map(str, made))[:3]}")
    t.equal(forwarded(t, g, u, ("X-Request-Id", "abc-123")).get("x-request-id"), "abc-123", "kept")
    for odd in ("x" * 500, "a b\"c", "\xff\xfe"):
        got = forwarded(t, g, u, ("X-Request-Id", odd)).get("x-request-id")
        t.check(got and got != odd, f"an odd identifier was kept: {odd[:20]!r}")
    logged = {r.get("request_id") for r in g.access(n=24)}
    t.check({m.get("x-request-id") for m in u.messages} <= logged, "identifiers in the access log")


def test_traceparent(t):
    g, u = t.pair()
    good = f"00-{TRACE}-00f067aa0ba902b7-01"
    m = forwarded(t, g, u, ("traceparent", good), ("tracestate", "a=b,c=d"))
    got = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", m.get("traceparent")
                       or "")
    t.check(got and got.group(1) == TRACE, f"a good traceparent became {m.get('traceparent')}")
    t.equal(m.get("tracestate"), "a=b,c=d", "tracestate")
    for bad in ("hello", good.upper(), f"ff-{TRACE}-00f067aa0ba902b7-01",
                f"00-{'0' * 32}-00f067aa0ba902b7-01"):
        m = forwarded(t, g, u, ("traceparent", bad), ("tracestate", "a=b"))
        got = m.get("traceparent")
        t.check(got is None or re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", got),
                f"traceparent {got}")
        t.check(got is None or TRACE not in got, f"a bad traceparent was carried on: {got}")
        t.equal(m.get("tracestate"), None, "tracestate beside a bad traceparent")
    m = forwarded(t, g, u, ("traceparent", good),
                  ("tracestate", ",".join(f"k{i}=v" for i in range(33))))
    t.check(m.get("tracestate") is None, "33 members of tracestate were passed on")
    t.check(g.wait_metric(lambda m: (m.sum("gateway_request_anomalies_total",
                                           type="traceparent_invalid") or 0) >= 4),
            "gateway_request_anomalies_total{type=traceparent_invalid} is below 4")


def test_loop(t):
    """Our own name in Via comes back: 508, nothing forwarded (F23)."""
    g, u = t.pair()
    via = forwarded(t, g, u).get("via")
    t.check(via, "the gateway does not say Via to the upstream")
    n = u.n_bytes
    c = t.client(g)
    t.equal(c.ask("GET", "/", [("Via", via)]).status, 508, "own name in Via")
    t.equal(c.ask("GET", "/", [("Via", f"1.0 other, {via}")]).status, 508,
            "own name behind another")
    t.equal(u.n_bytes, n, "bytes at the upstream")
    t.equal(c.ask("GET", "/", [("Via", "1.1 other")]).status, 200, "another proxy's name")
    t.check(u.messages[-1].get("via").startswith("1.1 other, "), f"Via {u.messages[-1].get('via')}")


def test_order_and_repetition_are_kept(t):
    fields = [("X-A", "1"), ("X-B", "2"), ("X-A", "3"), ("Accept", "a"), ("Accept", "b")]
    g, u = t.pair()
    m = forwarded(t, g, u, *fields)
    got = [(n.lower(), v) for n, v in m.fields if n.lower() in ("x-a", "x-b", "accept")]
    t.equal(got, [(n.lower(), v) for n, v in fields], "fields at the upstream")


def test_response_fields(t):
    """End-to-end fields pass in their order, hop-by-hop ones do not."""

    def rich(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, b"x",
                           [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Server", "origin/1"),
                                       ("Date", "Mon, 23 Nov 2026 00:00:00 GMT"),
                                       ("X-Latin", "gr\xfc\xdfe"),
                                       ("Keep-Alive", "timeout=5"), ("Connection", "X-Hop"),
                                       ("X-Hop", "1")]))

    g, _ = t.pair(rich)
    r = t.client(g).ask()
    t.equal(r.all("set-cookie"), ["a=1", "b=2"], "Set-Cookie")
    t.equal(r.get("x-latin"), "gr\xfc\xdfe", "bytes above 0x7f")
    t.equal(r.all("date"), ["Mon, 23 Nov 2026 00:00:00 GMT"], "Date")
    t.equal((r.get("keep-alive"), r.get("x-hop")), (None, None), "hop-by-hop fields")


def test_own_answers(t):
    """Fixed text, nothing of the input, a Date; no server version."""
    g, u = t.pair()
    c = t.client(g)
    c.expect("GET")
    c.send(b"GET /canary#x HTTP/1.1\r\nHost: a\r\n\r\n")
    r = c.take()
    t.equal(r.status, 400, "status")
    t.check(b"canary" not in r.body and r.body_len < 500, f"body {r.body[:100]!r}")
    t.check(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", r.get("date") or ""),
            f"Date {r.get('date')}")
    t.check(not re.search(r"[0-9]", r.get("server") or ""), f"Server {r.get('server')}")
    t.check(r.get("content-type"), "Content-Type")
    t.equal(u.n_bytes, 0, "bytes at the upstream")


def test_options_and_trace(t):
    g, u = t.pair()
    c = t.client(g)
    r = c.ask("OPTIONS", "*")
    t.check(r.status == 204 and "GET" in (r.get("allow") or ""),
            f"OPTIONS *: {r.status}, Allow {r.get('allow')}")
    r = c.ask("TRACE", "/", [("Cookie", "secret")])
    t.check(r.status == 405 and b"secret" not in r.body, f"TRACE: {r.status}")
    t.equal(u.n_bytes, 0, "bytes at the upstream")
    t.equal(c.ask("OPTIONS", "/x").status, 200, "OPTIONS of a path is forwarded")


def test_fields_named_by_connection(t):
    g, u = t.pair()
    c = t.client(g)
    c.expect("GET")
    c.send(request("GET", "/",
                   [("Connection", "X-Foo, keep-alive"), ("X-Foo", "1"), ("X-Bar", "2")]))
    t.equal(c.take().status, 200, "status")
    t.equal((u.messages[0].get("x-foo"), u.messages[0].get("x-bar")), (None, "2"),
            "fields at the upstream")


for _fn in (test_forwarding_fields, test_strangers_and_trusted):
    _fn.clear = True  # It wants proto=http.
