# SPDX-License-Identifier: Apache-2.0
"""Rate limits of routes: who shares a bucket, what is told, what stays from push to push."""
import json
import time

from harness.place import Place


def place(t, routes, limits, **kw):
    """Routes: (name, match, limits)."""
    p = Place(t, [], state=False, **kw)
    push(p, routes, limits)
    return p


def push(p, routes, limits):
    p.write([(n, m, "a", {"limits": names}) for n, m, names in routes], limits=limits)
    p.push()


def ask(p, path="/", fields=(), client=None):
    return (client or p.t.client(p.g)).ask("GET", path, list(fields), host="h")


def admitted(p, n, path="/", fields=()):
    """How many of n, one right after the other."""
    c = p.t.client(p.g)
    return sum(ask(p, path, fields, c).status == 200 for _ in range(n))


def test_more_than_the_burst_is_refused(t):
    p = place(t, [("r", {}, ["few"])], {"few": {"rate": "3/m", "fields": True}})
    c = t.client(p.g)
    got = [ask(p, client=c) for _ in range(5)]
    t.equal([r.status for r in got], [200] * 3 + [429] * 2, "statuses")
    t.equal([r.get("ratelimit-policy") for r in got], ['"few";q=3;w=60'] * 5, "the policy")
    t.equal([r.get("ratelimit").partition(";t=")[0] for r in got],
            ['"few";r=2', '"few";r=1'] + ['"few";r=0'] * 3, "what is left")
    t.check(all(15 < int(r.get("retry-after")) <= 20 for r in got[3:]),
            [r.get("retry-after") for r in got])
    t.equal(json.loads(got[4].body), {"status": 429, "reason": "rate_limited"}, "the answer")
    t.equal(p.g.metrics().sum("gateway_rejected_requests_total", reason="rate_limited"), 2, "counted")
    t.equal(len(p.a.messages), 3, "at the origin")


def test_what_is_told_is_the_rate(t):
    """Also where the bucket is no whole number of seconds' tokens."""
    limits = {n: {"rate": r, "burst": b, "fields": True, "key": "all"}
              for n, r, b in (("a", "1000/s", 5), ("b", "100/s", 250), ("c", "10/m", 10), ("d", "1/h", 2))}
    p = place(t, [(n, {"path": "/" + n}, [n]) for n in limits], limits)
    t.equal([ask(p, "/" + n).get("ratelimit-policy") for n in limits],
            ['"a";q=1000;w=1', '"b";q=300;w=3', '"c";q=10;w=60', '"d";q=2;w=7200'], "policies")


def test_which_limit_it_was_is_logged(t):
    limits = {"first": {"rate": "9/h"}, "second": {"key": "route", "rate": "2/h"}}
    p = place(t, [("r", {}, ["first", "second"])], limits)
    t.equal(admitted(p, 3), 2, "the second one")
    lines = p.g.access(n=3)
    t.equal([r["limit"] for r in lines], ["", "", "second"], "in the log")


def test_tokens_come_back(t):
    p = place(t, [("r", {}, ["ten"])], {"ten": {"rate": "10/s", "burst": 1}})
    t.equal(admitted(p, 2), 1, "at once")
    deadline = time.monotonic() + 5
    n = 0
    while n < 5 and time.monotonic() < deadline:
        n += ask(p).status == 200
    t.check(time.monotonic() - deadline + 5 > 0.4, "5 tokens of 10/s came too soon")
    t.equal(n, 5, "in time")


def test_whose_bucket_it_is(t):
    limits = {"all": {"key": "all", "rate": "4/m"}, "route": {"key": "route", "rate": "3/m"},
              "key": {"key": "header:X-Api-Key", "rate": "2/m"},
              "service": {"key": "service", "rate": "5/m"}}
    p = place(t, [("a", {"path_prefix": "/all"}, ["all"]), ("b", {"path_prefix": "/all/too"}, ["all"]),
                  ("c", {"path_prefix": "/c"}, ["route"]), ("d", {"path_prefix": "/d"}, ["route"]),
                  ("e", {"path_prefix": "/key"}, ["key"]),
                  ("f", {"path_prefix": "/f"}, ["service"]),
                  ("g", {"path_prefix": "/g"}, ["service"])], limits)
    t.equal((admitted(p, 3, "/all"), admitted(p, 3, "/all/too")), (3, 1), "one for all")
    t.equal((admitted(p, 5, "/c"), admitted(p, 5, "/d")), (3, 3), "one per route")
    t.equal((admitted(p, 3, "/f"), admitted(p, 3, "/g")), (3, 2), "one per service")
    for fields, want in (([("X-Api-Key", "one")], 2), ([("x-api-key", "two")], 2),
                         ([("X-Api-Key", "one")], 0), ([], 2),
                         ([("X-Api-Key", "three"), ("X-Api-Key", "four")], 0)):
        t.equal(admitted(p, 3, "/key", fields), want, f"by field: {fields}")


def test_clients_behind_trusted_proxies(t):
    limits = {"ip": {"rate": "2/m"}}
    for trusted, asks in ((["127.0.0.0/8", "10.0.0.0/8"],
                           (("192.0.2.1", 2), ("192.0.2.1, 10.1.2.3", 0), ("198.51.100.9, 192.0.2.1", 0),
                            ("192.0.2.2", 2), ("2001:db8::1", 2), ("2001:db8::ffff", 0),
                            ("2001:db8:0:1::1", 2), ("[2001:db8:0:1::2]:443", 0),
                            ("192.0.2.3:1234", 2), ("192.0.2.3", 0), ("junk", 2), ("unknown", 0))),
                          ([], (("192.0.2.1", 2), ("192.0.2.2", 0), ("", 0)))):
        p = place(t, [("r", {}, ["ip"])], limits, listener={"trusted_proxies": trusted})
        for said, want in asks:
            t.equal(admitted(p, 3, "/", [("X-Forwarded-For", said)] if said else []), want,
                    f"trusted {trusted}, says {said}")


