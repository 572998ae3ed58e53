# SPDX-License-Identifier: Apache-2.0
"""What the gateway says of itself: health, readiness, metrics, access log."""
import json
import os
import random
import re
import threading

from harness.client import Client, Ended, request
from harness.upstream import response

ARTICLE_NAMES = ["http_request_duration_seconds_bucket", "http_requests_total",
                 "net_connections_active",
                 "net_connections_idle", "gateway_rejected_requests_total",
                 "policy_sync_duration_ms_bucket"]


def test_health_of_the_public_listener(t):
    g, u = t.pair()
    c = t.client(g)
    t.equal(c.ask("GET", "/health").status, 200, "GET /health")
    t.equal(c.ask("HEAD", "/health").status, 200, "HEAD /health")
    t.equal(u.n_bytes, 0, "bytes at the upstream")
    t.equal(c.ask("GET", "/healthy").status, 200, "a neighbour is forwarded")
    t.equal(u.messages[0].target, "/healthy", "target at the upstream")


def test_health_path_is_configurable(t):
    g, u = t.pair(config={"health_path": "/up"})
    c = t.client(g)
    t.equal(c.ask("GET", "/up").status, 200, "GET /up")
    t.equal(u.n_bytes, 0, "bytes at the upstream")
    c.ask("GET", "/health")
    t.equal([m.target for m in u.messages], ["/health"], "forwarded")
    g, u = t.pair(config={"health_path": "off"})
    t.client(g).ask("GET", "/health")
    t.equal([m.target for m in u.messages], ["/health"], "forwarded when switched off")


def test_admin_paths(t):
    g, u = t.pair()
    for path in ("/livez", "/readyz", "/metrics"):
        t.equal(g.admin_get(path)[0], 200, path)
    t.equal(g.admin_get("/nothing-here")[0], 404, "an unknown path")
    with Client(g.admin) as c:
        r = c.ask("POST", "/metrics", body=b"x")
        t.equal(r.status, 405, "POST /metrics")
    with Client(g.admin) as c:
        c.expect("GET")
        c.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        t.equal(c.take().status, 400, "two Host fields at the admin listener")
    c = t.client(g)
    c.ask("GET", "/metrics")
    c.ask("GET", "/livez")
    t.equal([m.target for m in u.messages], ["/metrics", "/livez"],
            "the public listener forwards them")


def lint(t, text):
    """The text format: HELP and TYPE before samples, each series once, histograms cumulative."""
    types, series = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            t.check(name not in types, f"{name} has two TYPE lines")
            types[name] = kind
        elif line and not line.startswith("#"):
            name = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line).group(0)
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            kind = types.get(name) or types.get(base)
            t.check(kind, f"{name} has no TYPE line before it")
            t.check(kind != "counter" or name.endswith("_total"),
                    f"counter {name} does not end in _total")
            key, _, value = line.rpartition(" ")
            t.check(key not in series, f"{key} twice")
            float(value)
            series.add(key)
    return types


def test_metrics_text(t):
    g, _ = t.pair()
    c = t.client(g)
    for i in range(25):
        c.ask("GET", f"/{i}")
    c.expect("GET")
    c.send(b"GET / HTTP/1.1\r\n\r\n")
    t.equal(c.take().status, 400, "a bad request")
    t.check(g.wait_metric(lambda m: m.sum("http_requests_total") == 26),
            "http_requests_total is not 26")
    _, headers, text = g.admin_get("/metrics")
    t.check(headers.get("content-type",
                        headers.get("Content-Type", "")).startswith("text/plain; version=0.0.4"),
                        f"{headers}")
    types = lint(t, text)
    t.check(text.endswith("\n"), "no line end at the end")
    m = g.metrics()
    for name in ARTICLE_NAMES:
        t.check(name in m.names(), f"{name} is missing")
    t.check("upstream_errors_total" in types, "upstream_errors_total is missing")
    for name in m.names():
        t.check(re.match(r"(gateway|http|net|upstream|process)_|policy_sync_duration_ms", name),
                f"{name} has no known prefix")
    t.equal(m.sum("http_requests_total"), 26, "http_requests_total")
    t.equal(m.sum("http_requests_total", status="200"), 25, "http_requests_total{status=200}")
    t.equal(m.sum("gateway_rejected_requests_total", reason="host_missing"), 1,
            "gateway_rejected_requests_total")
    t.equal(m.sum("gateway_rejected_requests_total"), 1, "all rejected requests")
    t.equal(m.sum("http_request_duration_seconds_count"),
            m.sum("http_request_duration_seconds_bucket", le="+Inf"), "count and +Inf")
    buckets = sorted((float(dict(ls)["le"]), v) for (n, ls), v in m.samples.items()
                     if n == "http_request_duration_seconds_bucket")
    t.check(all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), "buckets are not cumulative")
    t.check({0.0005, 0.005, 10.0} <= {b[0] for b in buckets},
            f"bucket borders {[b[0] for b in buckets]}")


