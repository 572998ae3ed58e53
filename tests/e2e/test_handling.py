# SPDX-License-Identifier: Apache-2.0
"""What routes do besides passing on: targets, fields, cookies, CORS, answers of their own."""
import json

from harness import certs
from harness.h2upstream import H2Upstream
from harness.place import Place
from harness.upstream import response

SCHEME = "https" if certs.EVERYWHERE else "http"
LISTENER = {"protocols": ["h2", "http/1.1"]}


class Stage:
    """A gateway with such routes; each test is done over HTTP/1.1 and over HTTP/2, on both sides."""

    def __init__(self, t, routes, answer=None, h2_origin=False):
        self.t = t
        self.fields = []  # Of the origin's answers.
        self.place = Place(t, [], listener=LISTENER, state=False)
        self.up = t.keep_upstream(H2Upstream(self._serve_h2)) if h2_origin else t.upstream(answer or self._serve)
        self.push(routes, "h2c" if h2_origin else "http")

    def push(self, routes, protocol="http", **rest):
        self.place.write(
            [(name, match, None, dict(more)) for name, match, more in routes],
            {"s": {"protocol": protocol,
                   "endpoints": [{"address": self.up.url.partition("://")[2]}]}}, **rest)
        self.place.push()

    def _serve(self, conn, msg):
        conn.read_body(msg)
        conn.send(response(200, b"origin", self.fields))

    def _serve_h2(self, stream):
        stream.read_body()
        stream.head(200, [("content-length", "6")] + self.fields)
        stream.body(b"origin")
        stream.end()

    def asks(self):
        """One function per protocol: ask(method, path, fields, host)."""
        g = self.place.g

        def h1(method="GET", path="/", fields=(), host="a.test", body=b""):
            return self.t.client(g).ask(method, path, list(fields), host=host, body=body)

        def h2(method="GET", path="/", fields=(), host="a.test", body=None):
            return self.t.h2client(g).ask(method, path, [(n.lower(), v) for n, v in fields],
                                          body=body or None, authority=host)
        return {"HTTP/1.1": h1, "HTTP/2": h2}.items()

    def seen(self):
        return self.up.messages[-1]


def values(message, name):
    return [v for n, v in message.fields if n.lower() == name]


def both(t, routes):
    for h2_origin in (False, True):
        s = Stage(t, routes, h2_origin=h2_origin)
        for what, ask in s.asks():
            yield s, ask, f"{what}, HTTP/2 origin: {h2_origin}"


def test_targets_are_rewritten(t):
    routes = [("strip", {"path_prefix": "/api/"}, {"service": "s", "rewrite": {"prefix": "/"}}),
              ("swap", {"path_prefix": "/old"},
               {"service": "s", "rewrite": {"prefix": "/v2/new", "host": "inner.test:81"}}),
              ("whole", {"path": "/one"}, {"service": "s", "rewrite": {"path": "/x${path}"}}),
              ("rest", {"path_prefix": "/r"},
               {"service": "s", "rewrite": {"path": "/a${rest}/b"}})]
    for s, ask, what in both(t, routes):
        for path, target in (("/api", "/"), ("/api/", "/"), ("/api/users?q=1", "/users?q=1"),
                             ("/old/x/y", "/v2/new/x/y"), ("/old", "/v2/new"),
                             ("/one?a", "/x/one?a"), ("/r/1", "/a/1/b"),
                             ("/api/../old/%7ex", "/v2/new/~x")):
            t.equal(ask("GET", path).status, 200, f"{what}: {path}")
            t.equal(s.seen().target, target, f"{what}: {path}")
            t.equal(s.seen().get("host"), "inner.test:81" if "/v2" in target else "a.test",
                    f"{what}: the host of {path}")
            t.equal(s.seen().get("x-forwarded-host"), "a.test", f"{what}: the client's host")


def test_redirects(t):
    s = Stage(t, [
        ("https", {}, {"redirect": {"to": "https://${host}${path}${query}"}}),
        ("moved", {"path_prefix": "/old"},
         {"redirect": {"to": "https://new.test/v2${rest}", "status": "302"}}),
        ("here", {"path": "/in"}, {"redirect": {"to": "/login?from=app", "status": "303"}})])
    for what, ask in s.asks():
        for path, status, to in (("/a?b=c&d", 308, "https://a.test/a?b=c&d"),
                                 ("/old/x", 302, "https://new.test/v2/x"),
                                 ("/old", 302, "https://new.test/v2"),
                                 ("/in", 303, "/login?from=app"),
                                 ("//evil.test/..//x", 308, "https://a.test/x"),
                                 ("/%0d%0ax", 400, None)):
            r = ask("GET", path)
            t.equal((r.status, r.get("location")), (status, to), f"{what}: {path}")
        r = ask("GET", "/" + "a" * 3000)
        t.equal((r.status, json.loads(r.body)["reason"]), (414, "uri_too_long"), f"{what}: long")
        r = ask("POST", "/old/y", body=b"12345")
        t.equal((r.status, r.get("location")), (302, "https://new.test/v2/y"), f"{what}: a body")
    t.equal(len(s.up.messages), 0, "requests at the origin")


