# SPDX-License-Identifier: Apache-2.0
"""gwtool explain: what it says of a request is what becomes of that request."""
import hashlib
import json

from harness import certs
from harness.control import Control
from harness.place import Place
from harness.programs import gwtool
from harness.tokens import Secret
from harness.upstream import response
from test_auth import Mesh

SCHEME = "https" if certs.EVERYWHERE else "http"

ROUTES = [
    ("plain", {"path_prefix": "/"}, "a"),
    ("b", {"path_prefix": "/b"}, "b", {"max_body": "5B"}),
    ("moved", {"path_prefix": "/old"}, None,
     {"redirect": {"to": "https://${host}/new${rest}${query}", "status": "307"},
      "response_headers": {"set": {"x-why": "moved"}}}),
    ("long", {"path_prefix": "/long"}, None, {"redirect": {"to": "/x${path}${path}"}}),
    ("said", {"path": "/robots.txt"}, None, {"respond": {"status": 200, "body": "none"}}),
    ("busy", {"path": "/busy"}, None, {"respond": {"status": 503}}),
    ("cors", {"path_prefix": "/cors"}, "a",
     {"cors": {"origins": ["https://app.test"], "methods": ["PUT"], "credentials": True}}),
    ("edit", {"path_prefix": "/edit"}, "b",
     {"rewrite": {"prefix": "/v2", "host": "inner.test:81"},
      "request_headers": {"set": {"x-tenant": "${host}", "x-id": "${route}",
                                   "x-same": "${request_id}"}, "remove": ["x-debug"]},
      "response_headers": {"set": {"x-served": "${service}"}, "remove": ["server"]},
      "cookies": {"allow": ["sid"], "max_bytes": "64B"}}),
    ("host", {"hosts": ["*.x.test"], "path": "/only"}, "b"),
    ("post", {"path_prefix": "/", "methods": ["POST"]}, "b", {"max_body": "off"}),
    ("field", {"path_prefix": "/", "headers": {"x-version": "2"}}, "b"),
    ("nobody", {"path_prefix": "/nobody"}, "empty"),
    ("read", {"hosts": ["read.test"], "methods": ["GET", "PUT"]}, "a"),
    ("odd", {"hosts": ["read.test"], "methods": ["POST"], "headers": {"x-odd": "1"}}, "b"),
]

REQUESTS = [
    ("GET", "/"), ("GET", "/b"), ("GET", "/bc"), ("GET", "/x/../b/./%63?q=1&r"),
    ("GET", "//b//c"), ("POST", "/"), ("DELETE", "/b/x"),
    ("GET", "/", [("X-Version", "2")]), ("GET", "/", [("X-Version", "2"), ("X-Version", "2")]),
    ("PUT", "/b", [("Content-Length", "6")]),
    ("GET", "/only", [], "y.x.test"), ("GET", "/b", [], "y.x.test"), ("GET", "/", [], "H.:99"),
    ("GET", "/old/place?a=b"), ("GET", "/old"), ("GET", "/long/" + "y" * 900),
    ("GET", "/robots.txt"), ("HEAD", "/robots.txt"), ("GET", "/busy"), ("GET", "/nobody"),
    ("GET", "/cors/x", [("Origin", "https://app.test")]),
    ("GET", "/cors/x", [("Origin", "https://evil.test")]),
    ("OPTIONS", "/cors/x", [("Origin", "https://app.test"),
                            ("Access-Control-Request-Method", "PUT")]),
    ("OPTIONS", "/cors/x", [("Origin", "https://evil.test"),
                            ("Access-Control-Request-Method", "PUT")]),
    ("OPTIONS", "/b"), ("OPTIONS", "*"), ("OPTIONS", "/b", [("Max-Forwards", "0")]),
    ("OPTIONS", "/b", [("Max-Forwards", "3")]),
    ("GET", "/edit"), ("GET", "/edit/x?y=z", [("X-Debug", "1"), ("X-Tenant", "red"),
                                              ("Cookie", "sid=1; ad=2"),
                                              ("X-Request-Id", "abc")]),
    ("GET", "/edit", [("Cookie", "sid=" + "x" * 70)]),
    ("GET", "/", [("X-Forwarded-For", "10.9.9.9"), ("Forwarded", "for=10.9.9.9"),
                  ("X-Request-Id", "abc")]),
    ("GET", "/health"), ("POST", "/health"),
    ("GET", "/r", [], "read.test"), ("HEAD", "/r", [], "read.test"),
    ("DELETE", "/r", [], "read.test"), ("DELETE", "/r", [("X-Odd", "1")], "read.test"),
    # What no client may send.
    ("GET", "/../etc/passwd"), ("GET", "/%2e%2e/x"), ("GET", "/a%2fb"), ("GET", "/%zz"),
    ("GET", "/a b"), ("GET", "nope"), ("GET", "/" + "x" * 9000), ("G(T", "/"), ("BREW", "/"),
    ("TRACE", "/"), ("CONNECT", "h:1"), ("GET", "/", [("X Y", "1")]), ("GET", "/", [("X_Y", "1")]),
    ("GET", "/", [("Host", "other")]), ("GET", "/", [], "a b"), ("GET", "/", [], ""),
    ("GET", "/", [("Content-Length", "1"), ("Transfer-Encoding", "chunked")]),
    ("GET", "/", [("Content-Length", "x")]), ("GET", "/", [("X-Long", "x" * 9000)]),
    ("GET", "/", [(f"X-{i}", "y") for i in range(120)]),
]


