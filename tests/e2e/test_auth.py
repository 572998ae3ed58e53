# SPDX-License-Identifier: Apache-2.0
"""Who may take a route: tokens, keys, certificates; what is told to the service, and to the client."""
import hashlib
import json
import ssl
import time

from harness import h2frames
from harness.certs import Cert, client_context, der_name
from harness.control import Control
from harness.place import Place
from harness.tokens import Pair, Secret
from harness.upstream import response

LISTENER = {"protocols": ["h2", "http/1.1"]}


class Door:
    """A gateway with one service 'a' and such auths; routes: (name, match, more)."""

    def __init__(self, t, auth, routes, listener=None, config=None, **rest):
        self.t = t
        self.place = Place(t, [], listener=dict(LISTENER, **(listener or {})), state=False,
                           config=config or {})
        self.up = self.place.a
        self.push(auth, routes, **rest)

    def push(self, auth, routes, **rest):
        self.place.write([(n, m, "a", more) for n, m, more in routes], auth=auth, **rest)
        self.place.push()

    def ask(self, path="/", token=None, fields=(), client=None, method="GET"):
        fields = list(fields) + ([("Authorization", f"Bearer {token}")] if token else [])
        return (client or self.t.client(self.place.g)).ask(method, path, fields, host="h")

    def verdict(self, *args, **kw):
        """200, or the reason."""
        r = self.ask(*args, **kw)
        return r.status if r.status == 200 else json.loads(r.body)["reason"]


def jwt(*keys, **more):
    return {"jwt": dict({"keys": [k.as_key() for k in keys]}, **more)}


def values(message, name):
    return [v for n, v in message.fields if n.lower() == name]


def test_tokens_are_judged(t):
    key, other = Secret(kid="k1"), Secret(b"o" * 32, kid="k1")
    rules = {"issuer": ["https://id.test/"], "audience": ["gateway", "other"], "type": "at+jwt"}
    d = Door(t, {"main": jwt(key, **rules)}, [("r", {}, {"auth": "main"}),
                                              ("open", {"path_prefix": "/open"}, {})])
    now = int(time.time())
    good = {"iss": "https://id.test/", "aud": ["x", "gateway"]}
    typ = {"typ": "at+jwt"}
    whole = key.token(typ, **good)
    rows = [
        (None, "jwt_missing"), (whole, 200), (whole, 200), (whole[:-4] + "AAAA", "jwt_signature"),
        (whole + "=", "jwt_malformed"), (whole.rpartition(".")[0], "jwt_malformed"),
        (other.token(typ, **good), "jwt_signature"),
        (key.token(dict(typ, alg="none"), **good), "jwt_alg"),
        (key.token(dict(typ, alg="HS512"), **good), "jwt_alg"),
        (key.token(dict(typ, kid="k2"), **good), "jwt_kid"),
        (key.token(dict(typ, crit=["x"]), **good), "jwt_crit"),
        (key.token(**good), "jwt_type"),
        (key.token(typ, **dict(good, exp=now - 31)), "jwt_expired"),
        (key.token(typ, **dict(good, exp=now - 5)), 200),
        (key.token(typ, **dict(good, exp=None)), "jwt_claim"),
        (key.token(typ, **dict(good, nbf=now + 100)), "jwt_not_yet_valid"),
        (key.token(typ, **dict(good, iss="https://evil.test/")), "jwt_issuer"),
        (key.token(typ, **dict(good, aud="elsewhere")), "jwt_audience"),
        ("a.b", "jwt_malformed"), ("a.b.c.d.e", "jwt_format"),
    ]
    for h2 in (False, True):
        n = 0
        d.up.messages.clear()
        for token, want in rows:
            if h2:
                r = t.h2client(d.place.g).ask("GET", "/", [("authorization", f"Bearer {token}")]
                                              if token else [])
                got = r.status if r.status == 200 else json.loads(r.body)["reason"]
            else:
                r = d.ask("/", token)
                got = r.status if r.status == 200 else json.loads(r.body)["reason"]
            n += want == 200
            t.equal(got, want, f"HTTP/2: {h2}, {str(token)[:60]}")
            challenge = {200: None, "jwt_missing": "Bearer"}.get(want, 'Bearer error="invalid_token"')
            t.equal(r.get("www-authenticate"), challenge, f"{want}: what is needed")
        t.equal(len(d.up.messages), n, "only good ones arrive")
    t.equal(d.verdict("/open"), 200, "a route without")
    t.equal(d.verdict("/", fields=[("Authorization", "Basic YTpi")]), "jwt_missing", "another scheme")
    m = d.place.g.metrics()
    before = m.sum("gateway_jwt_checked_total"), m.sum("gateway_jwt_known_total")
    c, token = t.client(d.place.g), key.token(typ, **good, jti="new")
    t.equal([d.verdict("/", token, client=c) for _ in range(3)], [200] * 3, "one connection")
    m = d.place.g.metrics()
    t.equal((m.sum("gateway_jwt_checked_total"), m.sum("gateway_jwt_known_total")),
            (before[0] + 1, before[1] + 2), "looked at once")
    t.equal(m.sum("gateway_rejected_requests_total", reason="jwt_kid"), 2, "counted")


