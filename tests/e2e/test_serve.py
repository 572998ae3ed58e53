# SPDX-License-Identifier: Apache-2.0
"""Policies over HTTP: 'gwtool serve'."""
import json
import os
import shutil
import signal
import socket
import ssl
import threading

from harness.certs import Cert, client_context
from harness.client import chunked
from harness.manager import JSON, Daemon, Manager
from harness.place import Place
from harness.programs import gwtool

LIMIT = {"key": "client_ip", "rate": "100/s", "burst": 200}
BODY_MAX = 8 << 20


def place(t, **kw):
    """A gateway that asks 'a', and a manager for it."""
    p = Place(t, [("r", {}, "a")], **kw)
    return p, Manager(t, p.g.control_path)


def pushed(p, m, body):
    """The reply, once all workers judge by it."""
    status, reply = m.push(body)
    p.t.equal(status, 200, f"status ({reply})")
    p.wait_adopted(reply)
    return reply


def test_a_whole_policy_replaces(t):
    p, m = place(t)
    services = m.policy()["services"]
    pushed(p, m, {"limits": {"x": LIMIT}})
    reply = pushed(p, m, {"services": services, "routes": [{"name": "n", "service": "b"}]})
    t.equal((reply["generation"], reply["committed"], reply["inactive"]), (3, True, []), "reply")
    t.equal(p.ask("/"), "b", "the new route")
    t.equal(m.ask("GET", "/policy"),
            (200, {"generation": 3, "policy": {"version": 1, "services": services,
                                              "routes": [{"name": "n", "service": "b"}]}}),
            "in force, and nothing of the one before")
    pushed(p, m, {"version": 1, "routes": []})
    t.equal(p.ask("/"), (421, "host_not_allowed"), "with a version it is a whole one, too")
    t.equal(m.policy(), {"version": 1, "routes": []}, "without services")


def test_services_alone_are_a_part(t):
    p, m = place(t)
    before = m.policy()
    pushed(p, m, {"services": {"a": {"timeouts": {"connect": "1s"}}}})
    t.equal(p.ask("/"), "a", "routes stay")
    t.equal(m.policy()["services"]["a"],
            dict(before["services"]["a"], timeouts={"connect": "1s"}), "and its endpoints")
    pushed(p, m, {"routes": [{"name": "n", "service": "b"}]})
    t.equal(p.ask("/"), "b", "services stay")


def test_the_upstreams_of_the_command_line(t):
    """As in the article: the gateway has one upstream, and policies say how much of it there is."""
    g, up = t.pair(config={"state": t.folder})
    m = Manager(t, g.control_path)
    status = lambda: t.client(g).ask("GET", "/").status
    plain = m.policy()
    t.equal(plain["services"]["default"]["endpoints"], [{"address": up.url.partition("://")[2]}], "shown")
    t.equal(m.push({"enabled": False})[0], 200, "off")
    t.check(g.wait_metric(lambda _: status() == 429), "is not switched off")
    t.equal(m.push({"enabled": True, "rateLimit": 5, "circuitBreakerThreshold": 40})[0], 200, "limited")
    t.check(g.wait_metric(lambda _: status() == 200), "is not on again")
    t.check(429 in [status() for _ in range(20)], "no limit")
    t.equal(m.policy(), dict(plain, enabled=True, rate_limit=5, circuit_breaker_threshold=40), "in force")


def test_a_part_is_merged(t):
    p, m = place(t)
    before = m.policy()
    pushed(p, m, {"enabled": False})
    t.equal(p.ask("/"), (429, "policy_disabled"), "switched off")
    t.equal(m.policy(), dict(before, enabled=False), "the rest stays")
    pushed(p, m, {"enabled": True, "limits": {"x": LIMIT, "y": LIMIT}})
    t.equal(p.ask("/"), "a", "on again")
    pushed(p, m, {"limits": {"x": {"burst": 7}, "y": None}, "enabled": None})
    t.equal(m.policy(), dict(before, limits={"x": dict(LIMIT, burst=7)}), "deep, and null removes")
    reply = pushed(p, m, {})
    t.equal(reply["generation"], 5, "no change is a push")
    t.equal(m.policy(), dict(before, limits={"x": dict(LIMIT, burst=7)}), "of the same")
    code, out, _ = gwtool(t, "--socket", p.g.control_path, "--json", "get-policy")
    t.equal((code, json.loads(out)["generation"]), (0, 5), "the daemon says the same")