def explain(t, g, method, url, fields=(), client=None, cert=None, flags=("--json",)):
    argv = ["--socket", g.control_path, *flags, "explain", method, url]
    for name, value in fields:
        argv += ["-H", f"{name}: {value}"]
    code, out, err = gwtool(t, *argv, *(["--client", client] if client else []),
                            *(["--cert", cert.cert] if cert else []))
    t.equal((code, err), (0, ""), f"{method} {url}")
    return json.loads(out) if "--json" in flags else out


def explained(t, p, method, target, fields, host):
    """By a URL where that can be; a second Host has to be said beside the first."""
    both = [("Host", host)] + list(fields)
    if target.startswith("/") and " " not in host and host and len(both) == len(dict(both)):
        return explain(t, p.g, method, f"{SCHEME}://{host}{target}", fields)
    return explain(t, p.g, method, target, both)


def split(line):
    name, _, value = line.partition(": ")
    return name.lower(), value


def check_sent(t, what, e, seen, fields):
    sent = [(n.lower(), v) for n, v in seen.fields]
    t.equal((e["target"], e["host"]), (seen.target, seen.get("host")), f"{what}: sent on as")
    for name, value in map(split, e["request_fields"]["set"]):
        same = [v for n, v in sent if n == name]
        made = name in ("x-request-id", "x-same") and value != "abc"  # At random.
        t.check(same if made else value in same, f"{what}: {name}: {value}, {sent}")
    again = {split(line)[0] for line in e["request_fields"]["set"]}
    for name in e["request_fields"]["removed"]:
        t.check(name.lower() in again or name.lower() not in dict(sent), f"{what}: {name} was sent")
    known = again | {n.lower() for n, _ in fields} | {"host", "content-length"}
    t.equal([n for n, _ in sent if n not in known], [], f"{what}: was sent and not explained")


def check_answer(t, what, e, r):
    got = [(n.lower(), v) for n, v in r.fields]
    for line in e["answer_fields"]["set"]:
        t.check(split(line) in got, f"{what}: the answer has not {line}: {got}")
    if e["action"] == "preflight":
        t.equal(sorted(map(split, e["answer_fields"]["set"])),
                sorted((n, v) for n, v in got if n != "date"), f"{what}: all of it")
    for name in e["answer_fields"]["removed"]:
        t.check(name in {split(line)[0] for line in e["answer_fields"]["set"]}
                or name not in dict(got), f"{what}: the answer has {name}")


def check_one(t, p, method, target, fields=(), host="h"):
    what = f"{method} {target[:40]} {str(fields)[:60]}"
    e = explained(t, p, method, target, fields, host)
    before = len(p.a.messages), len(p.b.messages)
    c = t.client(p.g)
    body = b"x" * int(dict(fields).get("Content-Length", "0")) if method == "PUT" else b""
    c.expect(method)
    c.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
           + "".join(f"{n}: {v}\r\n" for n, v in fields).encode() + b"\r\n" + body)
    r = c.take()
    passed = {"a": p.a.messages[before[0]:], "b": p.b.messages[before[1]:]}
    seen = passed["a"] + passed["b"]
    t.equal(e["action"] == "forward", len(seen) == 1, f"{what}: passed on ({e}, {r.status})")
    if e["action"] == "forward":
        t.equal(len(passed[e["service"]["name"]]), 1, f"{what}: by the service")
        check_sent(t, what, e, seen[0], fields)
    else:
        t.equal(e["status"], r.status, f"{what}: status, {e['action']} {e['reason']}")
    if e["action"] == "refuse" and method != "HEAD":
        t.equal(json.loads(r.body)["reason"], e["reason"], f"{what}: reason")
    t.equal(r.get("location"), e["location"], f"{what}: location")
    check_answer(t, what, e, r)
    c.close()
    return e