def test_keys_of_all_kinds(t):
    keys = [Pair(t.folder, alg, alg.lower()) for alg in ("RS256", "ES256", "EdDSA")]
    d = Door(t, {"main": jwt(*keys, Secret(kid="hs"))}, [("r", {}, {"auth": "main"})])
    for key in keys:
        t.equal(d.verdict("/", key.token()), 200, key.alg)
        t.equal(d.verdict("/", key.token()[:-8] + "AAAAAAAA"), "jwt_signature", f"{key.alg}, spoilt")
        forged = Secret(key.pem.encode(), kid=key.kid).token()
        t.equal(d.verdict("/", forged), "jwt_alg", f"{key.alg}: its public key as a secret")
        t.equal(d.verdict("/", key.token({"kid": "hs"})), "jwt_alg", f"{key.alg}: as another key's")
    t.equal(d.verdict("/", keys[0].token({"kid": keys[1].kid})), "jwt_alg", "RS256 for ES256")


def test_what_the_service_is_told(t):
    key = Secret()
    auth = {"main": jwt(key, claims_to_headers={"sub": "X-User", "groups": "X-Groups", "n": "X-N",
                                                "bad": "X-Bad"})}
    d = Door(t, auth, [("r", {}, {"auth": "main"})])
    token = key.token(groups=["a", "b"], n=7, bad="x\r\nX-Evil: 1")
    for fields in ([], [("X-User", "root"), ("x-groups", "admin"), ("X-Bad", "y")]):
        for _ in range(2):  # The second time it is known.
            t.equal(d.verdict("/", token, fields), 200, "good")
            m = d.up.messages[-1]
            t.equal([values(m, n) for n in ("x-user", "x-groups", "x-n", "x-bad", "x-evil")],
                    [["alice"], ["a,b"], ["7"], [], []], f"told, with {fields}")
            t.equal(values(m, "authorization"), [f"Bearer {token}"], "the token")
    d.push(auth, [("r", {}, {"auth": "main"}), ("open", {"path": "/open"}, {})])
    t.equal(d.verdict("/open", None, [("X-User", "root")]), 200, "a route without")
    t.equal(values(d.up.messages[-1], "x-user"), [], "nobody says it there either")
    d.verdict("/", key.token(sub=None), [("X-User", "root")])
    t.equal(values(d.up.messages[-1], "x-user"), [], "a claim that is missing")


def test_auths_with_the_same_keys_know_other_claims(t):
    """What is kept of a token that came by one auth is not what another one asks for."""
    key = Secret(kid="k")
    d = Door(t, {"one": jwt(key, claims_to_headers={"nick": "x-user"}),
                 "two": jwt(key, claims_to_headers={"sub": "x-user"}),
                 "three": jwt(key, claims_to_headers={"sub": "x-user", "email": "x-mail", "role": "x-role"}),
                 "four": jwt(key)},
             [(n, {"path": "/" + n}, {"auth": n}) for n in ("one", "two", "three", "four")])
    token = key.token(sub="alice", nick="root", role="r")
    c = t.client(d.place.g)
    for name, want in [("one", ["root"]), ("two", ["alice"]), ("three", ["alice"]), ("four", []),
                       ("three", ["alice"]), ("one", ["root"])] * 2:
        t.equal(d.ask("/" + name, token, client=c).status, 200, name)
        t.equal(values(d.up.messages[-1], "x-user"), want, f"who it is, by {name}")
        t.equal(values(d.up.messages[-1], "x-role"), ["r"] if name == "three" else [], f"role, by {name}")


