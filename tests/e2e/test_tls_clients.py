# SPDX-License-Identifier: Apache-2.0
"""Client certificates by host: one listener, one certificate, hosts that anybody may ask and hosts
that ask who it is; and every way to come to the one by the other.
"""
import json
import shutil
import signal
import socket
import ssl

from harness.certs import Cert, client_context
from harness.client import Ended, request
from test_config import run

OPEN, ADMIN, MAYBE = "open.site.test", "admin.site.test", "maybe.site.test"
ALSO = "also.site.test"  # Open, by an entry of its own.
SUBJECT, DIGEST = "x-client-cert-subject", "x-client-cert-sha256"
FORGED = [("X-Client-Cert-Subject", "CN=forged"), ("X-Client-Cert-Sha256", "0" * 64),
          ("X-Client-Cert", "forged"), ("X-Client-Cert-Verify", "SUCCESS")]


class Hosts:
    """ADMIN needs a certificate, MAYBE takes one, all else of *.site.test is open. Or the other way
    round: all need one but OPEN, and MAYBE takes one.
    """

    def __init__(self, t, asks=False):
        self.t = t
        self.wild = Cert(t.folder, "wild", ["site.test", "*.site.test", "IP:127.0.0.1"])
        self.root = Cert(t.folder, "root")
        self.member = Cert(t.folder, "member", issuer=self.root)
        self.stranger = Cert(t.folder, "stranger")
        one = self.wild.as_config()
        optional = dict(one, names=[MAYBE], client_ca=self.root.cert, client_auth="optional")
        if asks:
            self.tls = {"client_ca": self.root.cert,
                        "certificates": [one, dict(one, names=[OPEN], client_auth="off"), optional]}
        else:
            self.tls = {"certificates": [one, dict(one, names=[ADMIN], client_ca=self.root.cert),
                                         optional, dict(one, names=[ALSO])]}
        self.listener = {"protocols": ["h2", "http/1.1"], "tls": self.tls}
        self.up = t.upstream()
        self.g = t.gateway(self.up, listener=self.listener)

    def context(self, shown=None, protocol="http/1.1", most=None):
        context = client_context(self.wild, shown, most)
        context.check_hostname = False
        context.set_alpn_protocols([protocol])
        return context

    def connect(self, protocol, name, shown=None):
        """ask(host, fields) on one connection to a server name, and its client."""
        context = self.context(shown, protocol)
        if protocol == "h2":
            c = self.t.h2client(self.g, tls=context, name=name)
            return lambda host, fields=(): c.ask("GET", "/", [(n.lower(), v) for n, v in fields],
                                                 authority=host), c
        c = self.t.client(self.g, tls=context, name=name)
        return lambda host, fields=(): c.ask("GET", "/", fields, host=host), c

    def visit(self, protocol, name, shown=None):
        """What the upstream hears of the client of a request to this host; None: it was not let in.
        """
        n = len(self.up.messages)
        try:
            r = self.connect(protocol, name, shown)[0](name, FORGED)
        except (OSError, Ended):
            self.t.equal(len(self.up.messages), n, f"requests at the upstream for {name}")
            return None
        self.t.equal(r.status, 200, f"{protocol}, {name}")
        self.t.equal(len(self.up.messages), n + 1, f"requests at the upstream for {name}")
        return self.up.messages[-1]


def said(msg):
    return {n.lower(): v for n, v in msg.fields if n.lower().startswith("x-client-cert")}


def check_visit(s, protocol, name, shown, subject):
    """'subject': of the identity that is passed on; "": nobody's; None: it is refused."""
    what = f"{protocol}, {name}, {shown.name if shown else 'nobody'}"
    msg = s.visit(protocol, name, shown)
    s.t.equal(msg is None, subject is None, f"{what}: refused")
    if msg:
        fields = said(msg)
        s.t.equal(fields.get(SUBJECT, ""), subject, f"{what}: the subject")
        s.t.equal(sorted(fields), sorted([SUBJECT, DIGEST] if subject else []), what)
        s.t.check(fields.get(DIGEST) != "0" * 64, f"{what}: a forged digest")


def test_each_host_asks_for_itself(t):
    s = Hosts(t)
    rows = [(OPEN, None, ""), (OPEN, s.member, ""), (OPEN, s.stranger, ""), (ADMIN, None, None),
            (ADMIN, s.stranger, None), (ADMIN, s.member, "CN=member"),
            (ADMIN.upper(), None, None), (MAYBE, None, ""), (MAYBE, s.stranger, None),
            (MAYBE, s.member, "CN=member")]
    for protocol in ("http/1.1", "h2"):
        for row in rows:
            check_visit(s, protocol, *row)
    t.check(s.g.wait_metric(lambda m: m.sum("gateway_connections_closed_total",
                                            reason="tls_client_cert") == 8),
            "8 connections are not counted as tls_client_cert")