class Origins(Place):
    """A place with a service more, that nobody answers for, and fields of its origins."""

    def __init__(self, t, routes, **kw):
        super().__init__(t, [], **kw)
        for u, name in ((self.a, b"a"), (self.b, b"b")):
            u.handle = lambda c, m, name=name: (c.read_body(m), c.send(
                response(200, name, [("Server", "old")])))
        services = {n: {"endpoints": [{"address": self.address(u)}]}
                    for n, u in (("a", self.a), ("b", self.b))}
        self.write(routes, dict(services, empty={}))
        self.push()


def test_verdicts_are_those_of_real_requests(t):
    p = Origins(t, ROUTES, config={"health_path": "/health"})
    actions = [check_one(t, p, *request)["action"] for request in REQUESTS]
    for action in ("forward", "redirect", "respond", "preflight", "gateway", "refuse"):
        t.check(actions.count(action) > 1 or action == "preflight" and action in actions,
                f"too few that {action}")


def test_what_is_told_of_a_route(t):
    p = Origins(t, ROUTES)
    e = explain(t, p.g, "GET", f"{SCHEME}://H/edit/%7Ex?y=z")
    t.equal((e["generation"], e["route"]), (2, {"name": "edit", "index": 7}), "the route")
    t.equal(e["request"], {"method": "GET", "host": "h", "path": "/edit/~x", "query": "?y=z",
                           "client": "127.0.0.1"}, "the request")
    t.equal((e["target"], e["host"], e["max_body"]), ("/v2/~x?y=z", "inner.test:81", 1048576), "on")
    t.equal(e["service"], {"name": "b", "protocol": "http", "endpoints": [
        {"endpoint": p.address(p.b), "addresses": [p.address(p.b)]}]}, "the service")
    t.equal(explain(t, p.g, "POST", f"{SCHEME}://h/")["max_body"], None, "no limit")
    out = explain(t, p.g, "GET", f"{SCHEME}://h/edit?y=z", [("X-Debug", "1")], flags=())
    for line in ("route     edit (index 7, generation 2)", "action    forward",
                 f"endpoint  {p.address(p.b)} at {p.address(p.b)}",
                 "target    /v2?y=z of inner.test:81", "max_body  1048576 bytes",
                 "sent      - X-Debug", "sent      + x-tenant: h", "answered  - server",
                 "answered  + x-served: b"):
        t.check(f"{line}\n" in out, f"no line {line!r} in {out}")
    out = explain(t, p.g, "GET", "/..", [("Host", "h")], flags=())
    t.check("route     none" in out and "action    refuse 400 path_traversal\n" in out, out)


def test_a_policy_that_is_off(t):
    p = Origins(t, ROUTES)
    p.write([], enabled=False)
    p.push()
    check_one(t, p, "GET", "/")
    p.write([], {})
    p.push()
    t.equal(check_one(t, p, "GET", "/")["reason"], "host_not_allowed", "an empty one")


def test_a_name_that_does_not_resolve(t):
    p = Origins(t, ROUTES)
    p.write([("r", {}, "s")], {"s": {"endpoints": [{"address": "nobody.invalid:1"}]}})
    p.push()
    e = check_one(t, p, "GET", "/")
    t.equal((e["status"], e["reason"]), (503, "resolve"), f"{e}")


LIMITS = {"ip": {"rate": "3/h"}, "all": {"rate": "2/h", "key": "all"},
          "key": {"rate": "2/h", "key": "header:X-Key"}, "path": {"rate": "2/h", "key": "route"},
          "up": {"rate": "2/h", "key": "service"}}