SKETCH = """
version: 1
enabled: true
services:
  users:
    protocol: http
    endpoints:
      - {address: "%s", weight: 1, region: eu-1, zone: a}
      - {address: "unix:/run/users.sock"}
    timeouts: {connect: 2s, response_head: 15s, idle: 60s}
    pool: {max_idle: 500, idle_timeout: 30s, max_requests: 10000}
    limit: {mode: adaptive, max: 1024}
    breaker: {consecutive: 5, error_percent: 50, base: 1s, cap: 60s}
    retry: {attempts: 1, budget_percent: 20}
    health: {path: /health, interval: 2s, fall: 3, rise: 2}
routes:
  - name: users-api
    match: {hosts: ["api.example.com", "*.example.org"], path_prefix: /api/v1/users, methods: [GET, POST]}
    service: users
    priority: normal
    max_body: 1MiB
    limits: [per-client]
    auth: main
    request_headers: {set: {X-Tenant: blue}, remove: [X-Debug]}
limits:
  per-client: {key: client_ip, rate: 100/s, burst: 200}
auth:
  main: {jwt: {issuer: "https://id.example.com/", audience: gateway, keys: [%s]}}
"""


def test_all_that_a_policy_may_say(t):
    """One of everything, as the design shows it; what nothing acts on yet is told."""
    key = Secret(kid="k1")
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main"})])
    p = d.place
    with open(p.file, "w", encoding="utf-8") as f:
        f.write(SKETCH % (p.address(p.a), json.dumps(key.as_key())))
    inactive = p.push()["inactive"]
    for path in ("services.users.limit", "services.users.breaker", "services.users.health", "priority"):
        t.check(any(path in i for i in inactive), f"{path}: {inactive}")
    token = key.token(iss="https://id.example.com/", aud="gateway")
    c = t.client(p.g)

    def ask(path, token):
        return c.ask("GET", path, [("Authorization", f"Bearer {token}"), ("X-Debug", "1")], host="www.example.org")
    t.check(p.g.wait_metric(lambda _: ask("/api/v1/users/7", token).status == 200), "not let in")
    t.equal((values(d.up.messages[-1], "x-tenant"), values(d.up.messages[-1], "x-debug")), (["blue"], []), "told")
    t.equal(ask("/api/v1/users", key.token(iss="https://id.example.com", aud="gateway")).status, 401, "issuer")
    t.equal(ask("/api/v1/other", token).status, 404, "path")


def test_scopes(t):
    key = Secret()
    d = Door(t, {"main": jwt(key)},
             [("r", {}, {"auth": "main", "scopes": ["users:read", "users:write"]}),
              ("one", {"path_prefix": "/one"}, {"auth": "main", "scopes": ["users:read"]})])
    for scopes, root, one in (({"scope": "users:read users:write"}, 200, 200),
                              ({"scp": ["users:write", "users:read", "x"]}, 200, 200),
                              ({"scope": "users:read"}, "jwt_scope", 200),
                              ({"scope": "users:readx"}, "jwt_scope", "jwt_scope"),
                              ({"scope": "users"}, "jwt_scope", "jwt_scope"),
                              ({}, "jwt_scope", "jwt_scope")):
        token = key.token(**scopes)
        t.equal((d.verdict("/", token), d.verdict("/one", token)), (root, one), f"{scopes}")
    r = d.ask("/", key.token())
    t.equal((r.status, r.get("www-authenticate")),
            (403, 'Bearer error="insufficient_scope", scope="users:read users:write"'), "told")


def test_tokens_with_many_scopes_are_known(t):
    """A service that sees a signature checked for each request is a slow one."""
    key = Secret()
    d = Door(t, {"main": jwt(key, claims_to_headers={"sub": "x-user"})},
             [("r", {}, {"auth": "main", "scopes": ["scope:39:read"]})], config={"workers": 1})
    c = t.client(d.place.g)
    token = key.token(sub="a" * 200, scope=" ".join(f"scope:{i}:read" for i in range(100)))
    t.equal([d.verdict("/", token, client=c) for _ in range(5)], [200] * 5, "verdicts")
    m = d.place.g.metrics()
    t.equal((m.sum("gateway_jwt_checked_total"), m.sum("gateway_jwt_known_total")), (1, 4), "looked at")