def test_gauges_follow_connections(t):
    release = threading.Event()

    def hold(conn, msg):
        conn.read_body(msg)
        release.wait(10)
        conn.send(response(200, b"x"))

    g, u = t.pair(hold)
    idle = [t.client(g) for _ in range(7)]
    t.check(g.wait_metric(lambda m: m.sum("net_connections_idle") == 7),
            "net_connections_idle is not 7")
    for c in idle[:3]:
        c.expect("GET")
        c.send(request())
    t.check(g.wait_metric(lambda m: (m.sum("net_connections_active"),
                                     m.sum("net_connections_idle")) == (3, 4)), "3 active, 4 idle")
    t.check(g.wait_metric(lambda m: m.sum("upstream_connections_active") == 3),
            "upstream_connections_active is not 3")
    release.set()
    for c in idle[:3]:
        c.take()
    t.check(g.wait_metric(lambda m: (m.sum("net_connections_active"),
                                     m.sum("net_connections_idle")) == (0, 7)), "0 active, 7 idle")
    for c in idle:
        c.close()
    t.check(g.wait_metric(lambda m: m.sum("net_connections_idle") == 0),
            "connections that ended are still counted")


LOG_KEYS = {"ts", "client_ip", "client_port", "http_version", "method", "host", "path", "status",
            "bytes_in",
            "bytes_out", "duration_ms", "request_id", "worker", "upstream_addr"}


def test_access_log_line(t):
    g, u = t.pair()
    c = t.client(g)
    c.ask("POST", "/a/b?secret=canary", [("Cookie", "canary"), ("Authorization", "Bearer canary"),
                                          ("X-Request-Id", "id-1")], b"hello", host="site.example")
    r = g.access()[0]
    t.check(LOG_KEYS <= set(r), f"missing {sorted(LOG_KEYS - set(r))} of {sorted(r)}")
    t.equal((r["method"], r["host"], r["path"], r["status"]), ("POST", "site.example", "/a/b", 200),
            "what was asked")
    t.equal((r["client_ip"], r["client_port"]), c.sock.getsockname(), "who asked")
    t.equal((r["request_id"], r["http_version"]), ("id-1", "1.1"), "identifier and version")
    t.check(str(u.port) in r["upstream_addr"], f"upstream_addr {r['upstream_addr']}")
    t.check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", r["ts"]), f"ts {r['ts']}")
    t.check(0 <= r["duration_ms"] < 5000, f"duration_ms {r['duration_ms']}")
    t.check(r["bytes_in"] >= 5 and r["bytes_out"] >= 20, f"bytes {r['bytes_in']}, {r['bytes_out']}")
    t.check("canary" not in json.dumps(g.access_all()), "a secret is in the access log")
    t.check("canary" not in "\n".join(g.stderr_lines), "a secret is in the event log")


def test_access_log_is_always_json(t):
    """Whatever a client sends, a line is one JSON object of bounded length."""
    g, _ = t.pair()
    odd = [request("GET", "/" + "a" * 7000), request("GET", "/%22%7B"),
           b"\x16\x03\x01\xff\xfe\x00\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: \"}{\r\n\r\n", b"G\"T / HTTP/1.1\r\nHost: a\r\n\r\n",
           request("GET", "/", [("X-Request-Id", "\"},{"), ("User-Agent", "\x80\xff\"")])]
    for data in odd:
        with Client(g.address) as c:
            c.expect("GET")
            c.send(data)
            c.take()
    got = g.access(n=len(odd))
    t.equal(len(got), len(odd), "lines")
    with open(g.access_path, "rb") as f:
        longest = max(len(line) for line in f)
    t.check(longest < 8192, f"a line of {longest} bytes")


def test_access_log_and_counters_agree(t):
    """Every request is one line and one count, failures included."""
    rng = random.Random(3)

    def moody(conn, msg):
        conn.read_body(msg)
        dice = rng.random()
        if dice < 0.1:
            conn.reset()
        elif dice < 0.2:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            conn.close()
        else:
            conn.send(response(200, b"x"))

    g, _ = t.pair(moody)
    asked = 0
    for i in range(150):
        with Client(g.address) as c:
            asked += 1
            try:
                c.ask("POST" if i % 2 else "GET", f"/{i}", body=b"b" * (i % 2))
            except Ended:
                pass
    lines = g.access(n=asked)
    t.equal(len(lines), asked, "lines for requests")
    m = g.metrics()
    t.equal(m.sum("http_requests_total"), asked, "http_requests_total")
    for status in {r["status"] for r in lines}:
        t.equal(m.sum("http_requests_total", status=str(status)),
                len([r for r in lines if r["status"] == status]), f"status {status}")


def test_log_of_a_slow_disk_costs_no_request(t):
    """The access log is a pipe that nobody reads: lines are dropped and counted, requests are
    served.
    """
    fifo = t.path("fifo")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    g, _ = t.pair(config={"access_log": {"path": fifo, "sample": 1}})
    c = t.client(g)
    for i in range(3000):
        t.equal(c.ask("GET", "/" + "p" * 200).status, 200, f"answer {i}")
    m = g.wait_metric(lambda m: (m.sum("gateway_log_dropped_total") or 0) > 0)
    os.close(reader)
    t.check(m, "no dropped line was counted though nobody reads")


def test_parallel_scrapes(t):
    g, _ = t.pair()
    failed = []

    def scrape():
        try:
            for _ in range(5):
                if g.admin_get("/metrics")[0] != 200:
                    failed.append("status")
        except OSError as e:
            failed.append(repr(e))

    threads = [threading.Thread(target=scrape) for _ in range(10)]
    for th in threads:
        th.start()
    c = t.client(g)
    for i in range(100):
        t.equal(c.ask("GET", f"/{i}").status, 200, "answer meanwhile")
    for th in threads:
        th.join(20)
    t.equal(failed, [], "failed scrapes")


test_admin_paths.clear = True  # It speaks to the admin listener.
