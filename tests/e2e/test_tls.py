# SPDX-License-Identifier: Apache-2.0
"""TLS with clients: the same requests, sealed; names, versions, certificates, and who is refused."""
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess

from harness.certs import Cert, client_context
from harness.client import Client, chunked, request
from harness.gateway import PROGRAM
from harness.upstream import response

NAME = "site.test"


class Site:
    """A gateway that speaks TLS, and what its clients need."""

    def __init__(self, t, handler=None, certs=None, tls=None, config=None, **kw):
        self.t = t
        self.certs = certs or [Cert(t.folder, "site", [NAME, "*.site.test"])]
        self.up = t.upstream(handler) if handler else t.upstream()
        listener = {"tls": dict({"certificates": [c.as_config() for c in self.certs]},
                                **(tls or {}))}
        self.g = t.gateway(self.up, listener=listener, config=config, **kw)
        self.context = client_context(self.certs[0])

    def client(self, name=NAME, context=None, **kw):
        return self.t.client(self.g, tls=context or self.context, name=name, **kw)

    def refusals(self, reason):
        return self.g.metrics().sum("gateway_connections_closed_total", reason=reason)

    def wait_refusal(self, reason, n=1):
        self.t.check(self.g.wait_metric(lambda m: (m.sum("gateway_connections_closed_total",
                                                         reason=reason) or 0) >= n),
                     f"no connection was closed for {reason}")


def test_requests_of_all_kinds(t):
    s = Site(t)
    c = s.client()
    for i in range(100):
        r = c.ask("GET", f"/n/{i}", [("X-Nonce", f"n{i}")])
        t.equal((r.status, r.body), (200, f"GET /n/{i} 0 n{i}".encode()), f"answer {i}")
    r = c.ask("POST", "/p", [("X-Nonce", "p")], b"x" * 100000)
    t.equal((r.status, r.body), (200, b"POST /p 100000 p"), "a body with a length")
    c.expect("POST")
    c.send(request("POST", "/c", [("Transfer-Encoding", "chunked"), ("X-Nonce", "c")]) +
           chunked([b"a" * 1000] * 50))
    r = c.take()
    t.equal((r.status, r.body), (200, b"POST /c 50000 c"), "a chunked body")
    r = c.ask("HEAD", "/h")
    t.equal((r.status, r.body), (200, b""), "a HEAD")
    t.equal(s.up.messages[0].get("x-forwarded-proto"), "https", "x-forwarded-proto")
    t.equal(s.g.access(n=1)[0]["tls_version"], "1.3", "tls_version in the access log")
    t.check("proto=https" in s.up.messages[0].get("forwarded"), "Forwarded does not say https")


def test_pipelined_byte_by_byte(t):
    """Each byte in a record of its own."""
    s = Site(t)
    c = s.client()
    data = b"".join(request(target=f"/{i}", fields=[("X-Nonce", str(i))]) for i in range(5))
    for _ in range(5):
        c.expect("GET")
    for i in range(len(data)):
        c.send(data[i:i + 1])
    for i in range(5):
        t.equal(c.take().get("x-nonce"), str(i), f"answer {i}")