def test_what_is_needed_is_always_told(t):
    """Beside rules that fill all room for fields of answers, and limits that tell what is left."""
    full = {"response_headers": {"set": {"x-long": "y" * 990}}}
    limits = {"ip": {"rate": "90/h", "fields": True}}
    d = Door(t, {"main": jwt(Secret())}, [
        ("full", {"path": "/full"}, dict(full, auth="main", scopes=["a:b"], limits=["ip"])),
        ("told", {"path": "/told"}, {"auth": "main", "limits": ["ip"]})], limits=limits)
    for path, token, want in (("/full", None, "Bearer"),
                              ("/full", Secret().token(),
                               'Bearer error="insufficient_scope", scope="a:b"'),
                              ("/told", "x.y.z", 'Bearer error="invalid_token"')):
        r = d.ask(path, token)
        t.equal(values(r, "www-authenticate"), [want], f"{path}")
        t.equal(len(r.get("x-long") or ""), 990 if path == "/full" else 0, f"{path}: the rules")
    t.check((r.get("ratelimit") or "").startswith('"ip";r='), "what is left")


def test_limits_by_claim_and_behind_the_token(t):
    key = Secret()
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main", "limits": ["user", "route"]})],
             limits={"user": {"key": "claim:sub", "rate": "2/h"}, "route": {"key": "all", "rate": "5/h"}})
    t.equal([d.verdict("/", "x.y.z") for _ in range(9)], ["jwt_malformed"] * 9, "bad ones")
    for who, want in (("a", [200, 200, "rate_limited"]), ("b", [200, 200, "rate_limited"]),
                      ("c", [200, "rate_limited", "rate_limited"])):
        token = key.token(sub=who)
        t.equal([d.verdict("/", token) for _ in range(3)], want, f"of {who}")


def test_another_policy_forgets_what_was_found(t):
    old, new = Secret(b"1" * 32), Secret(b"2" * 32)
    routes = [("r", {}, {"auth": "main"})]
    d = Door(t, {"main": jwt(old)}, routes)
    token = old.token()
    t.equal([d.verdict("/", token), d.verdict("/", token)], [200, 200], "before")
    d.push({"main": jwt(new)}, routes)
    t.equal(d.verdict("/", token), "jwt_signature", "its key is gone")
    t.equal(d.verdict("/", new.token()), 200, "the new one's")
    d.push({"main": jwt(new, claims_to_headers={"sub": "x-user"})}, routes)
    t.equal(d.verdict("/", new.token()), 200, "with a claim to tell")
    t.equal(values(d.up.messages[-1], "x-user"), ["alice"], "told at once")
    for i in range(40):  # Rings come and go.
        d.push({"main": jwt(Secret(b"%32d" % i))}, routes)
    t.equal(d.verdict("/", Secret(b"%32d" % 39).token()), 200, "the fortieth")


def test_a_flood_of_bad_tokens(t):
    """One client's; others are judged as before."""
    key = Secret()
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main"})],
             listener={"trusted_proxies": ["127.0.0.1"]})
    c = t.client(d.place.g)

    def ask(who, token):
        return d.verdict("/", token, [("X-Forwarded-For", who)], client=c)

    bad = [key.token(sub=str(i))[:-6] + "AAAAAA" for i in range(400)]
    began = time.monotonic()
    got = [ask("192.0.2.1", token) for token in bad]
    looked_at = 101 + 20 * (time.monotonic() - began)  # 100 at once, 20 each second.
    t.equal(got[:100], ["jwt_signature"] * 100, "the first")
    t.check(got.count("jwt_signature") <= looked_at, f"{got.count('jwt_signature')} of {looked_at}")
    t.equal(set(got[100:]) - {"jwt_signature", "auth_failures"}, set(), "the others")
    t.equal(ask("192.0.2.2", key.token()), 200, "another client")
    t.equal(ask("192.0.2.1", key.token()), 200, "a token that is known")
    t.check(d.place.g.metrics().sum("gateway_rejected_requests_total", reason="auth_failures") > 0, "counted")
    with Control(d.place.g.control_path) as control:
        def explained(who):
            fields = [f"Authorization: Bearer {key.token(sub='new')}"]
            return control.ask("explain", {"method": "GET", "url": "http://h/", "client": who,
                                           "fields": fields})
        said = None
        for i in range(50):  # A token comes back each 50 ms.
            for token in bad[8 * i:8 * i + 8]:
                ask("192.0.2.1", token + "x")
            said = explained("192.0.2.1")
            if said["result"].get("reason") == "auth_failures":
                break
        t.equal(said["result"].get("reason"), "auth_failures", f"explained: {said}")
        t.equal(explained("192.0.2.2")["result"].get("reason"), None, "for another client")