def test_a_host_is_excepted(t):
    s = Hosts(t, asks=True)
    rows = [(OPEN, None, ""), (OPEN, s.stranger, ""), (ADMIN, None, None),
            (ADMIN, s.member, "CN=member"), ("nobody.test", None, None), (MAYBE, None, ""),
            (MAYBE, s.stranger, None), (MAYBE, s.member, "CN=member")]
    for protocol in ("http/1.1", "h2"):
        for row in rows:
            if row[0] != "nobody.test":
                check_visit(s, protocol, *row)
            else:
                t.equal(s.visit(protocol, row[0], row[1]), None, f"{protocol}: an unknown name")


def spellings(host):
    return [host, host.upper(), host + ".", host + ":8443", host + ".:443"]


def check_hosts(s, name, shown, served, refused):
    """On one connection for each protocol: what is served, and what is misdirected."""
    for protocol in ("http/1.1", "h2"):
        ask, _ = s.connect(protocol, name, shown)
        n = len(s.up.messages)
        for host, status in [(h, 200) for h in served] + [(h, 421) for h in refused] + \
                            [(h, 200) for h in served[:1]]:
            r = ask(host)
            s.t.equal(r.status, status, f"{protocol}: {host} on a connection to {name}")
            if status == 421:
                s.t.check(b"misdirected" in r.body, f"{protocol}: {host}: {r.body}")
        s.t.equal(len(s.up.messages), n + len(served) + len(served[:1]),
                  f"{protocol}: requests at the upstream")


def test_open_connections_do_not_lead_to_hosts_that_ask(t):
    """By a name of an open host, by one that nobody knows, by none, and by the address."""
    s = Hosts(t)
    asking = spellings(ADMIN) + spellings(MAYBE)
    for name in (OPEN, "nobody.test", None):
        for shown in (None, s.member):
            check_hosts(s, name, shown,
                        spellings(OPEN) + ["nobody.test", "127.0.0.1", "[::1]:443"], asking)
    check_hosts(s, "127.0.0.1", None, [OPEN], asking)


def test_connections_that_ask_are_for_their_host(t):
    s = Hosts(t)
    others = [OPEN, "site.test", "nobody.test", "127.0.0.1", "[::1]"]
    check_hosts(s, ADMIN, s.member, spellings(ADMIN), spellings(MAYBE) + others)
    for shown in (None, s.member):
        check_hosts(s, MAYBE, shown, spellings(MAYBE), spellings(ADMIN) + others)


def test_unknown_hosts_are_the_first_entrys(t):
    """Which asks: an open connection leads to nothing but its own host."""
    s = Hosts(t, asks=True)
    others = ["nobody.test", "127.0.0.1", "[::1]", ADMIN, "site.test", MAYBE]
    check_hosts(s, OPEN, None, spellings(OPEN), others)
    check_hosts(s, None, s.member, [ADMIN, "site.test", "127.0.0.1"],
                [OPEN, MAYBE, "nobody.test", "[::1]"])


def test_other_ways_to_name_a_host(t):
    """HTTP/1: the target goes before Host, and an old request that names none is refused."""
    for asks in (False, True):
        s = Hosts(t, asks)
        for named, host, status in ((ADMIN, OPEN, 421), (OPEN, OPEN, 200), (OPEN, ADMIN, 200)):
            target = f"https://{named}/"
            c = t.client(s.g, tls=s.context(), name=OPEN)
            c.expect("GET")
            c.send(request(target=target, host=host))
            t.equal(c.take().status, status, f"{target} with Host {host}")
            t.check(ADMIN not in [m.get("host") for m in s.up.messages], "it came to the upstream")
        c = t.client(s.g, tls=s.context(), name=OPEN)
        c.expect("GET")
        c.send(b"GET / HTTP/1.0\r\n\r\n")
        t.equal(c.take().status, 400, "no host at all")


def resumed(s, context, first, second):
    """Whether a session of one host is taken for the other; both serve."""
    c = s.t.client(s.g, tls=context, name=first)
    s.t.equal(c.ask("GET", "/", host=first).status, 200, f"a request to {first}")
    sock = socket.create_connection(s.g.address, timeout=10)
    with context.wrap_socket(sock, server_hostname=second, session=c.sock.session) as again:
        again.sendall(request(host=second, fields=[("Connection", "close")]))
        s.t.check(again.recv(100).startswith(b"HTTP/1.1 200"), f"{second}, the second time")
        return again.session_reused