def test_answers_of_its_own(t):
    page = "<h1>Back at noon</h1>\n" * 700
    s = Stage(t, [
        ("down", {"path_prefix": "/down"},
         {"respond": {"status": 503, "content_type": "text/html", "body": page},
          "response_headers": {"set": {"Retry-After": "3600"}}}),
        ("robots", {"path": "/robots.txt"},
         {"respond": {"status": 200, "body": "User-agent: *\nDisallow: /\n"}}),
        ("gone", {"path_prefix": "/gone"}, {"respond": {"status": 410}}),
        ("none", {"path_prefix": "/none"}, {"respond": {"status": 204}})])
    for what, ask in s.asks():
        r = ask("GET", "/down/x")
        t.equal((r.status, r.get("content-type"), r.get("retry-after"), r.body),
                (503, "text/html", "3600", page.encode()), f"{what}: maintenance")
        t.equal(len(values(r, "retry-after")), 1, f"{what}: one Retry-After")
        r = ask("HEAD", "/down/x")
        t.equal((r.status, r.get("content-length"), r.body), (503, str(len(page)), b""),
                f"{what}: HEAD")
        r = ask("GET", "/robots.txt")
        t.equal((r.status, r.get("content-type"), r.body),
                (200, "text/plain", b"User-agent: *\nDisallow: /\n"), f"{what}: robots")
        r = ask("POST", "/gone", body=b"x" * 10000)
        t.equal((r.status, r.get("content-type"), r.get("content-length"), r.body),
                (410, None, "0", b""), f"{what}: no body")
        r = ask("GET", "/none")
        t.equal((r.status, r.get("content-length"), r.body), (204, None, b""), f"{what}: 204")
    c = t.client(s.place.g)
    for _ in range(3):
        t.equal(c.ask("GET", "/down", host="a").status, 503, "one after the other")
    t.equal(len(s.up.messages), 0, "requests at the origin")
    t.equal(s.place.g.access(lambda r: r["path"] == "/gone")[0]["route"], "gone", "in the log")


def test_methods_that_no_route_takes(t):
    s = Stage(t, [("read", {"path_prefix": "/r", "methods": ["GET"]}, {"service": "s"}),
                  ("write", {"path_prefix": "/r", "methods": ["PUT"], "headers": {"x-edit": "1"}},
                   {"service": "s"}),
                  ("sub", {"path_prefix": "/r/s", "methods": ["POST"]}, {"service": "s"})])
    for what, ask in s.asks():
        for method, path, fields, status, allow in (
                ("GET", "/r", [], 200, None), ("HEAD", "/r", [], 200, None),
                ("POST", "/r/s", [], 200, None), ("GET", "/r/s", [], 200, None),
                ("PUT", "/r", [("X-Edit", "1")], 200, None),
                ("PUT", "/r", [], 405, "GET, HEAD"), ("OPTIONS", "/r", [], 405, "GET, HEAD"),
                ("POST", "/r", [("X-Edit", "1")], 405, "PUT, GET, HEAD"),
                ("PATCH", "/r/s/t", [], 405, "POST, GET, HEAD"), ("DELETE", "/x", [], 404, None)):
            r = ask(method, path, fields)
            t.equal((r.status, values(r, "allow")), (status, [allow] if allow else []),
                    f"{what}: {method} {path} {fields}")
            if status != 200:
                t.equal(json.loads(r.body)["reason"],
                        "method_not_allowed" if allow else "no_route", f"{what}: {method} {path}")
    t.check(s.place.g.wait_metric(lambda m: m.sum(
        "gateway_rejected_requests_total", reason="method_not_allowed") == 8), "in metrics")