def burst(c, asks, who=None):
    """Streams of so many requests (token, body), sent in one go; 'who': whom they are for."""
    out, streams = b"", []
    for token, body in asks:
        s = c.open("POST")
        fields = [("authorization", f"Bearer {token}")]
        fields += [("x-forwarded-for", who)] if who else []
        out += h2frames.headers(s.number, c.encode([*c.pseudo("POST", "/", "h"), *fields]), False)
        out += h2frames.data(s.number, body, True)
        s.send_window -= len(body)
        c.send_window -= len(body)
        streams.append(s)
    c.send(out)
    return streams


def test_new_tokens_wait_for_their_turn(t):
    """All at once; with their bodies, and what they took of a limit given back meanwhile."""
    key, n = Secret(), 60
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main", "limits": ["few"]})],
             limits={"few": {"rate": "60/h", "burst": n + 1}})
    c = t.h2client(d.place.g)
    c.ask("GET", "/")  # Without a token; that, too, counts as one.
    asks = [(key.token(sub=str(i)), b"%d-" % i * 40) for i in range(n)]
    got = [c.take(s).status for s in burst(c, asks)]
    t.equal(got, [200] * n, "answers")
    t.equal(sorted(m.body for m in d.up.messages), sorted(body for _, body in asks), "bodies")
    m = d.place.g.metrics()
    t.equal(m.sum("gateway_jwt_checked_total"), n, "looked at")
    t.check(m.sum("gateway_jwt_waited_total") > n / 2, "waited")
    s, = burst(c, [(key.token(sub="one more"), b"x")])
    t.equal(json.loads(c.take(s).body)["reason"], "rate_limited", "the limit holds")


