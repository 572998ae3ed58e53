# SPDX-License-Identifier: Apache-2.0
"""TLS with upstreams: who is believed, who is not and what is said of it; sessions, certificates of
our own, ends, reloads, and peers that speak something else than the scheme says.
"""
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading

from harness.control import Control
from harness.certs import Cert, der_name, origin_context
from harness.upstream import echo, response

HERE = "IP:127.0.0.1"


class Authority:
    """An authority, an origin that it vouches for, and a gateway that believes it."""

    def __init__(self, t, handler=echo, origin=None, context=None, tls=None, config=None, **kw):
        self.t = t
        self.ca = Cert(t.folder, "ca")
        self.origin = origin(self) if origin else self.cert("origin", [HERE])
        self.context = context(self) if context else origin_context(self.origin)
        self.up = t.upstream(handler, tls=self.context)
        self.g = self.gateway(self.up, tls, config, **kw)

    def cert(self, name, sans=(), **kw):
        return Cert(self.t.folder, name, sans, issuer=self.ca, **kw)

    def gateway(self, up, tls=None, config=None, **kw):
        upstream_tls = dict({"ca": self.ca.cert}, **(tls or {}))
        config = dict({"workers": 1, "upstream_tls": upstream_tls}, **(config or {}))
        return self.t.gateway(up, config=config, **kw)

    def ask(self, *args, **kw):
        return self.t.client(self.g).ask(*args, **kw)


def failures(g, cause):
    return g.metrics().sum("upstream_tls_failures_total", cause=cause)


def handshakes(g, kind):
    return g.metrics().sum("upstream_tls_handshakes_total", kind=kind)


def refused(t, g, reason):
    """A request is answered 502 for this reason, everywhere where that is to be seen; the client's
    connection lives on.
    """
    c = t.client(g)
    for i in range(2):
        r = c.ask("GET", "/")
        t.equal((r.status, r.body), (502, f'{{"status":502,"reason":"{reason}"}}\n'.encode()),
                f"answer {i}")
    t.equal(len(g.access(lambda e: e["reason"] == reason, n=2)), 2, "lines of the access log")
    t.equal(g.metrics().sum("upstream_errors_total", reason=reason), 2, "the metric")


def test_requests_of_all_kinds(t):
    s = Authority(t)
    c = t.client(s.g)
    for i in range(50):
        r = c.ask("GET", f"/n/{i}", [("X-Nonce", f"n{i}")])
        t.equal((r.status, r.body), (200, f"GET /n/{i} 0 n{i}".encode()), f"answer {i}")
    r = c.ask("POST", "/p", [("X-Nonce", "p")], b"x" * 100000)
    t.equal((r.status, r.body), (200, b"POST /p 100000 p"), "a body with a length")
    r = c.ask("HEAD", "/h")
    t.equal((r.status, r.body), (200, b""), "a HEAD")
    t.equal(len(s.up.connections), 1, "connections: the pool keeps them")
    t.equal(handshakes(s.g, "full"), 1, "handshakes")
    entry = s.g.access(n=52)[0]
    t.equal((entry["upstream_tls_version"], entry["upstream_tls_failure"]), ("1.3", ""), "the log")


def test_ten_mebibytes_both_ways(t):
    block = hashlib.sha256(b"block").digest() * 2048
    body = block * 160  # 10 MiB
    seen = []

    def serve(conn, msg):
        conn.read_body(msg)
        seen.append(msg.body_len)
        conn.send(response(200, body))

    s = Authority(t, serve)
    out = os.path.join(t.folder, "body")
    with open(out, "wb") as f:
        f.write(body)
    before = s.g.rss_kib()
    got = curl(t, s.g, "/down", "-T", out)
    t.equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(body).hexdigest(), "what came down")
    t.equal(seen, [len(body)], "what went up")
    grown = s.g.rss_kib() - before
    t.check(grown < 8192, f"memory grew by {grown} KiB")


test_ten_mebibytes_both_ways.clear = True  # Its client is told to speak so.


def curl(t, g, target, *args):
    out = os.path.join(t.folder, "curl.out")
    subprocess.run(["curl", "-sS", "-o", out, *args, f"http://127.0.0.1:{g.address[1]}{target}"],
                   check=True, timeout=60)
    with open(out, "rb") as f:
        return f.read()


# --- Who is believed. -----------------------------------------------------------------------------

def untrusted(t, origin, cause):
    """T07: the handshake ends, nothing of a request is sent, and it is told why."""
    s = Authority(t, origin=origin)
    refused(t, s.g, "upstream_tls")
    t.equal(failures(s.g, cause), 2, f"failures by cause {cause}")
    t.equal(s.g.access(n=1)[0]["upstream_tls_failure"], cause, "the cause in the access log")
    t.equal(len(s.up.messages), 0, "requests at the upstream")
    t.check(s.up.wait(lambda: not s.up.open_connections()), "the upstream's connection stays open")


