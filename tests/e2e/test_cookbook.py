# SPDX-License-Identifier: Apache-2.0
"""docs/COOKBOOK.md: every policy is pushed as it stands there, with addresses of ours, and does what
the text promises; every curl line prints what stands below it.
"""
import json
import os
import re
import time

from harness import certs, programs
from harness.certs import Cert, client_context
from harness.h2upstream import H2Upstream
from harness.place import Place
from harness.tokens import Secret
from harness.upstream import response

LISTENER = {"protocols": ["h2", "http/1.1"]}
ADDRESS = re.compile(r'(address: )"([^"]+)"')
SAID = [("Server", "origin/1.0"), ("X-Powered-By", "origin"), ("Access-Control-Allow-Origin", "*")]


class Recipe:
    """A heading, the policy below it, and its examples: (command, what it prints)."""

    def __init__(self, heading, text):
        self.heading = heading
        self.policies = re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)
        self.examples = []
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
            for example in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, printed = example.partition("\n")
                self.examples.append((command, printed))

    def services_of(self, protocol):
        """Addresses that are spoken to in this protocol."""
        found = []
        for name, body in re.findall(r"^  ([a-z-]+):(.*(?:\n    .*)*)", self.policies[0], re.M):
            if re.search(rf"protocol: {protocol}\b", body):
                found += [a for _, a in ADDRESS.findall(body)]
        return found


def recipes(t):
    with open(os.path.join(t.root, "docs", "COOKBOOK.md"), encoding="utf-8") as f:
        parts = re.split(r"^## (.*)$", f.read(), flags=re.M)
    return [Recipe(h, text) for h, text in zip(parts[1::2], parts[2::2])]


class Stage:
    """A gateway with a recipe's policy, in front of an origin for each address in it. 'asks': over
    TLS, and clients may show certificates of an authority.
    """

    def __init__(self, t, recipe, asks=False):
        self.t = t
        listener = dict(LISTENER)
        if asks:
            self.ca, self.site = Cert(t.folder, "ca"), Cert(t.folder, "site", ["site.test"])
            listener["tls"] = {"certificates": [self.site.as_config()], "client_ca": self.ca.cert}
        self.silent = False
        policy = recipe.policies[0]
        h2 = recipe.services_of("h2c")
        self.origins = {a: t.keep_upstream(H2Upstream(self._serve_h2)) if a in h2
                        else t.upstream(self._serve) for _, a in ADDRESS.findall(policy)}
        self.place = Place(t, [], listener=listener, state=False)
        with open(self.place.file, "w", encoding="utf-8") as f:
            f.write(ADDRESS.sub(lambda m: f'{m[1]}"{self._ours(m[2])}"', policy))
        code, _, err = programs.gwtool(t, "check-policy", self.place.file)
        t.equal(code, 0, f"check-policy: {err}")
        t.equal(self.place.push()["committed"], True, "push-policy")
        self.g = self.place.g

    def _ours(self, address):
        return self.origins[address].url.partition("://")[2]

    def _serve(self, conn, msg):
        conn.read_body(msg)
        conn.send(response(200, b"" if msg.method == "HEAD" else b"origin", SAID))

    def _serve_h2(self, stream):
        stream.read_body()
        if self.silent:
            stream.wait_end()
            return
        stream.head(200, [("content-type", stream.msg.get("content-type") or "text/plain")])
        stream.body(b"origin")
        stream.end([("grpc-status", "0")])

    def ask(self, path="/", host="h", method="GET", fields=(), body=b"", client=None, source=None):
        c = client or self.t.client(self.g, source=source)
        return c.ask(method, path, list(fields), host=host, body=body)

    def h2(self, path, fields=(), body=None, method="POST"):
        c = self.t.h2client(self.g)
        c.wait(lambda: c.n_settings and not c.due)  # What they allow holds from their ACK on.
        return c.ask(method, path, list(fields), body=body, authority="h")

    def n_seen(self):
        return {a: len(o.messages) for a, o in self.origins.items()}

    def goes_to(self, *args, **kw):
        """The address that an answer of 200 came from, or the refusal's status and reason."""
        before = self.n_seen()
        r = self.ask(*args, **kw)
        asked = [a for a, n in self.n_seen().items() if n > before[a]]
        if r.status == 200:
            self.t.equal(len(asked), 1, f"origins of one answer to {args}")
            return asked[0]
        self.t.equal(asked, [], f"origins that saw what was refused: {args}")
        return r.status, json.loads(r.body)["reason"]


