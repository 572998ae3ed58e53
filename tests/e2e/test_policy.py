# SPDX-License-Identifier: Apache-2.0
"""Policies: pushed, refused, kept, and judged by."""
import json
import os
import shutil
import subprocess
import threading
import time

from harness.certs import Cert
from harness.control import Control
from harness.gateway import Failed
from harness.place import Place
from harness.programs import gwtool, gwtool_path


BOTH = [("a", {"path_prefix": "/"}, "a"), ("b", {"path_prefix": "/b"}, "b")]


def test_requests_take_routes(t):
    p = Place(t, BOTH + [
        ("host", {"hosts": ["*.x.test"], "path": "/only"}, "b"),
        ("field", {"headers": {"X-Version": "2"}, "path_prefix": "/"}, "b"),
        ("post", {"methods": ["POST"], "path_prefix": "/p"}, "b", {"max_body": "5B"})])
    t.equal((p.ask("/"), p.ask("/b"), p.ask("/b/c"), p.ask("/bc")), ("a", "b", "b", "a"), "paths")
    t.equal((p.ask("/only", "y.x.test"), p.ask("/b", "y.x.test")), ("b", (404, "no_route")), "host")
    t.equal(p.ask("/", fields=[("X-Version", "2")]), "b", "a field")
    t.equal(p.ask("/", fields=[("X-Version", "2"), ("X-Version", "2")]), "a", "the field twice")
    t.equal(p.ask("/x/../b/./%63?q=1"), "b", "the canonical path")
    c = t.client(p.g)
    t.equal(c.ask("POST", "/p", body=b"12345", host="h").body, b"b", "a body within the limit")
    r = c.ask("POST", "/p", body=b"123456", host="h")
    t.equal((r.status, json.loads(r.body)["reason"]), (413, "body_too_large"), "beyond")


def test_metrics_name_routes_and_services(t):
    p = Place(t, BOTH)
    p.ask("/")
    p.write([("b", {"path_prefix": "/b"}, "b"), ("new", {}, "dead")],
            {"b": {"endpoints": [{"address": p.address(p.b)}]}, "dead": {}})
    p.push()
    for _ in range(3):
        p.ask("/b")
    t.equal(p.ask("/"), (503, "no_endpoint"), "a service without endpoints")

    def counted(route, n):  # When an answer has left, which its client may see sooner.
        t.check(p.g.wait_metric(lambda m: m.sum("http_requests_total", route=route) == n),
                f"requests of {route}, not {n}")

    for route, n in (("b", 3), ("new", 1), ("_other", 1)):
        counted(route, n)
    for i in range(5):  # A slot that was left keeps what was counted: another name is not given it.
        p.write([(f"r{i}", {"path_prefix": "/b"}, "b")])
        p.push()
        p.ask("/b")
        counted(f"r{i}", 1)


def test_a_push_is_judged_by_at_once(t):
    p = Place(t, BOTH)
    p.write([("a", {"path_prefix": "/"}, "b")])
    r = p.push()
    t.equal((r["generation"], r["committed"], r["kept"], r["inactive"]), (2, True, True, []), "reply")
    t.equal([w["worker"] for w in r["workers"]], list(range(p.g.n_workers())), "all workers")
    if r["pending"] == 0:  # An answer waits 50 ms for the workers; a loaded machine takes longer.
        t.equal(max(w["adopt_us"] for w in r["workers"]), r["sync_us_max"], "the latest worker")
    t.equal([p.ask("/") for _ in range(8)], ["b"] * 8, "whoever asks")
    t.equal(p.g.access(n=8)[-1]["policy_generation"], 2, "in the log")
    p.write([], {})
    p.push()
    t.equal(p.ask("/"), (421, "host_not_allowed"), "an empty policy")
    p.write(BOTH, enabled=False)
    p.push()
    t.equal(p.ask("/"), (429, "policy_disabled"), "switched off")