def test_an_expired_certificate(t):
    untrusted(t, lambda s: s.cert("late", [HERE], days=-1), "expired")


def test_a_certificate_for_another_name(t):
    untrusted(t, lambda s: s.cert("other", ["other.test", "IP:127.0.0.2"]), "name")


def test_a_common_name_is_none(t):
    untrusted(t, lambda s: s.cert("127.0.0.1"), "name")


def test_a_self_signed_certificate(t):
    untrusted(t, lambda s: Cert(t.folder, "alone", [HERE]), "certificate")


def test_a_certificate_of_another_authority(t):
    untrusted(t, lambda s: Cert(t.folder, "foreign", [HERE], issuer=Cert(t.folder, "them")),
              "certificate")


def test_a_name_with_a_nul(t):
    """It is not what stands in front of the NUL."""
    s = Authority(t, origin=lambda s: s.cert("nul", [der_name(b"site.test\0.evil.test")]),
                  tls={"server_name": "site.test"})
    refused(t, s.g, "upstream_tls")
    t.equal(failures(s.g, "name"), 2, "failures by name")
    t.equal(len(s.up.messages), 0, "requests at the upstream")


def test_a_server_name_may_be_said(t):
    names = []

    def context(s):
        c = origin_context(s.origin)
        c.sni_callback = lambda sock, name, ctx: names.append(name)
        return c

    s = Authority(t, origin=lambda s: s.cert("site", ["*.site.test"]), context=context,
                  tls={"server_name": "api.site.test"})
    t.equal(s.ask("GET", "/").status, 200, "the status")
    t.equal(names, ["api.site.test"], "the name that was asked for")


def test_the_hosts_name_is_asked_for(t):
    names = []

    def context(s):
        c = origin_context(s.origin)
        c.sni_callback = lambda sock, name, ctx: names.append(name)
        return c

    s = Authority(t, origin=lambda s: s.cert("site", ["localhost"]), context=context)
    t.equal(s.ask("GET", "/").status, 502, "as 127.0.0.1")
    g = s.gateway(f"https://localhost:{s.up.port}")
    t.equal(t.client(g).ask("GET", "/").status, 200, "as localhost")
    t.equal(names, [None, "localhost"], "the names that were asked for")


def test_whom_the_system_trusts(t):
    s = Authority(t)
    config = {"workers": 1}
    stranger = t.gateway(s.up, config=config, env={"SSL_CERT_FILE": Cert(t.folder, "other").cert})
    refused(t, stranger, "upstream_tls")
    g = t.gateway(s.up, config=config, env={"SSL_CERT_FILE": s.ca.cert})
    t.equal(t.client(g).ask("GET", "/").status, 200, "an authority in SSL_CERT_FILE")


def test_anybody_is_believed_only_loudly(t):
    s = Authority(t, origin=lambda s: Cert(t.folder, "alone", ["nobody.test"]),
                  tls={"verify": False})
    t.equal(s.ask("GET", "/").status, 200, "the status")
    t.check(s.g.wait_event(lambda e: e.get("event") == "upstream_unverified"
                           and e.get("level") == "warn"), "no warning")
    t.equal(s.g.metrics().sum("gateway_upstream_tls_unverified"), 1, "the metric")
    with Control(s.g.control_path) as control:
        t.equal(control.ask("status")["result"]["upstream_tls"], "unverified", "status")
    good = Authority(t)
    t.equal(good.g.metrics().sum("gateway_upstream_tls_unverified"), 0, "the metric, verified")


# --- What we show, and what is agreed on. ----------------------------------------------------------

def test_an_origin_asks_for_a_certificate(t):
    shown = []

    def serve(conn, msg):
        shown.append(dict(x[0] for x in conn.sock.getpeercert()["subject"])["commonName"])
        echo(conn, msg)

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        s = Authority(t, serve, context=lambda s, v=version: origin_context(s.origin, clients=s.ca,
                                                                            most=v))
        if version == ssl.TLSVersion.TLSv1_2:
            refused(t, s.g, "upstream_tls")
        else:  # Told only behind the handshake, where a reset may be faster.
            t.equal(s.ask("GET", "/").status, 502, "without one")
            t.check(s.g.access()[0]["reason"] in ("upstream_tls", "reset"), "the reason")
        gateway = s.cert("gateway")
        g = s.gateway(s.up, {"cert": gateway.cert, "key": gateway.key})
        t.equal(t.client(g).ask("GET", "/").status, 200, f"with one, by {version.name}")
    t.equal(shown, ["gateway"] * 2, "who asked")