def test_limits_are_looked_at_and_not_taken(t):
    p = Origins(t, ROUTES)
    p.write([(n, {"path": f"/{n}"}, "a", {"limits": [n]}) for n in LIMITS], limits=LIMITS)
    p.push()
    keys = {"ip": "127.0.0.1", "all": "", "key": "k", "path": "path", "up": "a"}
    for name, limit in LIMITS.items():
        burst = int(limit["rate"][0])
        for left in range(burst, -1, -1):
            for _ in range(3):
                e = explain(t, p.g, "GET", f"{SCHEME}://h/{name}", [("X-Key", "k")])
            one = e["limits"][0]
            t.equal((len(e["limits"]), one["name"], one["key"], one["burst"], one["left"]),
                    (1, name, keys[name], burst, left), f"{name}")
            t.equal((e["action"], one["retry_ms"] > 0), ("refuse", True) if left == 0
                    else ("forward", False), f"{name} with {left} left")
            check_one(t, p, "GET", f"/{name}", [("X-Key", "k")])
    other = explain(t, p.g, "GET", f"{SCHEME}://h/key", [("X-Key", "other")])["limits"][0]
    t.equal((other["key"], other["left"]), ("other", 2), "another's bucket")
    other = explain(t, p.g, "GET", f"{SCHEME}://h/ip", client="2001:db8::5:6")["limits"][0]
    t.equal((other["key"], other["left"]), ("2001:db8::/64", 3), "another client's")


def test_who_asks(t):
    """Tokens and keys are judged as they are for real requests, and nothing is counted."""
    key = Secret()
    p = Place(t, [], state=False)
    p.write([("r", {}, "a", {"auth": "people", "scopes": ["read"], "limits": ["user"]}),
             ("k", {"path": "/k"}, "a", {"auth": "programs"})],
            limits={"user": {"key": "claim:sub", "rate": "5/h"}},
            auth={"people": {"jwt": {"keys": [key.as_key()], "claims_to_headers": {"sub": "x-user"}}},
                  "programs": {"api_keys": {"keys": {"web": hashlib.sha256(b"s").hexdigest()},
                                            "name_header": "x-client"}}})
    p.push()
    for path, field, good in (("/", None, False), ("/", key.token(scope="read"), True),
                              ("/", key.token(scope="write"), False), ("/", "x.y.z", False)):
        fields = [("Authorization", f"Bearer {field}"), ("X-User", "root")] if field else []
        e = explain(t, p.g, "GET", f"{SCHEME}://h{path}", fields)
        r = t.client(p.g).ask("GET", path, fields, host="h")
        t.equal((e["auth"]["name"], e["auth"]["by"], e["auth"]["good"]), ("people", "jwt", good), "who")
        t.equal(e["reason"], None if good else json.loads(r.body)["reason"], f"{field}")
        if good:
            t.equal([line for line in e["request_fields"]["set"] if line.startswith("x-user")],
                    ["x-user: alice"], "told")
            t.equal([(x["by"], x["key"], x["left"]) for x in e["limits"]], [("claim", "alice", 5)],
                    "its limit")
    e = explain(t, p.g, "GET", f"{SCHEME}://h/k", [("X-Api-Key", "s")])
    t.equal((e["auth"]["good"], e["auth"]["client"], e["action"]), (True, "web", "forward"), "a key")
    t.equal(explain(t, p.g, "GET", f"{SCHEME}://h/k")["reason"], "api_key_missing", "none")
    out = explain(t, p.g, "GET", f"{SCHEME}://h/k", flags=())
    t.check("programs (api_keys): not good" in out, out)


def test_who_shows_a_certificate(t):
    """A file is judged as a client that shows it, and the service would be told the same."""
    m = Mesh(t, subjects=["CN=nobody"])
    uri, mail = "URI:spiffe://mesh.test/a", "email:a@mesh.test"
    names = (("by-digest", []), ("by-subject", ["x.test"]), ("by-uri", [uri, "x.test"]),
             ("by-dns", ["IP:192.0.2.1", "A.mesh.test"]), ("by-mail", [mail]), ("stranger", ["b.test"]),
             ("nul", [certs.der_name(b"a.mesh.test\0.evil.test")]), ("n" * 63, [uri]))
    shown = [m.cert(name, sans) for name, sans in names]
    m.allow(sha256=[shown[0].sha256()], subjects=["CN=by-subject"],
            sans=["uri:spiffe://mesh.test/a", "dns:a.mesh.test", "email:a@mesh.test"])
    g = m.door.place.g
    good = []
    for cert in shown:
        e = explain(t, g, "GET", "https://site.test/", cert=cert)
        real = m.ask(cert)
        good.append(e["auth"]["good"])
        t.equal((e["action"], e["status"], e["reason"]), ("forward", None, None) if real == 200
                else ("refuse", *real), f"{cert.name}: what becomes of it")
        t.equal((e["certificate"]["sha256"], e["certificate"]["subject"]),
                (cert.sha256(), f"CN={cert.name}"), f"{cert.name}: whose it is")
        if real == 200:
            said = dict(map(split, e["request_fields"]["set"]))
            t.equal({n: v for n, v in said.items() if n.startswith("x-client-cert")}, m.told(),
                    f"{cert.name}: what the service is told")
            t.equal(e["auth"]["client"], m.told().get("x-client-cert-san"), f"{cert.name}: as whom")
    t.equal(good, [True] * 5 + [False] * 2 + [True], "who is let in")
    e = explain(t, g, "GET", "https://site.test/", cert=shown[3])
    t.equal(e["certificate"]["sans"], ["dns:a.mesh.test"], "its names")
    e = explain(t, g, "GET", "https://site.test/")
    t.equal((e["certificate"], e["status"], e["reason"]), (None, *m.ask(None)), "without one")
    out = explain(t, g, "GET", "https://site.test/", cert=shown[2], flags=())
    for line in (f"cert      sha256 {shown[2].sha256()}", "cert      subject CN=by-uri",
                 "cert      san uri:spiffe://mesh.test/a", "cert      san dns:x.test",
                 "auth      mesh (mtls): good, as uri:spiffe://mesh.test/a"):
        t.check(f"{line}\n" in out, f"no line {line!r} in {out}")