def test_a_wrong_policy_changes_nothing(t):
    p = Place(t, BOTH)
    with open(p.file, "w", encoding="utf-8") as f:
        f.write("version: 1\nservices:\n  a: {}\nroutes:\n  - name: r\n    servise: a\n")
    code, out, err = gwtool(t, "--socket", p.g.control_path, "push-policy", p.file)
    t.equal((code, out), (78, ""), "refused")
    t.check(f'{p.file}:6:5: routes[0]: unknown key "servise"; did you mean "service"?' in err, err)
    with Control(p.g.control_path) as c:
        for policy, code, path in (
                ({"version": 1, "routes": [{"name": "r", "service": "x"}]}, "semantic",
                 "policy.routes[0].service"),
                ({"version": 3}, "range", "policy.version"), (None, "missing_key", "policy"),
                ({"version": 1, "services": {"a": {"protocol": "ftp"}}}, "value",
                 "policy.services.a.protocol")):
            r = c.ask("push_policy", {"policy": policy})
            t.equal((r["ok"], r["error"]["code"], r["error"]["path"]), (False, code, path), f"{r}")
        t.equal(c.ask("push_policy", {"polcy": {}})["error"]["code"], "unknown_key", "an argument")
        t.equal(c.ask("push_policy", {})["error"]["code"], "missing_key", "no argument")
    t.equal((p.ask("/"), p.ask("/b")), ("a", "b"), "the one before")
    code, out, _ = gwtool(t, "--socket", p.g.control_path, "--json", "get-policy")
    t.equal((code, json.loads(out)["generation"]), (0, 1), "in force")


def test_expectations_and_trials(t):
    p = Place(t, BOTH)
    p.write([("a", {}, "b")])
    t.equal(p.push("--dry-run")["committed"], False, "a trial")
    t.equal(p.ask("/"), "a", "nothing has changed")
    t.check("stale" in p.push("--expect-generation", "7", want=1), "not stale")
    t.equal(p.push("--expect-generation", "1")["generation"], 2, "as expected")
    t.check("stale" in p.push("--expect-generation", "1", want=1), "not stale")


def test_what_was_accepted_is_there_after_a_start(t):
    p = Place(t, BOTH)
    p.write([("a", {}, "b")])
    p.push()
    p.write([("a", {}, "a")])  # The file is not asked any more.
    p.g.process.kill()
    t.forget(p.g)
    p.g = p.start()
    t.equal(p.ask("/"), "b", "from the state folder")
    t.equal(p.push()["generation"], 3, "it goes on")
    with open(os.path.join(p.state, "policy"), "r+b") as f:
        f.seek(30)
        f.write(b"\xff")
    try:
        p.start()
        t.check(False, "started with a damaged policy")
    except Failed:
        pass


def test_a_policy_of_the_command_line_is_not_kept(t):
    p = Place(t, BOTH)
    p.write([("a", {}, "b")])
    p.push()
    other = os.path.join(t.folder, "other.yaml")
    with open(other, "w", encoding="utf-8") as f:
        json.dump({"version": 1}, f)
    t.forget(p.g)
    p.g = t.gateway(config=p.config, flags=["--policy", other])
    t.equal(p.ask("/"), (421, "host_not_allowed"), "the flag's")
    p.write([("a", {}, "a")])
    t.equal(p.push()["kept"], False, "not kept")
    t.forget(p.g)
    p.g = p.start()
    t.equal(p.ask("/"), "b", "the one that was kept before")


def test_a_kill_leaves_a_whole_policy(t):
    """At any moment: the old one or the new one."""
    p = Place(t, [("a", {}, "a")])
    for i in range(60 if t.full else 8):
        p.write([("a", {}, "ab"[i % 2])] + [(f"r{k}", {"path_prefix": f"/{k}"}, "a")
                                          for k in range(300)])
        pusher = threading.Thread(target=lambda: gwtool(t, "--socket", p.g.control_path,
                                                        "push-policy", p.file))
        pusher.start()
        time.sleep(0.004 * (i % 7))
        p.g.process.kill()
        pusher.join()
        t.forget(p.g)
        p.g = p.start()
        t.check(p.ask("/x") in ("a", "b"), f"kill {i}")