def test_versions(t):
    s = Authority(t, context=lambda s: origin_context(s.origin, most=ssl.TLSVersion.TLSv1_2))
    t.equal(s.ask("GET", "/").status, 200, "TLS 1.2")
    t.equal(s.g.access(n=1)[0]["upstream_tls_version"], "1.2", "in the log")
    g = s.gateway(s.up, {"min_version": "1.3"})
    refused(t, g, "upstream_tls")
    t.equal(failures(g, "alert"), 2, "the cause")


def test_a_session_is_resumed(t):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        reused = []

        def serve(conn, msg, reused=reused):
            reused.append(conn.sock.session_reused)
            conn.send(response(200, b"", [("Connection", "close")]))
            conn.say_end()

        s = Authority(t, serve, context=lambda s, v=version: origin_context(s.origin, most=v))
        for _ in range(5):
            t.equal(s.ask("GET", "/").status, 200, version.name)
        t.equal(reused, [False] + [True] * 4, f"{version.name}: what the origin saw")
        t.equal((handshakes(s.g, "full"), handshakes(s.g, "resumed")), (1, 4), "the metric")


# --- Ends. ----------------------------------------------------------------------------------------

def test_an_end_that_is_not_said_cuts(t):
    """T11: without a length, only close_notify tells a whole response from a part of one."""
    def serve(conn, msg):
        conn.read_body(msg)
        length = "Content-Length: 4\r\n" if msg.target.startswith("/length") else ""
        conn.send(f"HTTP/1.1 200 OK\r\n{length}\r\nbody".encode())
        if msg.target.endswith("said"):
            conn.say_end()
        conn.close()

    s = Authority(t, serve)
    for target, whole in (("/said", True), ("/length/cut", True), ("/length/said", True),
                          ("/cut", False)):
        c = t.client(s.g)
        c.expect("GET")
        c.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if whole:
            t.equal(c.take().body, b"body", f"{target}: the body")
            continue
        msg = c.take_head()
        c.wait_end()
        t.check(not msg.complete, f"{target}: a cut response is passed off as a whole one")
    t.equal([e["path"] for e in s.g.access(lambda e: e["reason"] == "upstream_truncated")],
            ["/cut"], "what was truncated, by the log")


def test_a_dead_pooled_connection_is_replaced(t):
    """Whether that is known by then or not."""
    ends = {"say_end": threading.Event(), "close": threading.Event(), "reset": threading.Event()}

    def serve(conn, msg):
        echo(conn, msg)
        how = msg.target[1:]
        if how in ends:
            ends[how].wait(10)
            getattr(conn, how)()

    s = Authority(t, serve)
    c = t.client(s.g)
    for n, how in enumerate(ends):
        t.equal(c.ask("GET", f"/{how}").status, 200, "before")
        ends[how].set()
        t.equal(c.ask("GET", "/after").status, 200, f"after {how}()")
        t.equal(len(s.up.connections), n + 2, "connections")


def test_bytes_on_an_idle_connection(t):
    """They are nobody's answer."""
    go = threading.Event()

    def serve(conn, msg):
        echo(conn, msg)
        if msg.target == "/1":
            go.wait(10)
            conn.send(response(200, b"forged"))

    s = Authority(t, serve)
    c = t.client(s.g)
    t.equal(c.ask("GET", "/1").body, b"GET /1 0 ", "before")
    t.check(s.g.wait_metric(lambda m: m.sum("upstream_connections_idle") == 1), "not in the pool")
    go.set()
    t.check(s.g.wait_metric(lambda m: m.sum("upstream_pool_closed_total", reason="unsolicited") == 1),
            "it stays in the pool")
    t.equal(c.ask("GET", "/2").body, b"GET /2 0 ", "after")


# --- Peers that speak something else. --------------------------------------------------------------