def test_the_articles_names(t):
    p, m = place(t)
    before = m.policy()
    reply = pushed(p, m, {"enabled": True, "rateLimit": 1, "circuitBreakerThreshold": 20})
    t.equal(reply["inactive"], ["circuit_breaker_threshold"], "what nothing acts on yet")
    want = dict(before, enabled=True, rate_limit=1, circuit_breaker_threshold=20)
    t.equal(m.policy(), want, "under our names")
    c = t.client(p.g)
    t.check((429, "rate_limited") in [p.ask("/", client=c) for _ in range(20)], "not limited")
    pushed(p, m, {"rateLimit": None})
    del want["rate_limit"]
    t.equal(m.policy(), want, "and removed by them")
    pushed(p, m, dict(before, rateLimit=77))
    t.equal(m.policy(), dict(before, rate_limit=77), "in a whole one")
    status, error = m.push(b'{"rateLimit": 5,\n "rate_limit": 5}')
    t.equal((status, error["code"], error["line"], error["column"]), (400, "duplicate_key", 2, 2),
            "both")


def test_what_is_wrong_is_told_with_its_place(t):
    p, m = place(t)
    before = m.ask("GET", "/policy")
    for body, code, path, line, column in (
            (b'{"enabled": tru}', "syntax", "", 1, None), (b"", "syntax", "", 1, None),
            (b'{"enabled": true,\n "enabled": true}', "duplicate_key", "", 2, None),
            (b"[1]", "type", "", 1, 1), (b"\n 7", "type", "", 2, 2),
            (b'{\n "rate_limit": 0}', "range", "rate_limit", 2, 16),
            (b'{"enabled": 1}', "type", "enabled", 1, 13),
            (b'{\n\n  "enabld": true}', "unknown_key", "", 3, 3),
            (b'{"limits": {"x": {"rate": "fast"}}}', "value", "limits.x.rate", 1, 27),
            (b'{"version": 2}', "range", "version", 1, 13),
            (b'{"services": {}, "routes": [{"name": "r",\n"service": "nope"}]}', "semantic",
             "routes[0].service", 2, 12),
            (b'{"routes": [{"name": "r", "service": "z"}]}', "semantic", "routes[0].service", 1,
             38)):
        status, error = m.push(body)
        got = status, error["code"], error["path"], error.get("line")
        t.equal(got, (400, code, path, line), f"{body} ({error})")
        t.equal(column in (None, error["column"]), True, f"{body}: column ({error})")
        t.check(error["message"], "no message")
    t.equal(m.push({"version": None})[1]["code"], "missing_key", "the version is gone")
    t.equal(m.ask("GET", "/policy"), before, "nothing has changed")
    t.equal(p.ask("/"), "a", "and the one before is judged by")