def test_fields_of_requests(t):
    rules = {"set": {"X-Tenant": "blue", "X-Who": "${client_ip} ${method} ${host} ${scheme}",
                     "X-Id": "${request_id}", "X-Path": "${path}|${query}",
                     "X-Route": "${route} to ${service}", "X-Money": "$5 ${"[:2]},
             "add": {"X-More": "2"}, "remove": ["X-Debug", "Authorization"]}
    for s, ask, what in both(t, [("r", {}, {"service": "s", "request_headers": rules})]):
        r = ask("GET", "/p?q", [("X-Tenant", "red"), ("x-tenant", "green"), ("X-More", "1"),
                                ("X-Debug", "1"), ("Authorization", "Bearer x"), ("X-Kept", "k")])
        t.equal(r.status, 200, what)
        m = s.seen()
        for name, want in (("x-tenant", ["blue"]), ("x-more", ["1", "2"]), ("x-debug", []),
                           ("authorization", []), ("x-kept", ["k"]), ("x-money", ["$5"]),
                           ("x-who", [f"127.0.0.1 GET a.test {SCHEME}"]), ("x-path", ["/p|?q"]),
                           ("x-route", ["r to s"]), ("x-id", values(m, "x-request-id"))):
            t.equal(values(m, name), want, f"{what}: {name}")
        ask("GET", "/p")  # A field whose variable is empty is left out.
        t.equal(values(s.seen(), "x-path"), [], f"{what}: an empty variable")


def test_fields_of_answers(t):
    rules = {"set": {"Server": "edge", "X-Id": "${request_id}"}, "add": {"X-Seen": "edge"},
             "remove": ["X-Powered-By"]}
    routes = [("r", {"path_prefix": "/r"},
               {"service": "s", "response_headers": rules, "max_body": "10B"}),
              ("strict", {"path_prefix": "/s"},
               {"service": "s", "security_headers": True,
                "response_headers": {"set": {"X-Frame-Options": "SAMEORIGIN"},
                                     "remove": ["Referrer-Policy"]}})]
    for s, ask, what in both(t, routes):
        s.fields = [("Server", "old"), ("X-Seen", "origin"), ("X-Powered-By", "x"),
                    ("Referrer-Policy", "unsafe-url"), ("ETag", '"1"')]
        r = ask("GET", "/r")
        t.equal(values(r, "x-id"), values(s.seen(), "x-request-id"), f"{what}: the id")
        for name, want in (("server", ["edge"]), ("x-seen", ["origin", "edge"]),
                           ("x-powered-by", []), ("etag", ['"1"'])):
            t.equal(values(r, name), want, f"{what}: {name}")
        r = ask("POST", "/r", body=b"x" * 11)
        t.equal((r.status, values(r, "server"), values(r, "x-seen")), (413, ["edge"], ["edge"]),
                f"{what}: a refusal has them, too")
        r = ask("GET", "/s")
        for name, want in (("x-frame-options", ["SAMEORIGIN"]), ("referrer-policy", []),
                           ("x-content-type-options", ["nosniff"]), ("server", ["old"]),
                           ("strict-transport-security",
                            ["max-age=31536000"] if certs.EVERYWHERE else [])):
            t.equal(values(r, name), want, f"{what}: {name}")


def test_strictness_is_told_over_tls_only(t):
    """RFC 6797 7.2. What the service says of it in the clear goes, too."""
    site = certs.Cert(t.folder, "site", ["a.test"])
    up = t.upstream(lambda c, m: c.send(response(200, b"x", [
        ("Strict-Transport-Security", "max-age=1")])))
    p = Place(t, [], state=False, config={"listeners": [
        {"address": "127.0.0.1:0"},
        {"address": "127.0.0.1:0", "tls": {"certificates": [site.as_config()]}}]})
    p.write([("r", {}, "s", {"security_headers": True})],
            {"s": {"endpoints": [{"address": up.url.partition("://")[2]}]}})
    p.push()
    clear, tls = p.g.addresses
    for c, want in ((t.client(clear), []),
                    (t.client(tls, tls=certs.client_context(site), name="a.test"),
                     ["max-age=31536000"])):
        r = c.ask("GET", "/", host="a.test")
        t.equal((values(r, "strict-transport-security"), values(r, "x-frame-options")),
                (want, ["DENY"]), "over TLS" if want else "in the clear")


test_strictness_is_told_over_tls_only.clear = True


def test_an_answer_has_the_fields_of_its_request(t):
    """The policy that judged the request speaks, although another is in force by then."""
    def rules(n):
        return [("r", {}, {"service": "s", "response_headers": {"set": {"X-Rule": n}}})]

    def wait(conn, msg):
        if msg.target == "/slow":
            conn.upstream.wait(lambda: len(conn.upstream.messages) > 1, 10.0)
        conn.send(response(200, b""))

    s = Stage(t, rules("one"), answer=wait)
    c = t.client(s.place.g)
    c.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    t.check(s.up.wait(lambda: s.up.messages), "not forwarded")
    s.push(rules("two"))
    s.push(rules("three"))
    t.equal(t.client(s.place.g).ask("GET", "/").get("x-rule"), "three", "the new one")
    t.equal(c.take().get("x-rule"), "one", "the one of the request")