def one_service(t, s):
    t.equal({s.goes_to(f"/{i}", host=f"h{i}.test") for i in range(60)},
            {"10.0.0.11:8080", "10.0.0.12:8080"}, "who answers")
    s.origins["10.0.0.11:8080"].stop()
    t.equal({s.ask(f"/{i}").status for i in range(20)}, {200}, "with one endpoint less")


def many_services(t, s):
    for host, path, want in (
            ("shop.example.com", "/shop", "10.0.0.21:8080"),
            ("shop.example.com", "/shop/cart", "10.0.0.21:8080"),
            ("shop.example.com", "/shop/users", "users.internal:8080"),
            ("shop.example.com", "/shop/users/7", "users.internal:8080"),
            ("shop.example.com", "/shop/usersx", "10.0.0.21:8080"),
            ("one.example.org", "/shop", "10.0.0.23:8080"),
            ("two.one.example.org", "/", "10.0.0.23:8080"),
            ("shop.example.com", "/", (404, "no_route")),
            ("example.org", "/", (421, "host_not_allowed")),
            ("elsewhere.test", "/shop", (421, "host_not_allowed"))):
        t.equal(s.goes_to(path, host=host), want, f"{host}{path}")


def canary(t, s):
    for fields, name, address in (([], "stable", "10.0.0.31:8080"),
                                  ([("X-Canary", "1")], "canary", "10.0.0.32:8080"),
                                  ([("X-Canary", "0")], "stable", "10.0.0.31:8080")):
        t.equal(s.goes_to("/x", fields=fields), address, f"{fields}")
        t.equal(s.ask("/x", fields=fields).get("x-served-by"), name, f"{fields}")
    t.equal(s.g.metrics().sum("http_requests_total", route="canary"), 2, "counted")
    t.equal(len(s.g.access(lambda r: r["route"] == "canary", n=2)), 2, "in the log")


def strip(t, s):
    for path, target in (("/billing/users/7?q=1", "/users/7?q=1"), ("/billing", "/"),
                         ("/billing/", "/")):
        t.equal(s.goes_to(path, host="public.test"), "10.0.0.41:8080", path)
        m = s.origins["10.0.0.41:8080"].messages[-1]
        t.equal((m.target, m.get("host"), m.get("x-forwarded-host")),
                (target, "billing.internal", "public.test"), path)
    t.equal(s.goes_to("/other"), (404, "no_route"), "another path")


def redirects(t, s):
    clear, tls = [("X-Forwarded-Proto", "http")], [("X-Forwarded-Proto", "https")]
    for path, fields, to in (("/a?b=c", clear, "https://e.test/a?b=c"), ("/", clear, "https://e.test/"),
                             ("/blog/x?y", clear, "https://e.test/news/x?y"),
                             ("/blog/x?y", tls, "https://e.test/news/x?y"),
                             ("/blog", tls, "https://e.test/news"), ("/a", tls, None), ("/a", [], None)):
        r = s.ask(path, host="e.test", method="POST", fields=fields)
        t.equal((r.status, r.get("location")), (308 if to else 200, to), f"{path} {fields}")
    t.equal(s.n_seen(), {"10.0.0.51:8080": 2}, "requests at the origin")