def test_who_refuses_gives_the_others_back(t):
    limits = {"one": {"key": "all", "rate": "10/h"}, "two": {"key": "header:X-K", "rate": "10/h"},
              "last": {"key": "header:X-Last", "rate": "1/h"}}
    p = place(t, [("r", {"path": "/r"}, ["one", "two", "last"]), ("s", {"path": "/s"}, ["one", "two"])],
              limits)
    t.equal(admitted(p, 8, "/r"), 1, "the last one decides")
    t.equal(admitted(p, 12, "/s"), 9, "what it refused cost nothing")


def test_a_limit_stays_from_push_to_push(t):
    routes = [("r", {}, ["x"])]
    for key, other, moved in (("all", "service", "q"), ("client_ip", "service", "q"),
                              ("service", "route", "q"), ("route", "service", "r")):
        p = place(t, routes, {"x": {"key": key, "rate": "5/h"}})
        t.equal(admitted(p, 3), 3, f"{key}: some")
        push(p, [("new", {"path": "/new"}, ["x"]), (moved, {}, ["x"])],
             {"a": {"rate": "1/s"}, "x": {"key": key, "rate": "5/h"}})
        t.equal(admitted(p, 5), 2, f"{key}: the rest, as route {moved}")
        push(p, routes, {"x": {"key": key, "rate": "100000/s", "burst": 5}})
        t.check(p.g.wait_metric(lambda m: ask(p).status == 200), f"{key}: a faster one locks out")
        push(p, routes, {"x": {"key": other, "rate": "5/h"}})
        t.equal(admitted(p, 8), 5, f"{key}: by another key it is another one")
        push(p, routes, {"x": {"key": key, "rate": "5/h"}})
        t.equal(admitted(p, 8), 5, f"{key}: and again")
        p.g.stop()


def test_a_route_with_another_name_has_a_bucket_of_its_own(t):
    limits = {"x": {"key": "route", "rate": "5/h"}}
    p = place(t, [("r", {}, ["x"])], limits)
    for name in ("a", "b", "r", "a"):
        push(p, [(name, {}, ["x"])], limits)
        t.equal(admitted(p, 8), 5, name)


def test_workers_share_a_bucket(t):
    for key in ("all", "client_ip", "route", "service"):
        p = place(t, [("r", {}, ["x"])], {"x": {"key": key, "rate": "40/h"}}, config={"workers": 3})
        clients = [t.client(p.g) for _ in range(12)]
        got = sum(ask(p, client=c).status == 200 for _ in range(8) for c in clients)
        t.equal(got, 40, f"{key}: of 96 asked by 12 connections")
        p.g.stop()


def test_no_flood_of_clients_makes_a_route_forget(t):
    """Buckets of keys are evicted when there are more than cells, 1,024 here. Those of routes are not."""
    limits = {"route": {"key": "route", "rate": "5/h"}, "service": {"key": "service", "rate": "6/h"},
              "all": {"key": "all", "rate": "7/h"}, "many": {"key": "header:X-K", "rate": "1/d", "burst": 9}}
    p = place(t, [(n, {"path": "/" + n}, [n]) for n in limits], limits,
              config={"limits": {"rate_keys": 1024}})
    for name, n in (("route", 5), ("service", 6), ("all", 7)):
        t.equal(admitted(p, 9, "/" + name), n, name)
    c = t.client(p.g)
    t.equal(sum(ask(p, "/many", [("X-K", str(i))], c).status == 200 for i in range(6000)), 6000, "new keys")
    t.check(p.g.metrics().sum("gateway_rate_limit_evictions_total") > 4000, "none is evicted")
    for name in ("route", "service", "all"):
        t.equal(admitted(p, 3, "/" + name), 0, f"{name}, after the flood")


def test_each_of_many_routes_has_a_bucket(t):
    """And a second limit that all of them share."""
    n = 2000
    limits = {"own": {"key": "route", "rate": "1/d", "burst": 2},
              "service": {"key": "service", "rate": "1/d", "burst": n + 50}}
    p = place(t, [(f"r{i}", {"path": f"/{i}"}, ["own", "service"]) for i in range(n)], limits,
              config={"workers": 2})
    clients = [t.client(p.g) for _ in range(4)]
    def all_once():
        return sum(ask(p, f"/{i}", client=clients[i % 4]).status == 200 for i in range(n))
    t.equal([all_once(), all_once()], [n, 50], "once, and twice")
    push(p, [(f"r{i}", {"path": f"/{i}"}, ["own", "service"]) for i in reversed(range(n))], limits)
    t.equal(all_once(), 0, "after a push")


def test_answers_of_a_route_are_limited_too(t):
    p = Place(t, [], state=False)
    p.write([("r", {}, None, {"respond": {"status": 204}, "limits": ["x"]})],
            limits={"x": {"rate": "2/h"}})
    p.push()
    c = t.client(p.g)
    t.equal([ask(p, client=c).status for _ in range(4)], [204, 204, 429, 429], "statuses")