def test_a_certificate_is_shown_to_who_asks(t):
    m = Mesh(t, subjects=["CN=one"])
    one, pair = m.cert("one"), m.site.as_config()
    asks = dict(pair, names=["site.test"], client_ca=m.ca.cert)
    other = certs.Cert(t.folder, "other", ["other.test"]).as_config()
    place = Place(t, [], config={"listeners": [
        {"address": "127.0.0.1:0"},
        {"address": "127.0.0.1:0", "tls": {"certificates": [other, asks]}}]})
    rows = [("https://site.test/", (), None), ("https://SITE.test:8443/x", (), None),
            ("https://other.test/", (), "no client_ca"), ("https://nobody.test/", (), "no client_ca"),
            ("https://127.0.0.1/", (), "no client_ca"), ("https://[::1]:443/", (), "no client_ca"),
            ("http://site.test/", (), "over TLS only"), ("/", ("-H", "Host: site.test"), "over TLS only")]
    for url, fields, want in rows:
        code, out, err = gwtool(t, "--socket", place.g.control_path, "--json", "explain", "GET", url,
                                *fields, "--cert", one.cert)
        t.equal(code, 2 if want else 0, f"{url}: {out}{err}")
        error = json.loads(out)["errors"][0] if want else {}
        t.check(not want or want in error["message"] and error["path"] == "certificate", f"{url}: {out}")
    for file, want in ((one.key, "holds no certificate"), ("/nowhere.pem", "No such file")):
        code, _, err = gwtool(t, "--socket", place.g.control_path, "explain", "GET", "https://site.test/",
                              "--cert", file)
        t.equal(code, 78, f"{file}: {err}")
        t.check(f"{file}: {want}" in err, err)


def test_a_limit_with_a_new_key_begins_anew(t):
    p = Origins(t, ROUTES)
    for key in ("all", "route", "all"):
        p.write([("r", {}, "a", {"limits": ["x"]})], limits={"x": {"rate": "2/h", "key": key}})
        p.push()
        t.equal(explain(t, p.g, "GET", f"{SCHEME}://h/")["limits"][0]["left"], 2, f"by {key}")
        t.equal(p.ask("/"), "a", "one is taken")
        t.equal(explain(t, p.g, "GET", f"{SCHEME}://h/")["limits"][0]["left"], 1, f"by {key}")


def test_whom_trusted_proxies_forward_for(t):
    p = Origins(t, ROUTES, listener={"trusted_proxies": ["127.0.0.0/8"]})
    said = [("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-Proto", "https")]
    e = check_one(t, p, "GET", "/", said)
    t.equal(e["request"]["client"], "192.0.2.9", "believed")
    e = explain(t, p.g, "GET", f"{SCHEME}://h/", said, client="198.51.100.1")
    t.equal(e["request"]["client"], "198.51.100.1", "of a stranger")
    t.check("x-forwarded-for: 198.51.100.1" in e["request_fields"]["set"], f"{e}")