def test_pushes_under_load_are_never_mixed(t):
    """Two policies that disagree in two places; every answer is all of one of them."""
    p = Place(t, [("a", {}, "a", {"max_body": "3B"})])
    over = threading.Event()
    odd, n = [], [0]

    def load():
        c = t.client(p.g)
        while not over.is_set():
            got = p.ask("/x", client=c), p.ask("/x", client=c)
            n[0] += 2
            if got[0] not in ("a", (413, "body_too_large"), "b"):
                odd.append(got)

    def posts():
        """Route one: to a, 3 bytes; the other: to b, 9 bytes. 6 bytes are b's or refused."""
        c = t.client(p.g)
        while not over.is_set():
            r = c.ask("POST", "/x", body=b"123456", host="h")
            n[0] += 1
            if r.status == 413:  # The end of its connection.
                c.close()
                c = t.client(p.g)
            if (r.status, r.body) != (200, b"b") and r.status != 413:
                odd.append((r.status, r.body))

    threads = [threading.Thread(target=f) for f in (load, posts, posts)]
    for thread in threads:
        thread.start()
    for i in range(300 if t.full else 40):
        p.write([("a", {}, "ab"[i % 2], {"max_body": ("3B", "9B")[i % 2]})])
        t.equal(p.push()["generation"], i + 2, "generation")
    over.set()
    for thread in threads:
        thread.join(20)
    t.equal(odd, [], "answers of neither")
    t.check(n[0] > 100, f"only {n[0]} requests")


def test_many_routes(t):
    n = 50000 if t.full else 5000
    p = Place(t, BOTH)
    p.write([(f"r{i}", {"hosts": [f"h{i % 100}.test"], "path_prefix": f"/p{i}/x"}, "ab"[i % 2])
             for i in range(n)])
    t.equal(p.push()["committed"], True, "pushed")
    for i in (0, 1, 77, n - 1):
        t.equal(p.ask(f"/p{i}/x/y", f"h{i % 100}.test"), "ab"[i % 2], f"route {i}")
        t.equal(p.ask(f"/p{i}/x/y", f"h{(i + 1) % 100}.test"), (404, "no_route"), "another host")
    code, out, _ = gwtool(t, "--socket", p.g.control_path, "--json", "get-policy")
    t.equal((code, len(json.loads(out)["policy"]["routes"])), (0, n), "all of it")


def test_who_pushes_beside_another_is_told(t):
    """Also of a policy that is too large to be read at once: the daemon hangs up in its midst."""
    p = Place(t, [])
    p.write([(f"r{i}", {"path": f"/{i}"}, "a") for i in range(20000)])
    argv = [gwtool_path(t), "--socket", p.g.control_path, "--json", "push-policy", p.file]
    for _ in range(3):
        all_three = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        for one in all_three:
            out, err = one.communicate(timeout=60)
            said = json.loads(out)
            t.check((one.returncode, err) == (0, b"") and said["committed"]
                    or one.returncode == 1 and said["errors"][0]["code"] == "busy", f"{one.returncode}: {said} {err}")


def test_more_clients_than_there_may_be(t):
    g, _ = t.pair()
    held = [Control(g.control_path) for _ in range(16)]
    code, out, err = gwtool(t, "--socket", g.control_path, "status")
    t.check(code == 1 and "16 others are connected" in err, f"{code} {out} {err}")
    for c in held:
        c.close()
    t.check(g.wait_metric(lambda _: gwtool(t, "--socket", g.control_path, "status")[0] == 0), "served again")


def test_without_a_policy_none_is_pushed(t):
    g, _ = t.pair()
    with Control(g.control_path) as c:
        r = c.ask("push_policy", {"policy": {"version": 1}})
        t.equal((r["ok"], r["error"]["code"]), (False, "no_policy"), f"{r}")
        got = c.ask("get_policy")["result"]["policy"]
        t.equal(got["routes"][0]["service"], "default", "what the command line says, as a policy")


def test_a_system_without_authorities(t):
    """It serves in the clear; a service over TLS needs some, in whatever way it comes."""
    empty = os.path.join(t.folder, "empty.pem")
    with open(empty, "w", encoding="ascii"):
        pass
    p = Place(t, BOTH, env={"SSL_CERT_FILE": empty})
    t.equal(p.ask("/"), "a", "in the clear")
    p.write([], {"s": {"protocol": "https", "endpoints": [{"address": "127.0.0.1:1"}]}})
    err = p.push(want=78)
    t.check("services.s.protocol: no authority" in err, err)
    t.equal(p.ask("/"), "a", "the one before")
    p.push("--dry-run", want=78)
    try:
        p.t.gateway(config={"policy": p.file}, env={"SSL_CERT_FILE": empty})
        t.check(False, "started with a service that nobody can vouch for")
    except Failed:
        pass
    g = p.t.gateway(config={"policy": p.file, "upstream_tls": {"verify": False}},
                    env={"SSL_CERT_FILE": empty})
    t.equal(t.client(g).ask("GET", "/").status, 421, "unverified, and without a route")