def maintenance(t, s):
    for path in ("/checkout", "/checkout/cart"):
        r = s.ask(path, method="POST", body=b"x")
        t.equal((r.status, r.get("content-type"), r.get("retry-after"), r.get("cache-control")),
                (503, "text/html", "3600", "no-store"), path)
        t.check(b"back at noon" in r.body, f"{path}: {r.body}")
    t.equal(s.n_seen(), {"10.0.0.61:8080": 0}, "requests at the origin")
    t.equal((s.goes_to("/"), s.goes_to("/checkouts")), ("10.0.0.61:8080",) * 2, "the rest")


def admitted(s, n, client, **kw):
    """How many of n, one right after the other, until the first that is not."""
    for i in range(n):
        r = s.ask(client=client, **kw)
        if r.status != 200:
            return i, r
    return n, None


def limits(t, s):
    c = t.client(s.g)
    began = time.monotonic()
    n, r = admitted(s, 110, c, fields=[("X-Api-Key", "one")])
    t.equal((n, r.status), (100, 429), "of one key")
    t.check(0 < int(r.get("retry-after")) <= 36, f"retry-after {r.get('retry-after')}")
    t.check(r.get("ratelimit").startswith('"per-key";r=0'), f"ratelimit {r.get('ratelimit')}")
    t.equal(s.ask(client=c).status, 200, "without a key: another bucket")
    n, r = admitted(s, 110, c)
    t.equal(n, 99, "which is shared")
    for source, want in (("127.0.0.1", 10), ("127.0.0.2", 10)):
        n, r = admitted(s, 20, t.client(s.g, source=source), path="/login", method="POST")
        t.equal((n, r.status), (want, 429), f"logins from {source}")
    so_far, n_keys = 220, 0
    while n_keys < 10:
        n, r = admitted(s, 100, c, fields=[("X-Api-Key", f"key {n_keys}")])
        so_far, n_keys = so_far + n, n_keys + 1
        if r:
            break
    most = 501 + (time.monotonic() - began) * 500 / 60
    t.check(500 <= so_far <= most, f"in all: {so_far}, where 500 to {most} may be")
    t.equal(r.status, 429, "in all")
    t.check(s.g.wait_metric(lambda m: m.sum("gateway_rejected_requests_total",
                                            reason="rate_limited") == 5), "not counted")


def headers(t, s):
    r = s.ask("/", fields=[("X-Internal-User", "root"), ("X-Other", "1"),
                           ("Cookie", "_ga=1; session=s; csrf=c; x=2")])
    for name, want in (("strict-transport-security",
                        "max-age=31536000" if certs.EVERYWHERE else None),
                       ("x-content-type-options", "nosniff"), ("x-frame-options", "SAMEORIGIN"),
                       ("referrer-policy", "strict-origin-when-cross-origin"), ("server", None),
                       ("x-powered-by", None)):
        t.equal(r.get(name), want, name)
    m = s.origins["10.0.0.81:8080"].messages[-1]
    t.equal((m.get("cookie"), m.get("x-internal-user"), m.get("x-other")),
            ("session=s; csrf=c", None, "1"), "at the origin")
    r = s.ask("/", fields=[("Cookie", "session=" + "x" * 4096)])
    t.equal((r.status, json.loads(r.body)["reason"]), (431, "cookie_too_large"), "too many")


