# SPDX-License-Identifier: Apache-2.0
"""Clients and servers by others: curl, nghttp, h2load, openssl, Node's http2, undici, gRPC, ws.
What they must see is what the origin said, whatever is spoken between them and the gateway.
"""
import hashlib
import json
import re

from harness import programs
from harness.site import NAME, Site, blob

MIB = 1 << 20
WAYS = (("1.1", False, "--http1.1"), ("2", False, "--http2-prior-knowledge"),
        ("1.1", True, "--http1.1"), ("2", True, "--http2"))


class Curl:
    """curl towards a site, in one of the four ways."""

    def __init__(self, t, site, version, tls, flag):
        self.t = t
        self.version = version
        self.what = f"curl {flag}{' over TLS' if tls else ''}"
        self.url = site.tls_url if tls else site.clear_url
        self.argv = ["curl", "-sS", "--max-time", "25", flag]
        if tls:
            self.argv += ["--cacert", site.cert.cert, "--resolve",
                          f"{NAME}:{site.tls[1]}:127.0.0.1"]

    def ask(self, path, *args, stdin=b""):
        """The body; the status must be 200 and the version the one asked for."""
        done = programs.run(self.t, [*self.argv, *args, "-w", "\n%{http_version} %{response_code}",
                                     self.url + path], stdin)
        self.t.check(done.returncode == 0,
                     lambda: f"{self.what} {path}: exit {done.returncode}, {done.stderr[-300:]}")
        body, _, end = done.stdout.rpartition(b"\n")
        self.t.equal(end.decode(), f"{self.version} 200", f"{self.what} {path}: version, status")
        return body


def curls(t, site):
    return [Curl(t, site, *way) for way in WAYS]


def test_curl_asks(t):
    for curl in curls(t, Site(t)):
        t.equal(curl.ask("/x?y"), b"GET /x?y 0", f"{curl.what}: GET")
        t.equal(curl.ask("/p", "-d", "hello"), b"POST /p 5", f"{curl.what}: POST")
        t.equal(curl.ask("/p", "-d", "@-", "-H", "Transfer-Encoding: chunked"
                         if curl.version == "1.1" else "X-A: b", stdin=b"x" * 70000),
                b"POST /p 70000", f"{curl.what}: POST from a pipe")
        head = curl.ask("/h", "-I")
        t.check(re.search(rb"(?i)content-length: 9\r", head), f"{curl.what}: HEAD {head!r}")
        t.equal(curl.ask("/trailers"), b"hello", f"{curl.what}: trailers")
        t.equal(curl.ask("/d", "-X", "DELETE"), b"DELETE /d 0", f"{curl.what}: DELETE")


def test_curl_moves_10_mib(t):
    site = Site(t)
    data = blob(10 * MIB)
    with open(t.path("up"), "wb") as f:
        f.write(data)
    want = hashlib.sha256(data).hexdigest()
    for curl in curls(t, site):
        got = curl.ask(f"/bytes/{10 * MIB}")
        t.equal((len(got), hashlib.sha256(got).hexdigest()), (len(data), want), curl.what)
        for args in (("-T", t.path("up")), ("-X", "POST", "-T", "-")):
            said = curl.ask("/up", *args, stdin=b"" if args[-1] != "-" else data)
            t.check(said.endswith(b" /up %d" % len(data)), f"{curl.what} {args}: {said!r}")
            t.equal(site.up.messages[-1].digest, want, f"{curl.what}: what the upstream got")


def test_curl_in_parallel(t):
    """One connection, many streams. In the clear curl 7.88 takes its own streams for errors."""
    site = Site(t)
    for curl in curls(t, site):
        if curl.argv[-1] == "--http2-prior-knowledge":
            continue
        urls = []
        for i in range(40):
            urls += ["-o", t.path(f"answer-{i}"), f"{curl.url}/n/{i}"]
        done = programs.run(t, [*curl.argv, "-Z", "--parallel-max", "40", *urls])
        t.equal(done.returncode, 0, curl.what)
        for i in range(40):
            with open(t.path(f"answer-{i}"), "rb") as f:
                t.equal(f.read(), b"GET /n/%d 0" % i, f"{curl.what}: answer {i}")


def test_nghttp(t):
    site = Site(t)
    for url in (site.clear_url, site.tls_local_url):
        done = programs.run(t, ["nghttp", "-v", "-m", "5", "--no-dep", f"{url}/x",
                                f"{url}/bytes/200000", f"{url}/trailers"])
        said = done.stdout.decode("latin-1")
        t.equal(done.returncode, 0, f"{url}: exit code")
        t.equal(len(re.findall(r"recv .*:status: 200", said)), 15, f"{url}: answers")
        t.equal(len(re.findall(r"recv .*x-sum: 5", said)), 5, f"{url}: trailers")
        t.check("recv GOAWAY" not in said, f"{url}: a GOAWAY came")
        with open(t.path("body"), "wb") as f:
            f.write(blob(100000))
        done = programs.run(t, ["nghttp", "-d", t.path("body"), "--expect-continue", f"{url}/up"])
        t.equal((done.returncode, done.stdout), (0, b"POST /up 100000"), f"{url}: a body")