def test_authorities_that_are_in_use_stay(t):
    """A reload that would take the last of them away is refused."""
    bundle = os.path.join(t.folder, "bundle.pem")
    shutil.copy(Cert(t.folder, "ca").cert, bundle)
    p = Place(t, BOTH, env={"SSL_CERT_FILE": bundle})
    with open(bundle, "w", encoding="ascii"):
        pass
    p.g.reload()
    shutil.copy(os.path.join(t.folder, "ca.pem"), bundle)
    p.g.reload()
    p.write([], {"s": {"protocol": "https", "endpoints": [{"address": "127.0.0.1:1"}]}})
    t.equal(p.push()["committed"], True, "pushed")
    with open(bundle, "w", encoding="ascii"):
        pass
    p.g.reload("reload_refused")


def test_what_nothing_acts_on_yet_is_named(t):
    p = Place(t, BOTH)
    p.write([("r", {}, "a", {"priority": "low"}), ("q", {"path": "/q"}, "a", {"priority": None})],
            {"a": {"breaker": {"consecutive": 3}, "retry": {"attempts": 2}, "health": {},
                   "limit": {"max": 10},
                   "endpoints": [{"address": p.address(p.a), "weight": 2, "zone": "z"}]}},
            circuit_breaker_threshold=20)
    want = {"services.a.breaker", "services.a.retry", "services.a.health", "services.a.limit",
            "services.a.endpoints[0].weight", "services.a.endpoints[0].zone", "routes[0].priority",
            "circuit_breaker_threshold"}
    for flags in (["--dry-run"], []):
        r = p.push(*flags)
        t.equal((set(r["inactive"]), len(r["inactive"])), (want, len(want)), f"{flags}")
        t.equal(r["inactive_total"], len(want), f"how many, {flags}")
    t.equal(p.ask("/"), "a", "the rest of it is in force")
    code, _, err = gwtool(t, "check-policy", p.file)
    t.equal((code, {line.partition(":")[0] for line in err.splitlines()}), (0, want), "offline")
    code, out, err = gwtool(t, "--json", "check-policy", p.file)
    t.equal((code, json.loads(out), err),
            (0, {"ok": True, "errors": [], "inactive": r["inactive"]}, ""), "offline, as JSON")
    p.write([("r", {}, "a", {"priority": "lowest"})])
    t.check("routes[0].priority" in p.push(want=78), "it is checked all the same")


def test_more_that_nothing_acts_on_than_is_named(t):
    p = Place(t, BOTH)
    p.write([], {f"s{i}": {"health": {}} for i in range(60)}, circuit_breaker_threshold=20)
    code, _, err = gwtool(t, "--socket", p.g.control_path, "push-policy", p.file)
    t.equal((code, err), (0, ""), "all of it is named")
    p.write([], {f"s{i}": {"health": {}, "breaker": {}, "retry": {}} for i in range(100)})
    code, _, err = gwtool(t, "--socket", p.g.control_path, "push-policy", p.file)
    t.check(code == 0 and "these 256, and 44 more" in err, f"exit {code}, said {err!r}")


def test_a_worker_that_is_late_is_told(t):
    """What is committed and not yet in force everywhere must not look like the usual answer."""
    p = Place(t, BOTH, config={"workers": 2})
    p.write([("a", {}, "b")])
    with p.g.worker_held(1):
        code, out, err = gwtool(t, "--socket", p.g.control_path, "push-policy", p.file)
        t.check(code == 0 and "1 worker has not adopted it yet" in err, f"{code}, said {err!r}")
        code, out, err = gwtool(t, "--socket", p.g.control_path, "--json", "push-policy", p.file)
        r = json.loads(out)
        t.equal((code, r["committed"], r["pending"], r["sync_us_max"], err), (0, True, 1, None, ""), "reply")
        t.equal(r["workers"][1]["adopt_us"], None, "whose")
    p.wait_adopted(r)
    p.write([("a", {}, "a")])
    p.push()