def cors(t, s):
    wish = ("Access-Control-Request-Method", "PUT")
    for origin, good in (("https://app.example.com", True), ("https://x.preview.example.com", True),
                         ("https://preview.example.com", False), ("http://app.example.com", False),
                         ("https://app.example.com.evil.test", False)):
        r = s.ask("/api/x", method="OPTIONS", fields=[("Origin", origin), wish])
        t.equal((r.status, r.get("access-control-allow-origin")),
                (204, origin) if good else (403, None), f"a preflight of {origin}")
        if good:
            t.equal([r.get(f"access-control-{x}") for x in ("allow-methods", "allow-headers", "max-age",
                                                            "allow-credentials")],
                    ["GET, POST, PUT, DELETE", "authorization, content-type", "3600", "true"], origin)
        else:
            t.equal(json.loads(r.body)["reason"], "cors_origin", origin)
    t.equal(s.n_seen(), {"10.0.0.91:8080": 0}, "preflights at the origin")
    for origin, want in (("https://app.example.com", "https://app.example.com"),
                         ("https://evil.test", None)):
        r = s.ask("/api/x", method="PUT", fields=[("Origin", origin)])
        t.equal((r.status, r.all("access-control-allow-origin")), (200, [want] if want else []), origin)
    t.equal(s.ask("/api/x", fields=[("Origin", "https://app.example.com")])
            .get("access-control-expose-headers"), "etag", "exposed")


def grpc(t, s):
    call = [("content-type", "application/grpc"), ("te", "trailers")]
    up = s.origins["10.0.0.101:50051"]
    r = s.h2("/shop.v1.Cart/Get", call, b"x" * 1000)
    t.equal((r.status, r.body, dict(r.trailers).get("grpc-status")), (200, b"origin", "0"), "a call")
    t.equal((up.messages[-1].target, up.messages[-1].body_len), ("/shop.v1.Cart/Get", 1000), "at the origin")
    t.equal(s.h2("/shop.v1.Cart/Get", [], b"x" * 65536).status, 200, "64 KiB")
    r = s.h2("/shop.v1.Cart/Get", [("content-length", "65537")], b"x" * 65537)
    t.equal((r.status, json.loads(r.body)["reason"]), (413, "body_too_large"), "a byte more")
    r = s.h2("/shop.v1.Cart/Get", call + [("content-length", "65537")], b"x" * 65537)
    t.equal((r.status, r.get("grpc-status"), r.get("grpc-message")), (200, "8", "body_too_large"),
            "the same of a call")
    t.equal(s.h2("/shop.v1.Cart/Upload", call, b"x" * 300000).status, 200, "an upload")
    t.equal(up.messages[-1].body_len, 300000, "at the origin")
    r = s.h2("/elsewhere", call)
    t.equal((r.status, r.get("grpc-status")), (200, "12"), "no route, in gRPC's form")
    s.silent = True
    began = time.monotonic()
    r = s.h2("/shop.v1.Cart/Get", method="GET")
    took = time.monotonic() - began
    t.equal(r.status, 504, "an endpoint that does not answer")
    t.check(1.9 < took < 4, f"after {took} s")
    began = time.monotonic()
    r = s.h2("/shop.v1.Cart/Get", call + [("grpc-timeout", "2500m")], b"x")
    took = time.monotonic() - began
    t.equal(r.get("grpc-status"), "4", "a call's own deadline")
    t.check(took > 2.4, f"after {took} s")


def people_and_programs(t, s):
    key = Secret(b"example-example-example-example-")
    good = {"iss": "https://id.example.com/", "aud": "api", "scope": "read"}

    def seen(path, fields):
        t.equal(s.goes_to(path, fields=fields), "10.0.0.111:8080", path)
        m = s.origins["10.0.0.111:8080"].messages[-1]
        return m.get("x-user"), m.get("x-client"), m.get("x-api-key")

    forged = [("X-User", "root"), ("X-Client", "root")]
    token = [("Authorization", f"Bearer {key.token(**good)}")]
    t.equal(seen("/api/x", token + forged), ("alice", None, None), "a user")
    t.equal(seen("/batch", [("X-Api-Key", "billing-key-1")] + forged), (None, "billing", None),
            "a program")
    for more, want in (({"iss": "https://evil.test/"}, (401, "jwt_issuer")),
                       ({"aud": "shop"}, (401, "jwt_audience")), ({"scope": "write"}, (403, "jwt_scope"))):
        token = [("Authorization", f"Bearer {key.token(**dict(good, **more))}")]
        t.equal(s.goes_to("/api/x", fields=token), want, f"{more}")
    bob = [("Authorization", f"Bearer {key.token(**dict(good, sub='bob'))}")]
    got = [s.goes_to("/api/x", fields=bob) for _ in range(40)]
    t.check(got[0] == "10.0.0.111:8080" and (429, "rate_limited") in got, f"bob's limit: {got}")