def h2load(t, url, *args):
    """Requests that were not answered with 2xx."""
    done = programs.run(t, ["h2load", "-t1", "-n1000", *args, url], timeout_s=60)
    said = done.stdout.decode()
    found = re.search(r"status codes: (\d+) 2xx", said)
    t.check(found, lambda: f"h2load says {said[-500:]} {done.stderr[-300:]}")
    t.check("1000 succeeded, 0 failed, 0 errored, 0 timeout" in said,
            lambda: f"{args}: {re.findall('requests: .*', said)}")
    return 1000 - int(found.group(1))


def test_h2load(t):
    site = Site(t)
    with open(t.path("body"), "wb") as f:
        f.write(blob(20000))
    for url in (site.clear_url, site.tls_local_url):
        for args in (("-c1", "-m1"), ("-c10", "-m10"), ("-c2", "-m100"), ("-c50", "-m2"),
                     ("-c4", "-m8", "-d", t.path("body")), ("-c4", "-m8", "-w10", "-W12"),
                     ("-c10", "--h1")):
            t.equal(h2load(t, f"{url}/n", *args), 0, f"{url} {args}: not 2xx")
        t.equal(h2load(t, f"{url}/bytes/40000", "-c4", "-m25"), 0, f"{url}: not 2xx")
    t.check(site.g.wait_metric(lambda m: m.sum("net_connections_active") == 0), "held connections")


def alpn(t, address, offered):
    """What openssl's client says that was chosen, or that it was refused."""
    args = ["-alpn", offered] if offered else []
    done = programs.run(t, ["openssl", "s_client", "-connect", f"127.0.0.1:{address[1]}",
                            "-servername", NAME, *args])
    said = (done.stdout + done.stderr).decode("latin-1")
    if "no application protocol" in said:
        return "refused"
    found = re.search(r"ALPN protocol: (\S+)", said)
    return found.group(1) if found else "none" if "No ALPN negotiated" in said else said[-300:]


def test_alpn(t):
    cases = {
        ("h2", "http/1.1"): {"h2": "h2", "http/1.1": "http/1.1", "h2,http/1.1": "h2",
                             "http/1.1,h2": "h2", "": "none", "spdy/1": "refused",
                             "spdy/1,h2": "h2", "http/1.0,http/1.1": "http/1.1"},
        ("http/1.1",): {"h2": "refused", "http/1.1": "http/1.1", "h2,http/1.1": "http/1.1",
                        "": "none", "spdy/1": "refused"},
        ("http/1.1", "h2"): {"http/1.1,h2": "h2", "http/1.1": "http/1.1"},  # Whatever the order.
        ("h2",): {"http/1.1": "refused", "h2,http/1.1": "h2", "h2": "h2"},
    }
    for protocols, wants in cases.items():
        site = Site(t, protocols=list(protocols))
        got = {offered: alpn(t, site.tls, offered) for offered in wants}
        t.equal(got, wants, f"a listener with {protocols}")
        t.forget(site.g)


def judge_node(t, found, what, size):
    """The answers that all of Node's clients get."""
    digest = hashlib.sha256(blob(size)).hexdigest()
    t.equal((found["get"]["status"], found["get"]["nonce"]), (200, "n1"), f"{what}: GET")
    t.equal((found["head"]["status"], found["head"]["length"]), (200, 0), f"{what}: HEAD")
    t.equal(found["upload"]["status"], 200, f"{what}: upload")
    t.equal((found["download"]["length"], found["download"]["digest"]), (size, digest),
            f"{what}: download")
    t.equal([(r["status"], r["nonce"]) for r in found["many"]],
            [(200, f"m{i}") for i in range(len(found["many"]))], f"{what}: many at once")


def uploads(site):
    return [m.digest for m in site.up.messages if m.target == "/upload"]


def test_node_http2(t):
    for tls in (False, True):
        site, size = Site(t), 3 * MIB
        args = {"url": site.clear_url, "size": size}
        if tls:
            args.update(url=site.tls_local_url, ca=site.cert.cert, name=NAME)
        found = programs.node(t, "http2_client.js", args)
        what = f"node http2, {found['alpn']}"
        judge_node(t, found, what, size)
        t.equal(found["alpn"], "h2" if tls else "h2c", f"{what}: protocol")
        t.equal(found["streamed"]["status"], 200, f"{what}: a body without a length")
        t.equal(uploads(site), [found["bigDigest"]] * 2, f"{what}: what the upstream got")
        t.equal(found["trailers"].get("trailers"), {"x-sum": "5"}, f"{what}: trailers")
        t.equal((found["ping"], found["cancelled"], found["after"]["status"]), ("ok", 8, 200),
                f"{what}: ping, cancel, and after it")
        t.check(found["settings"]["maxConcurrentStreams"] == 100, f"{what}: {found['settings']}")
        t.forget(site.g)


