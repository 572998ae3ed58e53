# SPDX-License-Identifier: Apache-2.0
"""Signals: drain without a lost request, stop now, reload, reopen."""
import collections
import json
import os
import signal
import socket
import threading
import time

from harness.client import Client, Ended, request
from harness.upstream import response

DRAIN = {"drain_grace": "0s", "drain": "20s"}


def held(release):
    def handle(conn, msg):
        conn.read_body(msg)
        if msg.target.startswith("/held"):
            release.wait(15)
        conn.send(response(200, msg.target.encode()))

    return handle


def test_term_with_requests_in_flight(t):
    """Two hundred in flight, none lost; readiness fails first; exit 0."""
    release = threading.Event()
    g, u = t.pair(held(release), config={"timeouts": dict(DRAIN, drain_grace="500ms")})
    clients = []
    for i in range(200):
        c = t.client(g)
        c.expect("GET")
        c.send(request("GET", f"/held/{i}"))
        clients.append(c)
    idle = t.client(g)
    t.equal(idle.ask("GET", "/idle").status, 200, "answer before")
    t.check(u.wait(lambda: len(u.messages) == 201, 10.0), "not all requests arrive")
    t.equal(g.admin_get("/readyz")[0], 200, "/readyz before")
    g.signal(signal.SIGTERM)
    t.check(g.wait_metric(lambda m: m.sum("gateway_draining") == 1), "gateway_draining")
    t.equal(g.admin_get("/readyz")[0], 503, "/readyz while draining")
    t.equal(g.admin_get("/livez")[0], 200, "/livez while draining")
    t.check(idle.wait_end() in ("fin", "reset"), "an idle connection must end")
    release.set()
    for i, c in enumerate(clients):
        r = c.take()
        t.equal((r.status, r.body, r.get("connection")), (200, f"/held/{i}".encode(), "close"),
                f"answer {i}")
    t.equal(g.wait_exit(), 0, "exit code")
    with open(g.access_path, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    t.equal(len(lines), 201, "access-log lines")


def test_quit_drains_too(t):
    g, _ = t.pair(config={"timeouts": DRAIN})
    c = t.client(g)
    t.equal(c.ask().status, 200, "answer")
    g.signal(signal.SIGQUIT)
    t.equal(g.wait_exit(), 0, "exit code")


def test_requests_during_the_grace(t):
    """Between the signal and the end of the grace, new connections are served as before."""
    g, _ = t.pair(config={"timeouts": dict(DRAIN, drain_grace="1500ms")})
    g.signal(signal.SIGTERM)
    t.check(g.wait_metric(lambda m: m.sum("gateway_draining") == 1), "gateway_draining")
    c = t.client(g)
    t.equal(c.ask().status, 200, "answer to a new connection")
    t.equal(g.wait_exit(), 0, "exit code")


def connect_endlessly(address, k, end, seen, lock):
    """A connection for each request, without a pause as long as somebody answers."""
    i = 0
    while not end.is_set():
        i += 1
        try:
            with Client(address) as c:
                r = c.ask("GET", f"/{k}/{i}")
                whole = r.status == 200 and r.body.startswith(f"GET /{k}/{i} ".encode())
                what = "good" if whole else str(r.status)
        except ConnectionRefusedError:
            what = "refused"
            end.wait(0.005)
        except (Ended, OSError) as e:
            what = f"lost: {e!r}"
        with lock:
            seen[what] += 1


def drained_under_load(t, g, address):
    """TERM while clients come all the time: each is refused by the kernel or answered in full."""
    seen = collections.Counter()
    lock = threading.Lock()
    end = threading.Event()
    threads = [threading.Thread(target=connect_endlessly, args=(address, k, end, seen, lock),
                                daemon=True)
               for k in range(16)]
    for th in threads:
        th.start()
    t.check(wait_until(lambda: seen["good"] >= 300, 15), "no load")
    began = time.monotonic()
    g.signal(signal.SIGTERM)
    code = g.wait_exit()
    took = time.monotonic() - began
    wait_until(lambda: seen["refused"], 10)
    end.set()
    for th in threads:
        th.join(10)
    t.equal(code, 0, "exit code")
    t.check(set(seen) <= {"good", "refused"} and seen["refused"], f"seen {dict(seen)}")
    t.check(took < 5, f"the drain took {took:.1f} s with clients that never pause")


def test_term_under_load(t):
    """Not until a pause, nor until the deadline: the kernel lets nobody new in."""
    g, _ = t.pair(config={"timeouts": DRAIN, "workers": 4})
    drained_under_load(t, g, g.address)


def test_term_under_load_on_a_unix_socket(t):
    path = t.path("front.sock")
    g, _ = t.pair(rest=False, config={"timeouts": DRAIN, "workers": 2, "listeners": [
        {"address": "127.0.0.1:0"}, {"address": f"unix:{path}"}]})
    drained_under_load(t, g, path)


def test_second_term_ends_now(t):
    release = threading.Event()
    g, u = t.pair(held(release), rest=False, config={"timeouts": DRAIN})
    c = t.client(g)
    c.send(request("GET", "/held"))
    t.check(u.wait(lambda: u.messages), "the request does not arrive")
    g.signal(signal.SIGTERM)
    t.check(g.wait_metric(lambda m: m.sum("gateway_draining") == 1), "gateway_draining")
    t.equal(g.wait_exit(0.3), None, "exit code while a request is under way")
    g.signal(signal.SIGTERM)
    code = g.wait_exit(3.0)
    t.check(code is not None and code >= 0, f"exit code {code}")
    release.set()


def test_int_ends_now(t):
    release = threading.Event()
    g, u = t.pair(held(release), rest=False)
    c = t.client(g)
    c.send(request("GET", "/held"))
    t.check(u.wait(lambda: u.messages), "the request does not arrive")
    g.signal(signal.SIGINT)
    code = g.wait_exit(3.0)
    t.check(code is not None and code >= 0, f"exit code {code}")
    release.set()


def test_drain_has_a_deadline(t):
    release = threading.Event()
    g, u = t.pair(held(release), config={"timeouts": {"drain_grace": "0s", "drain": "700ms"}})
    c = t.client(g)
    c.send(request("GET", "/held"))
    t.check(u.wait(lambda: u.messages), "the request does not arrive")
    began = time.monotonic()
    g.signal(signal.SIGTERM)
    t.equal(g.wait_exit(6.0), 0, "exit code")
    took = time.monotonic() - began
    t.check(0.6 < took < 5.0, f"ended after {took:.2f} s")
    release.set()


def many_fields(c, n):
    return c.ask("GET", "/", [("X-A", "b")] * n).status


def wait_until(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def fresh_status(g, n):
    with Client(g.address) as c:
        return many_fields(c, n)


def test_hup_reads_limits(t):
    g, _ = t.pair()
    t.equal(fresh_status(g, 30), 200, "30 fields before")
    g.write_config({"limits": {"head_fields": 20}}, {})
    g.signal(signal.SIGHUP)
    t.check(wait_until(lambda: fresh_status(g, 30) == 431), "the new limit does not count")
    g.write_config({"limits": {"head_fields": 50}}, {})
    g.signal(signal.SIGHUP)
    t.check(wait_until(lambda: fresh_status(g, 30) == 200), "the limit is not raised again")


def test_hup_with_a_broken_file_keeps_the_old(t):
    g, _ = t.pair(config={"limits": {"head_fields": 20}})
    with open(g.config_path, "w", encoding="utf-8") as f:
        f.write("limits: {head_fields: many}\n")
    n = len(g.stderr_lines)
    g.signal(signal.SIGHUP)
    t.check(g.wait_event(lambda e: "sluice.yaml:1" in json.dumps(e), 5.0),
            lambda: f"no event names the line: {g.stderr_lines[n:]}")
    t.equal((fresh_status(g, 10), fresh_status(g, 30)), (200, 431), "the old limit")


def test_hup_storm(t):
    """A hundred reloads in a row while requests run: none fails, nothing grows."""
    g, _ = t.pair()
    t.equal(fresh_status(g, 1), 200, "before")
    files = g.n_descriptors()
    c = t.client(g)
    for i in range(100):
        g.signal(signal.SIGHUP)
        t.equal(c.ask("GET", f"/{i}").status, 200, "answer")
    t.check(wait_until(lambda: g.n_descriptors() <= files + 3),
            f"{files} descriptors before, {g.n_descriptors()} after")


def test_usr1_reopens_the_log(t):
    """Rotation loses no line and splits none."""
    g, _ = t.pair()
    c = t.client(g)
    total = 0
    for turn in range(3):
        for i in range(50):
            t.equal(c.ask("GET", f"/{turn}/{i}").status, 200, "answer")
            total += 1
        os.rename(g.access_path, f"{g.access_path}.{turn}")
        g.signal(signal.SIGUSR1)
        t.check(wait_until(lambda: os.path.exists(g.access_path)), "no new file appears")

    def lines():
        n = 0
        for name in os.listdir(g.folder):
            if name.startswith("access.log"):
                with open(os.path.join(g.folder, name), encoding="utf-8") as f:
                    n += len([json.loads(line) for line in f if line.endswith("\n")])
        return n

    t.check(wait_until(lambda: lines() == total), f"{lines()} lines for {total} requests")


def test_usr2_is_ignored(t):
    g, _ = t.pair()
    g.signal(signal.SIGUSR2)
    c = t.client(g)
    t.equal(c.ask().status, 200, "answer")
    t.check(g.running(), "still there")


def test_the_port_is_free_afterwards(t):
    g, _ = t.pair(config={"timeouts": DRAIN})
    g.signal(signal.SIGTERM)
    t.equal(g.wait_exit(), 0, "exit code")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(g.address)
    t.check(not os.path.exists(g.control_path), "the control socket is left behind")