def mesh(t, s):
    shop, ops = "URI:spiffe://example.org/ns/shop/sa/", (403, "client_identity")
    here = "10.0.0.121:8080"
    for name, sans, entries, admin in (
            ("billing", [shop + "billing"], here, ops), ("refunds", ["x.test", shop + "refunds"], here, ops),
            ("other", [shop + "other"], ops, ops), ("longer", [shop + "billing/x"], ops, ops),
            ("jump", ["Jump.example.org"], ops, here), ("person", ["email:ops@example.org"], ops, here),
            ("below", ["x.jump.example.org"], ops, ops), ("old-jump", [], ops, ops)):
        shown = Cert(t.folder, name, sans, issuer=s.ca)
        c = t.client(s.g, tls=client_context(s.site, shown), name="site.test")
        for path, want in (("/entries/7", entries), ("/admin", admin)):
            t.equal(s.goes_to(path, host="site.test", client=c), want, f"{name} at {path}")
            code, out, _ = programs.gwtool(t, "--socket", s.g.control_path, "--json", "explain", "GET",
                                           f"https://site.test{path}", "--cert", shown.cert)
            t.equal((code, json.loads(out)["auth"]["good"]), (0, want == here), f"{name} at {path}, explained")
        m = s.origins[here].messages[-1]
        if name in ("refunds", "jump"):
            t.equal(m.get("x-client-cert-san"), {"refunds": "uri:spiffe://example.org/ns/shop/sa/refunds",
                                                 "jump": "dns:jump.example.org"}[name], "told")


CHECKS = {
    "1. One service behind everything": one_service,
    "2. Many services by path and host": many_services,
    "3. A canary by header": canary,
    "4. Strip a prefix and rewrite the host": strip,
    "5. Redirect to https, and paths that have moved": redirects,
    "6. A maintenance page for one route": maintenance,
    "7. Rate limits per client, per API key, and in all": limits,
    "8. Security headers, no server fields, and few cookies": headers,
    "9. CORS for a browser application": cors,
    "10. An HTTP/2 and gRPC service, with its timeouts and body limits": grpc,
    "11. Tokens for people, keys for programs": people_and_programs,
    "12. Services of a mesh, by the names in their certificates": mesh,
}
ASKS = ("12. Services of a mesh, by the names in their certificates",)


def test_every_recipe_is_tested(t):
    found = recipes(t)
    t.equal([r.heading for r in found], list(CHECKS), "headings, and what is tested")
    for r in found:
        t.equal(len(r.policies), 1, f"{r.heading}: policies")
        t.check(r.examples, f"{r.heading}: no example")


def of_each(t, do, asks=()):
    for recipe in recipes(t):
        try:
            s = Stage(t, recipe, recipe.heading in asks)
            do(recipe, s)
            s.g.stop()
        except AssertionError as e:
            t.note(f"{recipe.heading}: {e}")


def test_policies_do_what_is_promised(t):
    of_each(t, lambda recipe, s: CHECKS[recipe.heading](t, s), ASKS)


def test_curl_prints_what_is_written(t):
    def run(recipe, s):
        address = "{}:{}".format(*s.g.address)
        for command, want in recipe.examples:
            t.check("curl -s" in command and "127.0.0.1:8080" in command, f"an odd one: {command}")
            done = programs.run(t, ["sh", "-c", command.replace("127.0.0.1:8080", address)])
            t.equal(done.stdout.decode(), want, command)

    of_each(t, run)


test_policies_do_what_is_promised.weight = 9
test_curl_prints_what_is_written.clear = True  # The page's lines speak in the clear.