def check_sessions(s, kept, lost):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = s.context(s.member, most=version)
        for first, second in kept:
            s.t.check(resumed(s, context, first, second),
                      f"{version.name}: {first}, not resumed at {second}")
        for first, second in lost:
            s.t.check(not resumed(s, context, first, second),
                      f"{version.name}: {first}, resumed at {second}")


def test_sessions_stay_with_their_entry(t):
    """Also where neither asks; and those of who is asked are not resumed at all."""
    s = Hosts(t)
    check_sessions(s, [(OPEN, OPEN), (OPEN, "site.test"), (ALSO, ALSO)],
                   [(OPEN, ALSO), (ALSO, OPEN), (OPEN, MAYBE), (OPEN, ADMIN), (ADMIN, ADMIN),
                    (MAYBE, MAYBE), (ADMIN, OPEN), (MAYBE, ADMIN)])
    t.equal(said(s.up.messages[-1]).get(SUBJECT), "CN=member", "the last one's identity")
    check_sessions(Hosts(t, asks=True), [(OPEN, OPEN)], [(OPEN, ADMIN), (ADMIN, ADMIN)])


def test_authorities_are_swapped(t):
    s = Hosts(t)
    t.check(s.visit("h2", ADMIN, s.member), "before")
    shutil.copy(s.stranger.cert, s.root.cert)
    s.g.signal(signal.SIGHUP)
    t.check(s.g.wait_event(lambda e: e.get("event") == "reloaded"), "no reload")
    t.equal(s.visit("h2", ADMIN, s.member), None, "a member of the old ones, after")
    t.equal(said(s.visit("h2", ADMIN, s.stranger)).get(SUBJECT), "CN=stranger", "the new one")
    with open(s.root.cert, "w", encoding="ascii") as f:
        f.write("nothing\n")
    s.g.signal(signal.SIGHUP)
    t.check(s.g.wait_event(lambda e: "certificates[1].client_ca" in e.get("text", "")),
            "authorities that are none are taken, or their place is not told")
    t.check(s.visit("h2", ADMIN, s.stranger), "after a refused reload")


def test_what_is_refused(t):
    """Before it starts, with the place and the reason."""
    s = Hosts(t)
    one, other = s.wild.as_config(), Cert(t.folder, "other", ["other.test"]).as_config()
    ca = {"client_ca": s.root.cert}
    rows = [
        ([one, dict(other, names=["other.test", OPEN])], {},
         f"certificates[1].names[1]: {OPEN} is not a name of the certificate"),
        ([dict(one, names=["*.a.site.test"])], {},
         "certificates[0].names[0]: *.a.site.test is not a name of the certificate"),
        ([dict(one, names=[OPEN]), dict(one, names=[ADMIN, OPEN], **ca)], {},
         f"certificates[1].names[1]: {OPEN} is also a name of certificates[0]"),
        ([one, dict(one, **ca)], {},
         "certificates[1]: *.site.test is also a name of certificates[0], which asks clients "
         "otherwise"),
        ([one, dict(one, names=[ADMIN], client_ca="/nowhere.pem")], {},
         "certificates[1].client_ca: /nowhere.pem: holds no certificates of authorities"),
        ([one], {"client_ca": "/nowhere.pem"},
         "tls.client_ca: /nowhere.pem: holds no certificates of authorities"),
        ([one, dict(other, key=one["key"])], {}, "certificates[1]: "),
        ([dict(one, client_auth="optional")], {}, "certificates[0].client_auth: asks for"),
        ([dict(one, names=["a.site.test"] * 65)], {}, "certificates[0].names: "),
    ]
    for certificates, more, want in rows:
        tls = dict(more, certificates=certificates)
        text = json.dumps({"listeners": [{"address": "127.0.0.1:0", "tls": tls}],
                           "admin": {"address": "off"}, "control": {"path": "off"}})
        code, out, err = run(t, "--upstream", "http://127.0.0.1:1", text=text)
        t.equal(code, 78, f"exit code for {want}")
        t.check(want in out + err,
                f"want {want!r}, said {(out + err)[-400:]!r}")


for _name, _fn in list(globals().items()):
    if _name.startswith("test_"):
        _fn.clear = True  # They bring certificates of their own.