def test_the_listener_is_that_of_the_scheme(t):
    tls = {"certificates": [certs.Cert(t.folder, "site").as_config()]}
    p = Origins(t, ROUTES, config={"listeners": [
        {"address": "127.0.0.1:0", "tls": tls},
        {"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.0/8"]}]})
    said = [("Host", "h"), ("X-Forwarded-For", "192.0.2.9")]
    for url, client, scheme in (("http://h/", "192.0.2.9", "http"), ("https://h/", "127.0.0.1", "https"),
                                ("/", "127.0.0.1", "https")):
        e = explain(t, p.g, "GET", url, said)
        t.equal(e["request"]["client"], client, f"{url}: for whom")
        t.check(f"x-forwarded-proto: {scheme}" in e["request_fields"]["set"], f"{url}: {e}")


def test_loops(t):
    p = Origins(t, ROUTES)
    p.ask("/")
    via = p.a.messages[-1].get("via")
    t.equal(check_one(t, p, "GET", "/", [("Via", via)])["reason"], "loop_detected", "a loop")


def test_without_a_policy(t):
    g, u = t.pair()
    e = explain(t, g, "GET", f"{SCHEME}://h/x")
    t.equal((e["action"], e["service"]["endpoints"][0]["endpoint"]),
            ("forward", u.url.partition("://")[2]), f"{e}")


WRONG_CERTIFICATES = [
    (1, "value", "certificate"), ({}, "missing_key", "certificate.sha256"),
    ({"sha256": "0" * 63}, "value", "certificate.sha256"),
    ({"sha256": "A" * 64}, "value", "certificate.sha256"),
    ({"sha256": "0" * 64, "subject": "CN=a\n"}, "value", "certificate.subject"),
    ({"sha256": "0" * 64, "subject": "x" * 192}, "value", "certificate.subject"),
    ({"sha256": "0" * 64, "sans": "dns:a"}, "value", "certificate.sans"),
    ({"sha256": "0" * 64, "sans": ["dns:a dns:b"]}, "value", "certificate.sans"),
    ({"sha256": "0" * 64, "sans": ["dns:a\nx:y"]}, "value", "certificate.sans"),
    ({"sha256": "0" * 64, "sans": [""]}, "value", "certificate.sans"),
    ({"sha256": "0" * 64, "sans": ["dns:a"] * 17}, "value", "certificate.sans"),
    ({"sha256": "0" * 64, "sans": ["x" * 2561]}, "value", "certificate.sans"),
    ({"sha256": "0" * 64, "what": 1}, "unknown_key", "certificate"),
    ({"sha256": "0" * 64, "subject": "x" * 191, "sans": ["x" * 2560]}, "value", "certificate"),
]


def test_wrong_arguments(t):
    p = Origins(t, ROUTES)
    for argv in ((), ("GET",), ("GET", "/", "/"), ("GET", "/", "-H"), ("GET", "/", "--what")):
        t.equal(gwtool(t, "explain", *argv)[0], 2, f"{argv}")
    for argv, want in ((("GET", "/", "--client", "foo"), "client: must be an IP address (value)"),
                       (("GET", "/\n"), "url: must be a text of one line (value)"),
                       (("GET", "/" + "x" * 65000, "-H", "a" * 1000), "(limit)")):
        code, out, err = gwtool(t, "--socket", p.g.control_path, "explain", *argv)
        t.equal((code, out, want in err), (2, "", True), f"{str(argv)[:60]}: {err}")
    with Control(p.g.control_path) as c:
        for args, code, path in (
                ({}, "missing_key", "method"), ({"method": "GET"}, "missing_key", "url"),
                ({"method": "GET", "url": 1}, "value", "url"),
                ({"method": "GET", "url": "/\n"}, "value", "url"),
                ({"method": "GET", "url": "/", "fields": ["a: b\nc: d"]}, "value", "fields"),
                ({"method": "GET", "url": "/", "fields": [""]}, "value", "fields"),
                ({"method": "GET", "url": "/", "fields": "a: b"}, "value", "fields"),
                ({"method": "GET", "url": "/", "client": "me"}, "value", "client"),
                *((dict({"method": "GET", "url": "/"}, certificate=certificate), code, path)
                  for certificate, code, path in WRONG_CERTIFICATES),
                ({"method": "GET", "url": "/" + "x" * 65000 , "fields": ["a" * 1000]}, "limit", ""),
                ({"method": "GET", "url": "/", "what": 1}, "unknown_key", "")):
            r = c.ask("explain", args)
            t.equal((r["ok"], r.get("error", {}).get("code"), r.get("error", {}).get("path")),
                    (False, code, path), f"{str(args)[:80]}")
    t.equal(p.ask("/"), "a", "it lives")


for _fn in (test_who_shows_a_certificate, test_a_certificate_is_shown_to_who_asks):
    _fn.clear = True  # They bring certificates of their own.