def test_cookies(t):
    routes = [("allow", {"path_prefix": "/allow"},
               {"service": "s", "cookies": {"allow": ["a", "b"], "max_bytes": "40B"}}),
              ("drop", {"path_prefix": "/drop"}, {"service": "s", "cookies": {"drop": ["_ga"]}})]
    for s, ask, what in both(t, routes):
        for path, cookies, want in (
                ("/allow", ["a=1; x=2;b=3"], ["a=1; b=3"]), ("/allow", ["x=1"], []),
                ("/allow", ["x=1", "a=2"], ["a=2"]), ("/allow", ["a=1; aa=2; A=3; =4; a"], ["a=1; a"]),
                ("/drop", ["_ga=1; s=2; t=\"x,y\""], ['s=2; t="x,y"']), ("/drop", ["_ga=1"], []),
                ("/drop", [], [])):
            t.equal(ask("GET", path, [("Cookie", c) for c in cookies]).status, 200, what)
            t.equal(values(s.seen(), "cookie"), want, f"{what}: {path} {cookies}")
        n = len(s.up.messages)
        r = ask("GET", "/allow", [("Cookie", "a=" + "x" * 50)])
        t.equal((r.status, json.loads(r.body)["reason"]), (431, "cookie_too_large"), what)
        t.equal(len(s.up.messages), n, f"{what}: at the origin")


def cors(r):
    return {n.lower()[len("access-control-"):]: v for n, v in r.fields
            if n.lower().startswith("access-control-")}


def test_cors(t):
    rules = {"origins": ["https://app.test", "https://*.app.test:8443"], "credentials": True,
             "methods": ["GET", "PUT"], "headers": ["x-a", "authorization"], "expose": ["etag"],
             "max_age": "5m"}
    routes = [("r", {"methods": ["GET", "PUT"]}, {"service": "s", "cors": rules}),
              ("any", {"path_prefix": "/any"}, {"service": "s", "cors": {"origins": ["*"]}}),
              ("plain", {"path_prefix": "/plain"}, {"service": "s"})]
    for s, ask, what in both(t, routes):
        s.fields = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Max-Age", "1")]

        def preflight(path, origin, method, ask=ask):
            return ask("OPTIONS", path, [("Origin", origin),
                                         ("Access-Control-Request-Method", method)])

        n = len(s.up.messages)
        for origin in ("https://app.test", "https://x.app.test:8443", "HTTPS://App.Test"):
            r = preflight("/", origin, "PUT")
            t.equal((r.status, cors(r), r.get("vary")),
                    (204, {"allow-origin": origin, "allow-credentials": "true",
                           "allow-methods": "GET, PUT", "allow-headers": "x-a, authorization",
                           "expose-headers": "etag", "max-age": "300"}, "origin"),
                    f"{what}: {origin}")
        for origin in ("https://evil.test", "http://app.test", "https://app.test.evil",
                       "https://.app.test:8443", "https://x.app.test", "null",
                       "https://x.app.test:8443.evil"):
            r = preflight("/", origin, "PUT")
            t.equal((r.status, json.loads(r.body)["reason"], cors(r)), (403, "cors_origin", {}),
                    f"{what}: {origin}")
        r = preflight("/any/x", "null", "POST")
        t.equal((r.status, cors(r)), (204, {"allow-origin": "*", "max-age": "600",
                                            "allow-methods": "GET, HEAD, POST"}), f"{what}: any")
        t.equal(len(s.up.messages), n, f"{what}: preflights are answered at the edge")
        r = ask("GET", "/", [("Origin", "https://app.test")])
        t.equal((r.status, cors(r)), (200, {"allow-origin": "https://app.test",
                                            "allow-credentials": "true",
                                            "expose-headers": "etag"}), f"{what}: a request")
        for fields in ([("Origin", "https://evil.test")], []):
            r = ask("GET", "/", fields)
            t.equal((r.status, cors(r), r.get("vary")), (200, {}, "origin"),
                    f"{what}: nothing for {fields}")
        n = len(s.up.messages)
        r = preflight("/plain", "https://app.test", "PUT")
        t.equal((r.status, len(s.up.messages)), (200, n + 1), f"{what}: the service's own matter")