def test_pushes_are_counted(t):
    """By what became of each; and a refusal is in the log, with whose it was."""
    p = Place(t, BOTH)
    p.push("--dry-run")
    p.push()
    p.push("--expect-generation", "9", want=1)
    with Control(p.g.control_path) as c:
        c.ask("push_policy", {"policy": {"version": 1, "services": {"a": {"protocol": "ftp"}}}})
        c.ask("rollback_policy", {"generation": 77})
        c.ask("rollback_policy", {"genration": 1})
    m = p.g.metrics()
    for result in ("dry_run", "committed", "stale", "value", "unknown_generation", "unknown_key"):
        t.equal(m.sum("gateway_policy_push_total", result=result), 1, result)
    t.equal(m.sum("gateway_policy_push_total"), 6, "no more")
    t.equal(p.g.wait_event(lambda e: e.get("event") == "policy_offered")["uid"], os.geteuid(),
            "who has pushed")
    said = p.g.wait_event(lambda e: e.get("event") == "push_refused" and e["code"] == "value")
    t.check(said and said["uid"] == os.geteuid() and said["path"] == "policy.services.a.protocol",
            f"{said}")
    t.check(m.sum("policy_sync_duration_ms_count") ==
            m.sum("gateway_policy_sync_duration_seconds_count") > 0, "the article's name")


def test_the_short_form(t):
    p = Place(t, [])
    p.write([("a", {}, "a"), ("b", {"path": "/b"}, "b", {"limits": ["x"]})], rate_limit=3,
            limits={"x": {"rate": "1/h"}}, enabled=True)
    p.push()
    got = [p.ask("/b") for _ in range(2)] + [p.ask("/") for _ in range(4)]
    t.equal(got[:2], ["b", (429, "rate_limited")], "a route's own limit")
    t.check(2 <= got[2:].count("a") <= 3 and (429, "rate_limited") in got[2:], f"{got}")
    p.write([("a", {}, "a")], rate_limit=3, limits={"rate_limit": {"rate": "1/h"}})
    t.check("is the name of one of the limits" in p.push(want=78), "named twice")
    p.write([("a", {}, "a")], enabled=False)
    p.push()
    t.equal(p.ask("/"), (429, "policy_disabled"), "switched off")


def test_the_short_form_goes_with_the_upstreams(t):
    """Without services and routes a policy says how those of the command line are treated."""
    file = os.path.join(t.folder, "short.yaml")
    g, up = t.pair(config={"state": t.folder, "allowed_hosts": ["h.test"],
                           "timeouts": {"response_head": "7s"}})
    ask = lambda host="h.test": t.client(g).ask("GET", "/", host=host).status

    def push(text):
        with open(file, "w", encoding="utf-8") as f:
            f.write(text)
        code, out, err = gwtool(t, "--socket", g.control_path, "--json", "push-policy", file)
        t.equal(code, 0, err)
        n = json.loads(out)["generation"]
        t.check(g.wait_metric(lambda m: m.sum("gateway_policy_generation", worker="0") == n), "adopted")

    t.equal(ask(), 200, "at first")
    push("version: 1\nrate_limit: 2\ncircuit_breaker_threshold: 40")
    got = [ask() for _ in range(9)]
    t.check(got[0] == 200 and 429 in got, f"limited: {got}")
    t.equal(ask("other.test"), 421, "hosts of the configuration")
    code, out, _ = gwtool(t, "--socket", g.control_path, "--json", "get-policy")
    service = json.loads(out)["policy"]["services"]["default"]
    t.equal((service["endpoints"], service["timeouts"]["response_head"]),
            ([{"address": up.url.partition("://")[2]}], "7s"), "what it was put on top of")
    push("version: 1\nenabled: false")
    t.equal(ask(), 429, "off")
    push("version: 1")
    t.equal([ask() for _ in range(9)], [200] * 9, "as at first")
    push("version: 1\nservices: {}")
    t.equal(ask(), 421, "a policy of its own")


def test_check_policy(t):
    file = os.path.join(t.folder, "p.json")
    with open(file, "w", encoding="utf-8") as f:
        f.write('{"version": 1,\n "services": {"a": {"endpoints": [{"address": "x y"}]}}}')
    code, out, err = gwtool(t, "check-policy", file)
    t.equal((code, out), (78, ""), "verdict")
    t.check(f"{file}:" in err and "services.a.endpoints[0].address" in err, err)
    code, out, _ = gwtool(t, "--json", "check-policy", file)
    t.equal((code, json.loads(out)["errors"][0]["path"]), (78, "services.a.endpoints[0].address"),
            "as JSON")
    with open(file, "w", encoding="utf-8") as f:
        f.write('{"version": 1}')
    code, out, err = gwtool(t, "--json", "check-policy", file)
    t.equal((code, json.loads(out), err), (0, {"ok": True, "errors": [], "inactive": []}, ""),
            "a good one")