def test_who_waits_may_leave(t):
    """Streams are cancelled, connections reset; the others are served, and nothing is left."""
    key, n = Secret(), 40
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main"})])
    stays, leaves = t.h2client(d.place.g), t.h2client(d.place.g)
    for c in (stays, leaves):
        c.ask("GET", "/")
    tokens = [key.token(sub=str(i)) for i in range(2 * n)]
    streams = burst(stays, [(token, b"x") for token in tokens[:n]])
    burst(leaves, [(token, b"y") for token in tokens[n:]])
    leaves.reset()
    for s in streams[::2]:
        stays.cancel(s)
    t.equal([stays.take(s).status for s in streams[1::2]], [200] * (n // 2), "the others")
    t.check(d.place.g.wait_metric(lambda m: m.sum("gateway_requests_active") == 0), "all are over")


def test_more_tokens_than_may_wait(t):
    """Those are told so at once, and may come again."""
    key = Secret()
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main"})],
             config={"limits": {"connections": 64}})
    room, n = 64 // 4, 90  # Half of the half of the heads, of which there are no fewer than that.
    c = t.h2client(d.place.g)
    c.ask("GET", "/")
    asks = [(key.token(sub=str(i)), b"x") for i in range(n)]
    streams = burst(c, asks)
    for s in streams:
        c.take(s)
    good = [s for s in streams if s.status == 200]
    shed = [s for s in streams if s.status == 503]
    t.equal(len(good) + len(shed), n, "answered")
    t.check(len(good) >= room, f"{len(good)} served")
    t.equal({json.loads(s.body)["reason"] for s in shed}, {"overload_tokens"}, "why")
    t.equal({s.get("retry-after") for s in shed}, {"1"}, "when")
    t.equal(len(d.up.messages), len(good), "nothing of those is passed on")
    again = burst(c, [asks[i] for i, s in enumerate(streams) if s.status == 503][:room])
    t.equal({c.take(s).status for s in again} - {200}, set(), "the second time")


def reasons(c, streams):
    return [s.status if s.status == 200 else json.loads(s.body)["reason"]
            for s in (c.take(s) for s in streams)]


def test_nobody_waits_for_one_client(t):
    """Whose tokens are bad, or who is beyond its limit: neither fills the queue."""
    key = Secret()
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main"})],
             listener={"trusted_proxies": ["127.0.0.1"]}, config={"limits": {"connections": 64}})
    c = t.h2client(d.place.g)
    c.ask("GET", "/")
    crowd = burst(c, [(key.token(sub=str(i))[:-6] + "AAAAAA", b"x") for i in range(60)], "192.0.2.1")
    few = burst(c, [(key.token(sub=f"o{i}"), b"x") for i in range(5)], "192.0.2.2")
    t.equal(reasons(c, few), [200] * 5, "beside bad tokens")
    t.equal(set(reasons(c, crowd)), {"jwt_signature", "overload_tokens"}, "which wait, or do not")
    d.push({"main": jwt(key)}, [("r", {}, {"auth": "main", "limits": ["few"]})],
           limits={"few": {"rate": "60/h", "burst": 5}})
    crowd = burst(c, [(key.token(sub=str(i)), b"x") for i in range(60)], "192.0.2.1")
    few = burst(c, [(key.token(sub=f"p{i}"), b"x") for i in range(5)], "192.0.2.2")
    t.equal(reasons(c, few), [200] * 5, "beside one with a limit")
    got = reasons(c, crowd)
    t.equal((got.count(200), got.count("rate_limited")), (5, 55), "which is told so at once")


def test_who_waits_is_judged_like_others(t):
    """Refused or answered: by the route's rules."""
    key, n = Secret(), 40
    d = Door(t, {"main": jwt(key)}, [("r", {}, {"auth": "main", "max_body": "1KiB",
             "response_headers": {"set": {"x-rule": "1"}}})])

    def patient(conn, message):  # Else it may answer before a body is too long that comes in two pieces.
        conn.read_body(message)
        conn.send(response(200, b"a"))
    d.up.handler = patient
    c = t.h2client(d.place.g)
    c.ask("GET", "/")
    streams = burst(c, [(key.token(sub=str(i)), b"x" * 2000) for i in range(n)])
    t.equal(reasons(c, streams), ["body_too_large"] * n, "too long")
    t.equal([m for m in d.up.messages if m.complete], [], "of which no origin has a whole one")
    t.equal([s.get("x-rule") for s in streams], ["1"] * n, "with the rules")
    streams = burst(c, [(key.token(sub=f"b{i}")[:-6] + "AAAAAA", b"x" * 2000) for i in range(n)])
    t.equal(reasons(c, streams), ["jwt_signature"] * n, "the first reason counts")
    d.place.write([("r", {}, None, {"auth": "main", "respond": {"status": 200, "body": "here"}})],
                  auth={"main": jwt(key)})
    d.place.push()
    streams = burst(c, [(key.token(sub=f"c{i}"), b"hello") for i in range(n)])
    t.equal([c.take(s).body for s in streams], [b"here"] * n, "a route that answers by itself")


def test_api_keys(t):
    sha = {n: hashlib.sha256(k.encode()).hexdigest()
           for n, k in (("billing", "secret-1"), ("web", "secret-2"))}
    d = Door(t, {"main": {"api_keys": {"keys": sha, "name_header": "x-client"}}},
             [("r", {}, {"auth": "main"})])
    for fields, want in (([("X-Api-Key", "secret-1")], 200), ([("x-api-key", "secret-2")], 200),
                         ([("X-Api-Key", "secret-3")], "api_key_unknown"),
                         ([("X-Api-Key", sha["web"])], "api_key_unknown"),
                         ([], "api_key_missing"),
                         ([("X-Api-Key", "secret-1"), ("X-Api-Key", "secret-2")], "api_key_missing")):
        r = d.ask("/", None, fields + [("X-Client", "root")])
        got = r.status if r.status == 200 else json.loads(r.body)["reason"]
        t.equal(got, want, f"{fields}")
        if want == 200:
            m = d.up.messages[-1]
            name = "billing" if fields[0][1] == "secret-1" else "web"
            t.equal((values(m, "x-client"), values(m, "x-api-key")), ([name], []), "told")
        else:
            t.equal((r.status, r.get("www-authenticate")), (401, "ApiKey"), "what is needed")