def test_undici(t):
    for tls, h2 in ((True, True), (True, False), (False, False)):
        site, size = Site(t), 3 * MIB
        args = {"url": site.clear_url, "h2": h2, "size": size}
        if tls:
            args.update(url=site.tls_local_url, ca=site.cert.cert, name=NAME)
        found = programs.node(t, "undici_client.js", args)
        what = f"undici, {'TLS' if tls else 'clear'}, {'HTTP/2' if h2 else 'HTTP/1.1'}"
        judge_node(t, found, what, size)
        t.equal(found["get"]["text"], "GET /get 0", f"{what}: GET")
        t.equal(uploads(site), [found["bigDigest"]], f"{what}: what the upstream got")
        t.equal(found["fetched"], {"status": 200, "text": "GET /fetched 0"}, f"{what}: fetch")
        t.forget(site.g)


class Server:
    """A server under Node, to be put behind a gateway."""

    def __init__(self, t, script, scheme, cert=None):
        args = {"cert": cert.cert, "key": cert.key} if cert else {}
        self.process, said = programs.node_server(t, script, args)
        t.check(not said.get("error"), lambda: f"{script}: {said}")
        self.url = f"{scheme}://127.0.0.1:{said['port']}"
        self.tls = cert
        self.messages = []


def judge_grpc(t, found, what, size):
    say = found["say"]
    t.equal(say.get("answer"), {"text": "said hello", "number": 0, "length": 0}, f"{what}: unary")
    t.equal((say["head"].get("x-ask"), say["head"].get("x-data-bin")),
            (["asked"], [{"type": "Buffer", "data": [0, 1, 254, 255]}]), f"{what}: metadata")
    t.equal(say["trailers"].get("x-end"), ["said"], f"{what}: trailing metadata")
    t.equal((found["fail"]["error"], found["fail"]["trailers"].get("x-end")),
            ({"code": 5, "details": "as asked: \u00fc"}, ["said"]), f"{what}: a status")
    t.equal(found["large"].get("answer"), {"text": "said large", "number": 0, "length": size},
            f"{what}: a large message")
    t.equal(found["count"], {"numbers": 100, "bytes": 1000000, "inOrder": True, "code": 0},
            f"{what}: a stream from the server")
    t.equal(found["collect"], {"number": 50, "text": ",".join(map(str, range(50)))},
            f"{what}: a stream to the server")
    t.equal(found["talk"], {"backs": [f"back {i}" for i in range(20)], "code": 0},
            f"{what}: streams both ways")
    t.equal([r.get("answer", r).get("text") for r in found["many"]],
            [f"said m{i}" for i in range(60)], f"{what}: many at once")
    t.equal((found["late"]["error"]["code"], found["cancelled"], found["unknown"]), (4, 1, 12),
            f"{what}: past its deadline, cancelled, a method that nobody has")
    t.equal(found["after"]["answer"]["text"], "said after", f"{what}: afterwards")


def test_grpc(t):
    """grpc-js on both sides: clear and TLS towards either."""
    size = 3 * MIB
    for scheme in ("h2c", "h2"):
        site = Site(t, upstream=lambda cert, scheme=scheme: Server(
            t, "grpc_server.js", scheme, cert if scheme == "h2" else None))
        for tls in (False, True):
            args = {"address": f"127.0.0.1:{(site.tls if tls else site.clear)[1]}", "size": size}
            if tls:
                args.update(ca=site.cert.cert, name=NAME)
            found = programs.node(t, "grpc_client.js", args)
            judge_grpc(t, found, f"gRPC, {'TLS' if tls else 'clear'} to {scheme}", size)
        cancelled = [json.loads(site.up.process.stdout.readline())["cancelled"] for _ in range(4)]
        t.equal(cancelled, ["late", "cancel"] * 2, f"{scheme}: what the server saw cancelled")
        t.forget(site.g)


def test_websocket(t):
    """ws on both sides of a tunnel."""
    site = Site(t, upstream=lambda _: Server(t, "ws_server.js", "http"),
                config={"upgrades": ["websocket"]})
    for tls in (False, True):
        args = {"url": site.clear_url.replace("http", "ws"), "size": 3 * MIB, "messages": 200}
        if tls:
            args.update(url=site.tls_local_url.replace("https", "wss"), ca=site.cert.cert,
                        name=NAME)
        found = programs.node(t, "ws_client.js", args)
        what = f"ws{'s' if tls else ''}"
        t.equal((found["good"], found["large"], found["pong"]), (200, True, "are you there"), what)
        t.equal((found["protocol"], found["closed"]), ("one", [4001, "as asked"]), what)
        t.equal((found["who"]["path"], found["who"]["from"]), ("/chat?x=1", "127.0.0.1"), what)


for _name, _fn in list(globals().items()):
    if _name.startswith("test_"):
        _fn.clear = True  # They use clear and TLS side by side.