class Stranger:
    """A listener that says something to whoever has said something."""

    def __init__(self, says, ends=True):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(16)
        self.port = self.sock.getsockname()[1]
        self.says, self.ends = says, ends
        self.heard = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            conn.settimeout(5)
            self.heard.append(conn.recv(65536))
            conn.sendall(self.says)
            if self.ends:
                conn.shutdown(socket.SHUT_WR)
            try:
                while conn.recv(65536):
                    pass
            except OSError:
                pass
            conn.close()

    def stop(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def test_tls_to_a_clear_port(t):
    s = Authority(t)
    for says, ends, reason, cause in (
            (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", True,
             "upstream_protocol_mismatch", "clear"),
            (b"HTTP/1.0 200 OK\r\n\r\nhello", False, "upstream_protocol_mismatch", "clear"),
            (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", False,
             "upstream_protocol_mismatch", "clear"),
            (b"220 mail.test ESMTP\r\n", False, "upstream_tls", "other"),
            (b"", True, "upstream_tls", "closed")):
        stranger = Stranger(says, ends)
        g = s.gateway(f"https://127.0.0.1:{stranger.port}")
        refused(t, g, reason)
        t.equal(failures(g, cause), 2, f"{says[:20]!r}: the cause")
        stranger.stop()


def test_clear_requests_to_a_tls_port(t):
    """One that answers by an alert. One that says nothing, as OpenSSL does, is no more than lost."""
    stranger = Stranger(b"\x15\x03\x01\x00\x02\x02\x46")
    g = t.gateway(f"http://127.0.0.1:{stranger.port}", config={"workers": 1})
    refused(t, g, "upstream_protocol_mismatch")
    stranger.stop()
    s = Authority(t)
    g = t.gateway(f"http://127.0.0.1:{s.up.port}", config={"workers": 1})
    refused(t, g, "reset")
    t.equal(len(s.up.messages), 0, "requests at the upstream")


def test_clear_requests_to_an_http2_port(t):
    settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"
    goaway = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
    for says in (settings, goaway, settings + goaway):
        stranger = Stranger(says)
        g = t.gateway(f"http://127.0.0.1:{stranger.port}", config={"workers": 1})
        refused(t, g, "upstream_protocol_mismatch")
        stranger.stop()


def test_https_to_an_http2_port(t):
    """It refuses what is offered by TLS itself."""
    s = Authority(t)
    origin = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
                               s.origin.cert, "-key", s.origin.key, "-alpn", "h2"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        line = next(x for x in origin.stdout if x.startswith("ACCEPT"))
        g = s.gateway(f"https://127.0.0.1:{line.strip().rpartition(':')[2]}")
        refused(t, g, "upstream_protocol_mismatch")
        t.equal(failures(g, "protocol"), 2, "the cause")
    finally:
        origin.kill()
        origin.wait()


def test_a_slow_handshake_ends(t):
    """It has the time of a connect."""
    stranger = Stranger(b"\x16\x03\x03\x00\x7a\x02\x00", False)
    s = Authority(t)
    g = s.gateway(f"https://127.0.0.1:{stranger.port}",
                  config={"timeouts": {"connect": "300ms"}})
    r = t.client(g).ask("GET", "/")
    t.equal((r.status, b"connect_timeout" in r.body), (504, True), "the answer")
    stranger.stop()


# --- Reload. --------------------------------------------------------------------------------------

def test_authorities_are_swapped(t):
    s = Authority(t)
    c = t.client(s.g)
    t.equal(c.ask("GET", "/").status, 200, "before")
    them = Cert(t.folder, "them")
    kept = os.path.join(t.folder, "kept.pem")
    shutil.copy(s.ca.cert, kept)
    shutil.copy(them.cert, s.ca.cert)
    s.g.reload()
    t.equal(c.ask("GET", "/").status, 502, "with other authorities, neither pool nor session is used")
    with open(s.ca.cert, "w", encoding="ascii") as f:
        f.write("no certificate\n")
    s.g.reload("reload_refused")
    shutil.copy(kept, s.ca.cert)
    s.g.reload()
    t.equal(c.ask("GET", "/").status, 200, "with the old ones again")
    t.equal(handshakes(s.g, "resumed"), 0, "sessions of before")


def test_a_reload_lets_requests_finish(t):
    go = threading.Event()

    def serve(conn, msg):
        conn.read_body(msg)
        if msg.target == "/slow":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            go.wait(10)
            conn.send(b"half")
        else:
            conn.send(response(200, b"ok"))

    s = Authority(t, serve)
    c = t.client(s.g)
    c.expect("GET")
    c.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    c.take_head()
    for _ in range(3):
        s.g.reload()
    go.set()
    c.pump_until(lambda: c.reader.messages[0].complete)
    t.equal(c.reader.messages[0].body, b"halfhalf", "the body")
    t.equal(c.ask("GET", "/next").body, b"ok", "the next")
    t.equal(len(s.up.connections), 2, "connections: the first belongs to files of before")


def test_broken_files_are_refused_at_the_start(t):
    ca = Cert(t.folder, "ca")
    other = Cert(t.folder, "other")
    for tls, text in (({"ca": "/nonexistent.pem"}, "holds no certificates of authorities"),
                      ({"ca": ca.cert, "cert": ca.cert, "key": other.key},
                       "is not the key of the certificate"),
                      ({"ca": ca.cert, "cert": ca.cert}, "cert and key are one pair")):
        try:
            t.gateway("https://127.0.0.1:1", config={"upstream_tls": tls})
        except Exception as e:
            t.check(text in str(e), f"{e} does not say: {text}")
            continue
        t.check(False, f"it starts with {tls}")