class Mesh:
    """A Door that asks clients for certificates of one authority, and takes those of such lists."""

    ROUTES = [("r", {}, {"auth": "mesh"})]

    def __init__(self, t, **mtls):
        self.t = t
        self.ca = Cert(t.folder, "clients")
        self.site = Cert(t.folder, "site", ["site.test"])
        self.door = Door(t, {"mesh": {"mtls": mtls}}, self.ROUTES,
                         listener={"tls": {"certificates": [self.site.as_config()],
                                           "client_ca": self.ca.cert, "client_auth": "optional"}})

    def allow(self, **mtls):
        self.door.push({"mesh": {"mtls": mtls}}, self.ROUTES)

    def cert(self, name, sans=()):
        return Cert(self.t.folder, name, sans, issuer=self.ca)

    def ask(self, shown, h2=False, fields=(), most=None):
        """200, or the reason."""
        context = client_context(self.site, shown, most)
        if h2:
            context.set_alpn_protocols(["h2"])
            c = self.t.h2client(self.door.place.g, tls=context, name="site.test")
            r = c.ask("GET", "/", [(n.lower(), v) for n, v in fields], authority="site.test")
        else:
            c = self.t.client(self.door.place.g, tls=context, name="site.test")
            r = c.ask("GET", "/", fields, host="site.test")
        c.close()
        return r.status if r.status == 200 else (r.status, json.loads(r.body)["reason"])

    def told(self):
        """What the service heard last of who the client is by its certificate."""
        return {n.lower(): v for n, v in self.door.up.messages[-1].fields
                if n.lower().startswith("x-client-cert")}


NOBODY = (403, "client_identity")


def test_certificates(t):
    m = Mesh(t, subjects=["CN=one"])
    t.equal([m.ask(shown) for shown in (m.cert("one"), m.cert("two"), None)], [200, NOBODY, NOBODY],
            "by name")


def test_certificates_by_digest(t):
    m = Mesh(t, sha256=["0" * 64])
    one = m.cert("one")
    t.equal(m.ask(one), NOBODY, "before it is named")
    m.allow(sha256=["0" * 64, one.sha256()])
    t.equal([m.ask(shown) for shown in (one, m.cert("two"), None)], [200, NOBODY, NOBODY], "by digest")
    t.equal(m.told().get("x-client-cert-sha256"), one.sha256(), "told")
    t.equal(m.ask(m.cert("one")), NOBODY, "another one of the same name")


