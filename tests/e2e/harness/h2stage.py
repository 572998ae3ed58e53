# SPDX-License-Identifier: Apache-2.0
"""Where the HTTP/2 vectors are played: an origin that records, a gateway of the configuration that
a case needs, one case after another.
"""
import collections
import threading

from . import h2vectors, session
from .certs import Cert, client_context
from .client import Ended
from .h2client import H2Client
from .upstream import response

NAME = "site.test"
SETTLE_S = 4.0
PATIENT = {"head": "60s", "body_idle": "60s", "keepalive": "60s"}
COUNTERS = ("gateway_rejected_requests_total", "gateway_connections_closed_total",
            "upstream_errors_total")


class Origin:
    """Answers by path, or as the case at hand says; knows what each client had it do at once."""

    def __init__(self, case):
        self.seen = collections.defaultdict(list)  # client's address -> [(connection, message)]
        self.active = collections.Counter()
        self.active_max = collections.Counter()
        self.left = collections.Counter()
        self.script = None
        self.lock = threading.Lock()
        self.upstream = case.upstream(self.handle)

    def handle(self, conn, msg):
        client = (msg.get("x-forwarded-for") or "nobody").split(",")[-1].strip()
        with self.lock:
            self.seen[client].append((conn, msg))
            self.active[client] += 1
            self.active_max[client] = max(self.active_max[client], self.active[client])
        try:
            self._answer(conn, msg)
        finally:
            with self.lock:
                self.active[client] -= 1
                self.left[client] += 1

    def _answer(self, conn, msg):
        script = None if msg.target == h2vectors.PROBE else self.script
        if msg.target.startswith("/hang"):
            conn.wait_end()
            conn.close()
            return
        conn.read_body(msg)
        if script:
            self._play(conn, *script)
            return
        body = b"z" * (1 << 20) if msg.target.startswith("/big") else \
            f"{msg.method} {msg.target} {msg.body_len}".encode("latin-1")
        whole = response(200, body)
        conn.send(whole[:-len(body)] if msg.method == "HEAD" else whole)

    @staticmethod
    def _play(conn, data, then):
        conn.send(data)
        if then == "close":
            conn.close()
        elif then == "reset":
            conn.wait_sent()
            conn.reset()

    def of(self, source):
        with self.lock:
            return [(c, m) for c, m in self.seen[source] if m.target != h2vectors.PROBE]