def test_a_body_has_its_limit(t):
    p, m = place(t)
    whole = json.dumps(m.policy()).encode()
    head = b"POST /policy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    largest = whole + b" " * (BODY_MAX - len(whole))
    pieces = [largest[i:i + (1 << 20)] for i in range(0, BODY_MAX, 1 << 20)]
    sent = head + b"Transfer-Encoding: chunked\r\n\r\n"
    for how, data, want in (
            ("as it is", head + b"Content-Length: %d\r\n\r\n" % BODY_MAX + largest, 200),
            ("one more", head + b"Content-Length: %d\r\n\r\n " % (BODY_MAX + 1) + largest, 413),
            ("in chunks", sent + chunked(pieces), 200),
            ("one more in chunks", sent + chunked(pieces + [b" "]), 413),
            ("no chunks", sent + b"zz\r\n", 400),
            ("two lengths", head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("no end of a head", b"GET /policy HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 7000, 431),
            ("no HTTP", b"\x16\x03\x01\r\n\r\n", 400)):
        status, _, value = m.raw(data)
        t.equal(status, want, f"{how} ({value})")
    t.equal(m.ask("GET", "/policy")[1]["generation"], 3, "two were taken")
    with m.connect() as sock:
        sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(whole))
        t.equal(sock.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n", "asked for the body")
        sock.sendall(whole)
        t.equal(m.take(sock)[0], 200, "taken")
    with m.connect() as sock:
        sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (BODY_MAX + 1))
        t.equal(m.take(sock)[0], 413, "not asked for")
    with m.connect() as sock:
        sock.sendall(head + b"Content-Length: 20\r\n\r\n{\"enabled\":")
        sock.shutdown(socket.SHUT_WR)
        t.equal(sock.recv(100), b"", "half a request is none")
    t.equal(p.ask("/"), "a", "still")


def test_methods_and_types(t):
    _, m = place(t)
    for method, path, fields, want in (
            ("GET", "/policy", {}, 200), ("HEAD", "/policy", {}, 200), ("GET", "/health", {}, 200),
            ("GET", "/policy?x=1", {}, 200), ("GET", "/./policy", {}, 200),
            ("GET", "/", {}, 404), ("GET", "/policy/", {}, 404), ("POST", "/polic", JSON, 404),
            ("POST", "/health", JSON, 405), ("PUT", "/policy", JSON, 405),
            ("PATCH", "/policy", JSON, 405), ("DELETE", "/policy", {}, 405),
            ("POST", "/policy", {}, 415), ("POST", "/policy", {"Content-Type": "text/plain"}, 415),
            ("POST", "/policy", {"Content-Type": "application/jsonx"}, 415),
            ("POST", "/policy", {"content-type": "Application/JSON ; charset=utf-8"}, 200)):
        status, value = m.ask(method, path, {} if fields else None, fields)
        t.equal(status, want, f"{method} {path} {fields} ({value})")
        if status >= 400:
            t.equal(sorted(value), ["code", "message", "path"], "the form of an error")
    for target, allow in (("/policy", "GET, HEAD, POST"), ("/health", "GET, HEAD")):
        head = f"PUT {target} HTTP/1.1\r\nHost: [::1]:9090\r\n\r\n".encode()
        t.equal(m.raw(head)[1]["allow"], allow, "Allow")
    with m.connect() as sock:
        sock.sendall(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b"".join(iter(lambda: sock.recv(4096), b""))
    t.check(b"content-length: 16\r\n" in got and got.endswith(b"\r\n\r\n"), f"HEAD: {got}")
    t.equal(m.ask("GET", "/policy")[1]["generation"], 2, "pushed once")


def test_pages_in_a_browser_are_refused(t):
    p, m = place(t)
    off = {"enabled": False}
    for fields in ({"Origin": "https://evil.test"}, {"origin": "null"}, {"Origin": ""},
                   {"Origin": "http://localhost:9090"},
                   {"Connection": "close, Origin", "Origin": "https://evil.test"}):
        t.equal(m.ask("POST", "/policy", off, dict(JSON, **fields))[0], 403, f"{fields}")
        t.equal(m.ask("GET", "/policy", None, fields)[0], 403, f"{fields}: read")
    for host in ("evil.test", "evil.test:9090", "localhost.evil.test", "127.0.0.1.evil.test",
                 "10.0.0.1", "0.0.0.0", "[::]", "[::ffff:10.0.0.1]", "128.0.0.1"):
        t.equal(m.ask("POST", "/policy", off, host=host)[0], 403, host)
        t.equal(m.ask("GET", "/policy", host=host)[0], 403, f"{host}: read")
    t.equal(m.raw(b"GET /policy HTTP/1.0\r\n\r\n")[0], 400, "no host")
    t.equal(m.raw(b"GET http://evil.test/policy HTTP/1.1\r\nHost: localhost\r\n\r\n")[0], 403,
            "in the target")
    t.equal((m.ask("GET", "/policy")[1]["generation"], p.ask("/")), (1, "a"), "nothing happened")
    for host in ("localhost", "LOCALHOST:9090", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:9090"):
        t.equal(m.ask("GET", "/health", host=host)[0], 200, host)


def test_slow_clients_harm_nobody_for_long(t):
    """More of them than are served at a time: they have to make room."""
    _, m = place(t)
    slow = [m.connect() for _ in range(24)]
    for i, sock in enumerate(slow[:20]):
        sock.sendall((b"POST /policy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
                      b"\r\nContent-Length: 100\r\n\r\n{")[:40 * i])
    t.equal(m.ask("GET", "/health")[0], 200, "somebody else")
    for sock in slow[:20]:
        t.equal(m.take(sock)[0], 408, "their time is over")
    t.equal(m.ask("GET", "/policy")[1]["generation"], 1, "nothing came of them")
    for sock in slow:
        sock.close()


def test_it_ends_when_told(t):
    p, m = place(t)
    idle = m.connect()
    idle.sendall(b"GET /health HTTP/1.1\r\n")
    t.equal(m.stop(), 0, "TERM, with a client in the midst of a request")
    try:
        t.equal(idle.recv(1), b"", "who is let go")
    except ConnectionResetError:
        pass  # Of what it has sent something was not read.
    idle.close()
    t.equal(Manager(t, p.g.control_path).stop(signal.SIGINT), 0, "INT")


def test_where_it_listens(t):
    control = t.path("none.sock")
    env = {"CONFIG_PORT": "0"}
    for m, host in ((Manager(t, control, "--address", "127.0.0.2:0"), "127.0.0.2"),
                    (Manager(t, control, "--address", "[::1]:0"), "::1"),
                    (Manager(t, control, "--port", "0", env={"CONFIG_PORT": "1"}), "127.0.0.1")):
        t.equal((m.scheme, m.host, m.ask("GET", "/health")[0]), ("http", host, 503), "place")
    taken = str(m.port)
    code, _, err = gwtool(t, "serve", env=dict(os.environ, CONFIG_PORT=taken))
    t.check(code == 1 and "cannot listen: Address already in use" in err, f"taken: {code}, {err}")
    for argv in (["--address", "0.0.0.0:0"], ["--address", ":0"], ["--address", "[::]:0"],
                 ["--address", "10.0.0.1:0"]):
        code, _, err = gwtool(t, "serve", *argv)
        t.check(code == 2 and "beyond loopback it needs --tls-cert" in err, f"{argv}: {err}")
    for argv in (["--port", "65536"], ["--port", "x"], ["--port"], ["--address", "localhost:0"],
                 ["--address", "127.0.0.1"], ["--address", "::1:0"], ["x"],
                 ["--address", "[127.0.0.1]:0"], ["--port", "0", "--address", "127.0.0.1:0"],
                 ["--tls-cert", "a", "--tls-key", "b"], ["--client-ca", "a"]):
        t.equal(gwtool(t, "serve", *argv)[0], 2, f"{argv}")
    for port in ("x", "65536", "-1"):
        t.equal(gwtool(t, "serve", env=dict(env, CONFIG_PORT=port))[0], 2, f"CONFIG_PORT={port}")


def refused(t, m, what):
    """No request comes through."""
    try:
        with m.connect() as sock:
            sock.sendall(b"GET /policy HTTP/1.1\r\nHost: manager.test\r\n\r\n")
            got = sock.recv(1000)
    except OSError:  # Of TLS, or a reset.
        got = b""
    t.check(b"HTTP" not in got, f"{what}: {got}")


def test_beyond_loopback_clients_show_certificates(t):
    p = Place(t, [("r", {}, "a")])
    server = Cert(t.folder, "server", ["manager.test"])
    ca, others = Cert(t.folder, "ca"), Cert(t.folder, "others")
    client = Cert(t.folder, "client", ["client.test"], issuer=ca)
    stranger = Cert(t.folder, "stranger", ["client.test"], issuer=others)
    files = ("--tls-cert", server.cert, "--tls-key", server.key, "--client-ca", ca.cert)
    for address in ("0.0.0.0:0", "127.0.0.1:0"):
        m = Manager(t, p.g.control_path, "--address", address, *files,
                    tls=client_context(server, client))
        host = "manager.test" if address[0] == "0" else "localhost"
        t.equal((m.scheme, m.ask("GET", "/health", host=host)[0]), ("https", 200), address)
        status, reply = m.ask("POST", "/policy", {"limits": {"x": dict(LIMIT)}}, host=host)
        t.equal(status, 200, f"a push ({reply})")
        status, _ = m.ask("POST", "/policy", b" " * (BODY_MAX + 1), host=host)
        t.equal(status, 413, "a long body")
        big = b'{"enabled": true}' + b" " * (BODY_MAX - 17)
        t.equal(m.ask("POST", "/policy", big, host=host)[0], 200, "the longest")
        t.equal(m.ask("GET", "/policy", None, {"Origin": "x"}, host)[0], 403, "a page")
        t.equal(m.ask("GET", "/policy", host="evil.test")[0], 200 if address[0] == "0" else 403,
                "another host")
        for tls, what in ((client_context(server), "no certificate"),
                          (client_context(server, stranger), "a stranger's"),
                          (client_context(server, most=ssl.TLSVersion.TLSv1_2), "none, by TLS 1.2"),
                          (None, "no TLS")):
            m.tls = tls
            refused(t, m, what)
        m.tls = client_context(server, client)
        silent = socket.create_connection((m.host, m.port))
        t.equal(m.stop(), 0, "ended in the midst of a handshake")
        silent.close()
    wrong = Cert(t.folder, "wrong", ["x.test"])
    code, _, err = gwtool(t, "serve", "--port", "0", "--tls-cert", server.cert, "--tls-key",
                          wrong.key, "--client-ca", ca.cert)
    t.check(code == 78 and wrong.key in err, f"another's key: {code}, {err}")
    code, _, err = gwtool(t, "serve", "--port", "0", *files[:4], "--client-ca", t.path("none"))
    t.check(code == 78 and t.path("none") in err, f"no such file: {code}, {err}")


def test_certificates_are_read_again(t):
    """At a HUP, for those who come from then on; what cannot be read leaves the old ones."""
    p = Place(t, [("r", {}, "a")])
    old, new = (Cert(t.folder, name, ["manager.test"]) for name in ("old", "new"))
    ca = Cert(t.folder, "ca")
    client = Cert(t.folder, "client", ["client.test"], issuer=ca)
    files = [t.path("shown.pem"), t.path("shown.key")]

    def show(cert):
        for source, file in zip((cert.cert, cert.key), files):
            shutil.copy(source, file + ".new")
            os.rename(file + ".new", file)

    show(old)
    m = Manager(t, p.g.control_path, "--port", "0", "--tls-cert", files[0], "--tls-key", files[1],
                "--client-ca", ca.cert, tls=client_context(old, client))
    t.equal(m.ask("GET", "/health")[0], 200, "at first")
    busy = m.connect()
    show(new)
    t.equal(m.hang_up(), "gwtool: the certificates were read again\n", "told")
    m.tls = client_context(new, client)
    t.equal(m.ask("GET", "/health")[0], 200, "the new ones are shown")
    t.equal(m.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", busy)[0], 200,
            "who came before")
    with open(files[0], "w", encoding="ascii") as f:
        f.write("no certificate")
    said = m.hang_up()
    t.check(files[0] in said, f"what is wrong is told: {said}")
    t.equal(m.ask("GET", "/health")[0], 200, "the last good ones")
    t.equal(m.stop(), 0, "ended")
    plain = Manager(t, p.g.control_path)
    plain.process.send_signal(signal.SIGHUP)
    t.equal(plain.ask("GET", "/health")[0], 200, "without any there is nothing to read")


def test_it_tells_in_json(t):
    control = t.path("none.sock")
    server, ca = Cert(t.folder, "server", ["manager.test"]), Cert(t.folder, "ca")
    m = Manager(t, control, "--address", "[::1]:0", "--tls-cert", server.cert, "--tls-key",
                server.key, "--client-ca", ca.cert, as_json=True)
    t.equal((m.scheme, m.host), ("https", "::1"), "where it listens")
    t.equal(json.loads(m.hang_up()), {"event": "certificates_read"}, "a HUP")
    with open(server.cert, "w", encoding="ascii") as f:
        f.write("no certificate")
    error = json.loads(m.hang_up())["errors"][0]
    t.check(error["code"] == "file" and server.cert in error["message"], f"{error}")
    t.equal((m.stop(), m.process.stderr.read()), (0, b""), "nothing else is said")


def test_two_pushers_lose_nothing(t):
    """Each its own server, so that only expectations keep them apart."""
    p, one = place(t)
    two = Manager(t, p.g.control_path)
    failed = []

    def push(m, name):
        for i in range(15):
            status, reply = m.push({"limits": {f"{name}{i}": LIMIT}})
            if status != 200:
                failed.append((name, i, reply))

    pushers = [threading.Thread(target=push, args=a)
               for a in ((one, "a"), (two, "b"), (one, "c"))]
    for pusher in pushers:
        pusher.start()
    for pusher in pushers:
        pusher.join()
    t.equal(failed, [], "pushes that failed")
    t.equal(sorted(one.policy()["limits"]), sorted(f"{n}{i}" for n in "abc" for i in range(15)),
            "all of them")
    t.equal(one.ask("GET", "/policy")[1]["generation"], 46, "each once")


def test_a_stale_part_is_merged_again(t):
    base = {"version": 1, "limits": {}}
    n_stale = [3]

    def answer(request):
        if request["command"] == "get_policy":
            return True, {"generation": 10 + n_stale[0], "policy": base}
        if n_stale[0] == 0:
            return True, {"generation": 99}
        n_stale[0] -= 1
        base["limits"][f"by{n_stale[0]}"] = LIMIT  # Somebody else.
        return False, {"code": "stale", "path": "", "message": "another is in force"}

    d = Daemon(t, answer)
    m = Manager(t, d.path)
    t.equal(m.push({"enabled": False}), (200, {"generation": 99}), "in the end")
    last = d.requests[-1]["args"]
    pushed_last = last["policy"]
    t.equal((last["expect_generation"], pushed_last["enabled"], sorted(pushed_last["limits"])),
            (10, False, ["by0", "by1", "by2"]), "on top of the latest")
    t.equal(d.commands(), ["get_policy", "push_policy"] * 4, "asked each time")
    n_stale[0] = 1000
    status, error = m.push({"enabled": False})
    t.equal((status, error["code"], error["message"]), (409, "stale", "another is in force"),
            "given up")
    d.requests.clear()
    n_stale[0] = 1
    t.equal(m.push({"version": 1, "routes": []})[0], 409, "whole ones are not pushed again")
    t.equal((d.commands(), "expect_generation" in d.requests[0]["args"]), (["push_policy"], False),
            "and expect nothing")


def test_what_the_daemon_says_is_passed_on(t):
    said = []
    d = Daemon(t, lambda request: said[-1])
    m = Manager(t, d.path)
    rows = [("semantic", "policy.routes[0].service", 400, "routes[0].service"),
            ("type", "policy", 400, ""), ("state", "", 503, ""), ("not_kept", "", 500, ""),
            ("no_policy", "", 409, ""), ("stale", "", 409, "")]
    for code, path, status, told in rows:
        said.append((False, {"code": code, "path": path, "message": "why"}))
        want = status, {"code": code, "path": told, "message": "why"}
        t.equal(m.push({"routes": []}), want, code)
    d.requests.clear()
    said.append((False, {"code": "no_policy", "path": "", "message": "why"}))
    t.equal((m.push({})[0], d.commands()), (409, ["get_policy"]), "nothing to merge into")
    for result in (None, (True, 7), (True, {"policy": {}}), (True, {"generation": 1})):
        said.append(result)
        t.equal(m.push({})[1]["code"], "unreachable", f"{result}")
    said.append(None)
    t.equal((m.ask("GET", "/health")[0], m.ask("GET", "/policy")[0], m.push({"routes": []})[0]),
            (503, 503, 503), "it hangs up")
    m = Manager(t, t.path("none.sock"))
    for status, error in (m.ask("GET", "/health"), m.ask("GET", "/policy"), m.push({"routes": []}),
                          m.push({})):
        t.equal((status, error["code"], error["message"]),
                (503, "unreachable", "No such file or directory"), "nobody there")