def test_certificates_by_alternative_names(t):
    m = Mesh(t, sans=["uri:spiffe://mesh.test/ns/a/sa/Billing", "dns:Billing.Mesh.test",
                      "email:Alice@mesh.test"], subjects=["CN=by-subject"])
    uri, dns, mail = ("URI:spiffe://mesh.test/ns/a/sa/Billing", "BILLING.mesh.TEST",
                      "email:Alice@mesh.test")
    rows = [
        ("uri", [uri], "uri:spiffe://mesh.test/ns/a/sa/Billing"),
        ("dns", [dns], "dns:billing.mesh.test"),
        ("mail", [mail], "email:Alice@mesh.test"),
        ("among-others", ["IP:192.0.2.1", "x.test", "URI:urn:x:y", dns, uri], "dns:billing.mesh.test"),
        ("by-subject", ["x.test"], ""),
        ("by-both", [mail, "x.test"], "email:Alice@mesh.test"),
        ("none", [], None),
        ("billing.mesh.test", [], None),  # As a common name.
        ("longer", ["URI:spiffe://mesh.test/ns/a/sa/Billing/x"], None),
        ("shorter", ["URI:spiffe://mesh.test/ns/a/sa/Bill"], None),
        ("other-case", ["URI:spiffe://mesh.test/ns/a/sa/billing", "email:alice@mesh.test"], None),
        ("other-kind", ["URI:dns:billing.mesh.test", "email:billing@mesh.test"], None),
        ("wildcard", ["*.mesh.test", "*.test"], None),
        ("below", ["x.billing.mesh.test"], None),
        ("nul", [der_name(b"billing.mesh.test\0.evil.test")], None),
        ("nul-at-the-end", [der_name(b"billing.mesh.test\0")], None),
        ("blank", [der_name(b"x dns:billing.mesh.test")], None),
        ("behind-16", [f"n{i}.test" for i in range(16)] + [dns], None),
        ("the-16th", [f"n{i}.test" for i in range(15)] + [dns], "dns:billing.mesh.test"),
        ("behind-a-long-one", ["URI:urn:" + "x" * 2560, dns], "dns:billing.mesh.test"),
    ]
    forged = [("X-Client-Cert-San", "uri:spiffe://mesh.test/root"), ("X-Client-Cert-Subject", "CN=root")]
    for name, sans, told in rows:
        shown = m.cert(name, sans)
        for h2 in (False, True):
            want = NOBODY if told is None else 200
            t.equal(m.ask(shown, h2, forged), want, f"{name}, HTTP/2: {h2}")
            if told is not None:
                subject = {"x-client-cert-subject": f"CN={name}", "x-client-cert-sha256": shown.sha256()}
                t.equal(m.told(), dict(subject, **({"x-client-cert-san": told} if told else {})),
                        f"{name}: told, HTTP/2: {h2}")
    t.equal(m.ask(m.cert("uri", [uri]), most=ssl.TLSVersion.TLSv1_2), 200, "TLS 1.2")
    t.equal(m.ask(None), NOBODY, "nobody")


def test_names_take_no_memory_for_long(t):
    m = Mesh(t, sans=["dns:a.test"])
    shown = m.cert("big", ["a.test"] + ["URI:urn:" + "x" * 2000])

    def used():
        return m.door.place.g.metrics().sum("gateway_tls_memory_used_bytes")

    t.equal([m.ask(shown) for _ in range(20)], [200] * 20, "before")
    before = used()
    t.equal([m.ask(shown) for _ in range(100)], [200] * 100, "more")
    t.check(m.door.place.g.wait_metric(lambda x: x.sum("gateway_tls_memory_used_bytes") < before + 50000),
            f"{used() - before} bytes more after 100 connections")


def test_a_trusted_proxy_speaks_of_its_client(t):
    """Who has shown its own certificate: its client's fields are passed on, none of ours beside."""
    m = Mesh(t, sans=["dns:proxy.test"])
    place = m.door.place
    place.kw["listener"]["trusted_proxies"] = ["127.0.0.1"]
    place.g.stop()
    place.g = place.start()
    proxy = m.cert("proxy", ["proxy.test"])
    t.equal(m.ask(proxy, fields=[("X-Client-Cert-Subject", "CN=user")]), 200, "with a client's")
    t.equal(m.told(), {"x-client-cert-subject": "CN=user"}, "its client")
    t.equal(m.ask(proxy), 200, "for itself")
    t.equal(m.told().get("x-client-cert-san"), "dns:proxy.test", "itself")


def test_a_preflight_needs_no_token(t):
    d = Door(t, {"main": jwt(Secret())},
             [("r", {}, {"auth": "main", "limits": ["ip"], "cors": {"origins": ["https://app.test"]}})],
             limits={"ip": {"rate": "2/h"}})
    r = d.ask("/", None, [("Origin", "https://app.test"), ("Access-Control-Request-Method", "GET")],
              method="OPTIONS")
    t.equal(r.status, 204, "the preflight")
    r = d.ask("/", None, [("Origin", "https://app.test")])
    t.equal((r.status, r.get("access-control-allow-origin")), (401, "https://app.test"),
            "a page can read why")
    r = d.ask("/", None, [("Origin", "https://app.test"), ("Access-Control-Request-Method", "GET")],
              method="OPTIONS")
    t.equal((r.status, r.get("access-control-allow-origin")), (429, "https://app.test"),
            "and it costs a token of its client's")


for _name, _fn in list(globals().items()):
    if "_certificates" in _name or _name in ("test_names_take_no_memory_for_long",
                                              "test_a_trusted_proxy_speaks_of_its_client"):
        _fn.clear = True