class Stage:
    """A gateway for the cases of one configuration."""

    def __init__(self, t, config, tls):
        self.t = t
        self.origin = Origin(t)
        self.cert = None
        listener = {"protocols": ["h2", "http/1.1"]}
        if tls:
            self.cert = Cert(t.folder, f"site-{id(self)}", [NAME])
            listener["tls"] = {"certificates": [self.cert.as_config()]}
        whole = {"workers": 1, "timeouts": PATIENT}
        for key, value in config.items():
            whole[key] = dict(whole.get(key, {}), **value) if isinstance(value, dict) else value
        self.start = lambda: t.gateway(self.origin.upstream, listener=listener, config=whole)
        self.gateway = self.start()
        self.n_cases = 0

    def connect(self, case, source, huffman=False):
        context = None
        if self.cert:
            context = client_context(self.cert)
            if case.get("tls") != "no alpn":
                context.set_alpn_protocols(["http/1.1" if case.get("tls") == "http/1.1" else "h2"])
        return H2Client(self.gateway.address, tls=context, name=NAME, source=source,
                        hello=case.get("hello", True), grants=case.get("grants", True),
                        settings=[tuple(p) for p in case.get("settings", [])],
                        huffman=huffman and case.get("huffman", True))

    def counted(self):
        """Reasons and errors so far."""
        found = collections.Counter()
        for (name, labels), value in self.gateway.metrics().samples.items():
            labels = dict(labels)
            if name in COUNTERS:
                found[labels.get("reason") or labels.get("kind")] += value
            elif name == "gateway_h2_errors_total":
                found[f"h2 {labels['scope']} {labels['code']}".lower()] += value
        return found

    def run(self, case, **how):
        """Play it; what should not be so. A gateway that dies is replaced."""
        try:
            wrong = self._run(case, **how)
        except Exception as e:
            if self.gateway.wait_exit(1.0) is None:
                raise
            wrong = [f"{type(e).__name__}: {e}"]
        if not self.gateway.running():
            said = [line for line in self.gateway.stderr_lines if line.startswith("assert")]
            wrong.append(f"the gateway died: {said or self.gateway.stderr_lines[-3:]}")
            self.gateway = self.start()
        return wrong

    def _run(self, case, huffman=False, pieces=None):
        source = session.client_address(self.n_cases)
        self.n_cases += 1
        self.origin.script = None
        if "upstream_sends" in case:
            self.origin.script = (h2vectors.text(case["upstream_sends"]), case.get("then", "keep"))
        before, rss = self.counted(), self.gateway.rss_kib()
        client = self.connect(case, source, huffman)
        try:
            wrong = self._play(case, client, source, pieces)
            grown = self.gateway.rss_kib() - rss
        finally:
            client.reset()  # An end alone would leave its requests time for their answers.
        if grown > case.get("rss_kib", grown):
            wrong.append(f"memory grew by {grown} KiB, at most {case['rss_kib']} may be")
        return wrong + self._upstream(case, source) + self._reasons(case, before)

    def _play(self, case, client, source, pieces):
        def reached():
            return self.origin.active[source] > 0

        player = h2vectors.Player(case, client,
                                  lambda: self.origin.upstream.wait(reached, 5.0), pieces)
        try:
            player.play()
        except Ended as e:
            return [f"while it is said: {e}"]
        stream = player.first if case.get("judged") == "first" else player.last
        if isinstance(case.get("judged"), int):
            stream = client.streams[case["judged"]]
        wants = set(case["want"])
        client.wait(lambda: h2vectors.observed(client, stream) & wants, SETTLE_S)
        got = h2vectors.observed(client, stream)
        met = got & wants
        if not met:
            return [f"got {sorted(got) or 'nothing'}, want {' or '.join(case['want'])}"]
        wrong = []
        if stream and str(stream.status) in met:
            wrong += h2vectors.judge_reply(stream, case.get("reply", {}))
        if any(w.endswith("closed") or w.startswith(("GOAWAY", "h1")) for w in met):
            if not client.wait_end(SETTLE_S):
                wrong.append("the connection is not closed")
        else:
            self._await_upstream(case, source)
            wrong += self._goes_on(client, source)
        return wrong + [f"breaks RFC 9113: {v}" for v in client.violations]

    def _await_upstream(self, case, source):
        """The others of many requests get there, too, before what hangs is cancelled."""
        n = case["upstream"]
        if isinstance(n, int) and n > 1:
            self.origin.upstream.wait(
                lambda: sum(m.complete for _, m in self.origin.of(source)) >= n, 5.0)

    def _goes_on(self, client, source):
        """Another request on the same connection, once there is room for it."""
        hanging = [s for s in client.streams.values() if not s.done][:3]
        busy, left = self.origin.active[source], self.origin.left[source]
        for s in hanging:
            client.cancel(s)
        if busy and hanging:
            self.origin.upstream.wait(lambda: self.origin.left[source] > left, 5.0)
        try:
            client.grants = True
            s = client.request(path=h2vectors.PROBE)
            if client.receive_window < 65536:
                client.grant(0, 65536)
            if s.receive_window < 1000:
                client.grant(s.number, 1000)
            status = client.take(s).status
            return [] if status == 200 else [f"the connection goes on with {status}"]
        except Ended as e:
            return [f"the connection does not go on: {e}"]

    def _upstream(self, case, source):
        seen = self.origin.of(source)
        wrong = h2vectors.judge_upstream(case, [m for _, m in seen], source)
        for conn, m in seen:
            must_end = case.get("cancelled") or not m.complete
            if must_end and not self.origin.upstream.wait(lambda c=conn: not c.open, 3.0):
                wrong.append(f"the upstream connection of {m!r} stays open")
        most = case.get("active_max", 100)
        if self.origin.active_max[source] > most:
            wrong.append(f"{self.origin.active_max[source]} requests at once, at most {most}")
        return wrong

    def _reasons(self, case, before):
        if "reason" not in case:
            return []
        names = case["reason"].split("|")

        def has_grown(_):
            now = self.counted()
            return any(now[n] > before[n] for n in names)

        if self.gateway.wait_metric(has_grown, 3.0):
            return []
        more = {k: v for k, v in (self.counted() - before).items() if not k.startswith("h2 ")}
        return [f"counted {more or 'no reason'}, want {case['reason']}"]