def test_a_handshake_byte_by_byte(t):
    s = Site(t)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        sock = socket.create_connection(s.g.address, timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = client_context(s.certs[0], most=version).wrap_bio(incoming, outgoing,
                                                                 server_hostname=NAME)

        def step(fn):
            while True:
                try:
                    done = fn()
                except ssl.SSLWantReadError:
                    done = None
                data = outgoing.read()
                for i in range(len(data)):
                    sock.sendall(data[i:i + 1])
                if done is not None:
                    return done
                data = sock.recv(65536)
                t.check(data, "the gateway ended the connection")
                incoming.write(data)

        step(lambda: peer.do_handshake() or True)
        step(lambda: peer.write(request(target="/bytes")))
        t.check(step(lambda: peer.read(65536)).startswith(b"HTTP/1.1 200"), "no answer")
        sock.close()


def long_body(size):
    block = hashlib.sha256(b"block").digest() * 2048  # 64 KiB
    return (block * (size // len(block) + 1))[:size]


def test_long_bodies_both_ways(t):
    size = (1 << 30) if t.large else 30_000_000
    body = long_body(30_000_000)

    def serve(conn, msg):
        conn.read_body(msg)
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for at in range(0, size, len(body)):
            conn.send(body[:min(len(body), size - at)])

    s = Site(t, serve, config={"workers": 1})
    before = s.g.rss_kib()
    out = os.path.join(t.folder, "out")
    curl = ["curl", "-sS", "--cacert", s.certs[0].cert, "--resolve",
            f"{NAME}:{s.g.address[1]}:127.0.0.1", f"https://{NAME}:{s.g.address[1]}/long"]
    subprocess.run([*curl, "-o", out], check=True, timeout=600)
    got, want = hashlib.sha256(), hashlib.sha256()
    with open(out, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            got.update(block)
    for at in range(0, size, len(body)):
        want.update(body[:min(len(body), size - at)])
    t.equal(got.hexdigest(), want.hexdigest(), "the body that came down")
    done = subprocess.run([*curl, "-o", "/dev/null", "-T", out, "-w", "%{http_code}"], check=True,
                          timeout=600, capture_output=True, text=True)
    t.equal(done.stdout, "200", "the upload's status")
    grown = s.g.rss_kib() - before
    t.check(grown < 8192, f"memory grew by {grown} KiB")


def test_names_choose_certificates(t):
    other = Cert(t.folder, "other", ["other.test"])
    site = Cert(t.folder, "site", [NAME, "*.site.test"])
    s = Site(t, certs=[site, other])
    for name, cert in ((NAME, site), ("a.site.test", site), ("other.test", other)):
        c = s.client(name, client_context(cert))
        t.equal(c.ask("GET", "/").status, 200, f"a request to {name}")
        shown = dict(x[0] for x in c.sock.getpeercert()["subject"])["commonName"]
        t.equal(shown, cert.name, f"the certificate for {name}")


def refused(t, s, context=None, name=NAME):
    try:
        c = s.client(name, context)
        c.ask("GET", "/")
    except (ssl.SSLError, OSError):
        return
    t.check(False, "it was served")


def test_who_is_refused(t):
    s = Site(t, tls={"min_version": "1.3", "strict_names": True})
    old = client_context(s.certs[0], most=ssl.TLSVersion.TLSv1_2)
    refused(t, s, old)
    s.wait_refusal("tls_version")
    unknown = client_context(s.certs[0])
    unknown.check_hostname = False
    refused(t, s, unknown, "nobody.test")
    s.wait_refusal("tls_sni_unknown")
    only_h2 = client_context(s.certs[0])
    only_h2.set_alpn_protocols(["h2"])
    refused(t, s, only_h2)
    s.wait_refusal("tls_handshake")
    t.equal(s.client().ask("GET", "/", host=NAME).status, 200, "a good client, after all of them")
    t.equal(len(s.up.messages), 1, "requests at the upstream")


def test_clear_http_is_told_so(t):
    s = Site(t)
    c = t.client(s.g)
    c.expect("GET")
    c.send(request())
    r = c.take()
    t.equal((r.status, r.body), (400, b'{"status":400,"reason":"plain_on_tls"}\r\n'), "the answer")
    c.wait_end()
    s.wait_refusal("plain_on_tls")
    c = t.client(s.g)
    c.send(b"\x80\x00\x01" * 50)
    c.wait_end()
    s.wait_refusal("tls_handshake")
    t.equal(len(s.up.messages), 0, "requests at the upstream")


def test_a_slow_handshake_ends(t):
    """S05: a client that never finishes its handshake, silent or in drips."""
    s = Site(t, config={"timeouts": {"tls_handshake": "300ms"}})
    silent, half = t.client(s.g), t.client(s.g)
    half.send(b"\x16\x03\x01\x02\x00\x01\x00")
    t.equal(silent.wait_end(5), "fin", "the silent client's end")
    half.wait_end(5)
    s.wait_refusal("tls_timeout", 2)


def test_handshakes_of_a_network_are_limited(t):
    """S10: a bucket for each /24; others, resumed sessions and trusted proxies are not touched."""
    s = Site(t, config={"limits": {"tls_handshakes": 1}})

    def served(source, context=None, session=None):
        sock = socket.socket()
        sock.bind((source, 0))
        sock.settimeout(10)
        sock.connect(s.g.address)
        try:
            sealed = (context or s.context).wrap_socket(sock, server_hostname=NAME,
                                                        session=session)
            sealed.sendall(request())
            got = sealed.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return None
        finally:
            sock.close()
        return sealed if got else None

    resumable = client_context(s.certs[0])
    first = served("127.0.0.1", resumable)
    t.check(first, "the first")
    n = sum(served(f"127.0.0.{2 + i}") is not None for i in range(20))
    t.check(n < 20, "20 more at once are served")
    s.wait_refusal("tls_handshake_limit", 20 - n)
    for i in range(4):
        t.check(served(f"127.0.{1 + i}.1"), f"network {i}")
    listener = {"trusted_proxies": ["127.0.9.0/24"],
                "tls": {"certificates": [c.as_config() for c in s.certs]}}
    g, s.g = s.g, t.gateway(s.up, listener=listener, config={"limits": {"tls_handshakes": 2}})
    t.check(all(served("127.0.9.1") for _ in range(6)), "a trusted proxy is refused")
    session = served("127.0.0.1", resumable).session
    t.check(all(served("127.0.0.1", resumable, session) for _ in range(10)),
            "a resumed handshake is refused")
    t.equal(g.metrics().sum("gateway_connections_closed_total", reason="tls_handshake_limit"),
            20 - n, "refusals")


def test_handshakes_take_turns(t):
    """Hellos that are due at once: all are served, each in a turn of the loop of its own."""
    s = Site(t, config={"workers": 1})
    s.g.freeze()
    hellos = []
    for _ in range(30):
        sock = socket.create_connection(s.g.address, 10)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        sealed = s.context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        try:
            sealed.do_handshake()
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
        hellos.append(sock)
    s.g.thaw()
    for i, sock in enumerate(hellos):
        t.check(sock.recv(1000).startswith(b"\x16\x03\x03"), f"no answer to hello {i}")
        sock.close()
    t.check(s.g.metrics().sum("gateway_tls_handshakes_waited_total") >= 15, "none has waited")


def test_clients_are_asked_for_certificates(t):
    root = Cert(t.folder, "root")
    member = Cert(t.folder, "member", issuer=root)
    stranger = Cert(t.folder, "stranger")
    s = Site(t, tls={"client_ca": root.cert})
    good = client_context(s.certs[0], member)
    r = s.client(context=good).ask("GET", "/", [("X-Client-Cert-Subject", "CN=forged")], host=NAME)
    t.equal(r.status, 200, "a member")
    t.equal(s.up.messages[0].get("x-client-cert-subject"), "CN=member", "who it is said to be")
    t.equal(len(s.up.messages[0].get("x-client-cert-sha256")), 64, "the digest's length")
    refused(t, s)
    refused(t, s, client_context(s.certs[0], stranger))
    s.wait_refusal("tls_client_cert", 2)
    t.equal(len(s.up.messages), 1, "requests at the upstream")


def test_misdirected_requests(t):
    """H11: where clients are asked who they are, a connection is for the names of its certificate."""
    site, other = Cert(t.folder, "site", [NAME]), Cert(t.folder, "other", ["other.test"])
    s = Site(t, certs=[site, other])
    t.equal(s.client().ask("GET", "/", host="other.test").status, 200, "where they are not")
    root = Cert(t.folder, "root")
    s = Site(t, certs=[site, other], tls={"client_ca": root.cert, "client_auth": "optional"},
             config={"workers": 1})  # So that the log has them in order.
    c = s.client()
    for host, status in ((NAME, 200), ("other.test", 421), (NAME.upper() + ":8443", 200)):
        t.equal(c.ask("GET", "/", host=host).status, status, f"{host} on a connection to {NAME}")
    c = s.client("other.test", client_context(other))
    t.equal(c.ask("GET", "/", host="other.test").status, 200, "other.test to itself")
    entries = s.g.access(n=4)
    t.equal([e["reason"] for e in entries], ["", "misdirected", "", ""], "reasons in the log")
    t.equal([e["tls_sni"] for e in entries], [NAME] * 3 + ["other.test"], "tls_sni in the log")
    t.check(all(e["tls_cipher"].startswith("TLS_") for e in entries), "tls_cipher in the log")
    t.equal(len(s.up.messages), 3, "requests at the upstream")


def test_a_session_is_resumed(t):
    s = Site(t, config={"workers": 2})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(s.certs[0], most=version)
        c = s.client(context=context)
        c.ask("GET", "/")
        for i in range(6):  # Any of the workers.
            sock = socket.create_connection(s.g.address, timeout=10)
            again = context.wrap_socket(sock, server_hostname=NAME, session=c.sock.session)
            t.check(again.session_reused, f"{version.name}, connection {i}: a full handshake")
            again.close()
    t.check(s.g.wait_metric(lambda m: m.sum("gateway_tls_handshakes_total", kind="resumed") == 12),
            "the metric does not count 12")


def test_certificates_are_swapped(t):
    s = Site(t)
    kept = s.client()
    t.equal(kept.ask("GET", "/1").status, 200, "before")
    new = Cert(t.folder, "new", [NAME])
    shutil.copy(new.cert, s.certs[0].cert)
    s.g.signal(signal.SIGHUP)  # The key is still the old one's.
    t.check(s.g.wait_event(lambda e: e.get("event") == "reload_refused"), "a broken pair is taken")
    t.equal(kept.ask("GET", "/2").status, 200, "after a refused reload, an old connection")
    shutil.copy(new.key, s.certs[0].key)
    s.g.signal(signal.SIGHUP)
    t.check(s.g.wait_event(lambda e: e.get("event") == "reloaded"), "a good pair is refused")
    c = s.client(context=client_context(new))
    t.equal(c.ask("GET", "/3").status, 200, "a new connection")
    t.equal(kept.ask("GET", "/4").status, 200, "the old connection, after the swap")


def test_certificates_are_given_up_with_their_last_connection(t):
    """Those of a reload in between: neither the first ones nor those in force."""
    s = Site(t, config={"workers": 1})
    for n in (1, 2):
        s.g.signal(signal.SIGHUP)
        t.check(s.g.wait_event(lambda e, n=n: sum(x.get("event") == "reloaded"
                                                  for x in s.g.events) >= n), "no reload")
        if n == 1:
            between = s.client()
            t.equal(between.ask("GET", "/1").status, 200, "on the certificates in between")
    t.equal(s.client().ask("GET", "/2").status, 200, "on the newest")
    t.check(between.silent(0.3), "something came unasked")  # Until the old ones are looked for.
    t.equal(between.ask("GET", "/3").status, 200, "on the certificates in between, later")
    between.close()
    t.check(s.g.wait_metric(lambda m: m.sum("net_connections_idle") == 1), "not closed")
    t.equal(s.client().ask("GET", "/4").status, 200, "after they have gone")


def test_ends_are_told(t):
    """A reply that ends the connection, a drain, and a client that goes away."""
    s = Site(t)
    c = s.client()
    r = c.ask("GET", "/", [("Connection", "close")])
    t.equal((r.status, c.wait_end()), (200, "fin"), "an end by close_notify")
    idle = s.client()
    t.equal(idle.ask("GET", "/").status, 200, "before the drain")
    s.g.signal(signal.SIGTERM)
    t.equal(idle.wait_end(), "fin", "the idle client's end")
    t.equal(s.g.wait_exit(), 0, "the exit code")


def test_a_client_that_goes_away_ends_its_request(t):
    def hang(conn, msg):
        conn.read_body(msg)
        conn.wait_end(5)

    s = Site(t, hang)
    c = s.client()
    c.send(request(target="/hang"))
    t.check(s.up.wait(lambda: len(s.up.messages) == 1), "not forwarded")
    c.reset()
    t.check(s.g.access(lambda r: r.get("reason") == "client_abort"), "the request goes on")


def openssl_of_the_gateway():
    """(3, 0) or so."""
    out = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(n) for n in re.search(r"OpenSSL (\d+)\.(\d+)", out).groups())


def test_an_idle_client_holds_little(t):
    """Of OpenSSL's memory: what the capacities are shared out by, tls_memory() in core/crypto/tls.c.
    """
    most = 32 if openssl_of_the_gateway() >= (3, 2) else 20
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        s = Site(t, config={"workers": 1})
        context = client_context(s.certs[0], most=version)

        def used(s=s):
            return s.g.metrics().sum("gateway_tls_memory_used_bytes")

        s.client(context=context).ask("GET", "/")
        before = used()
        clients = [s.client(context=context) for _ in range(100)]
        for c in clients:
            c.ask("GET", "/")
        each = (used() - before) / len(clients)
        if os.environ.get("GW_FIGURES") == "1":
            print(f"{version.name}: {each:.0f} bytes for each", flush=True)
        t.check(each < most * 1024, f"{version.name}: {each} bytes for each")


def test_a_slow_reader_holds_little(t):
    """Three buffers of body, one that is sealed, and OpenSSL's own: docs/THREAT-MODEL.md."""
    body = b"z" * 5_000_000
    first, more = 5, 20

    def serve(conn, msg):
        conn.read_body(msg)
        conn.send(response(200, body))

    s = Site(t, serve, config={"workers": 1, "timeouts": {"write_stall": "3s"}})

    def read_slowly(n):
        """RSS in KiB when n more do, and each holds what it can."""
        clients = [s.client(rcvbuf=4096) for _ in range(n)]
        for c in clients:
            c.send(request(target="/slow"))
        kept.extend(clients)
        t.check(s.g.wait_metric(lambda m: m.sum("gateway_buffers_lent") >= 3 * len(kept)),
                "they hold no buffers")
        return s.g.rss_kib()

    kept = []
    before = read_slowly(first)  # What is touched once and for all is no reader's.
    grown = read_slowly(more) - before
    t.check(grown < more * 200, f"memory grew by {grown} KiB for {more} slow readers")
    t.check(len(s.g.access(lambda r: r.get("reason") == "send_timeout", n=first + more,
                           timeout_s=15)) == first + more, "they are waited for without end")


for _name, _fn in list(globals().items()):
    if _name.startswith("test_"):
        _fn.clear = True  # They bring certificates of their own.
