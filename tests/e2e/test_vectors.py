# SPDX-License-Identifier: Apache-2.0
"""Every case of tests/vectors/h1.jsonl against the real program: in one piece, byte by byte, cut
at the boundaries of the head, with splice and without. The upstream records; the access log
and the counters are reconciled with what was sent.
"""
import collections
import threading
import zlib

from harness import session, vectors
from harness.client import request
from harness.upstream import response

BYTEWISE_MAX = 45000  # Longer inputs go byte by byte as far as this, then in one piece.
BOUNDARIES_MAX = 200  # As far as cuts are tried.
CUTS = 3              # Per case, unless GW_FULL asks for all.


def weight(w):
    def mark(fn):
        fn.weight = w
        return fn
    return mark


class Origin:
    """Plays each case's upstream part, finding the case by the client's address."""

    def __init__(self, case):
        self.scripts = {}
        self.seen = collections.defaultdict(list)  # address -> [(connection, message)]
        self.lock = threading.Lock()
        self.upstream = case.upstream(self.handle)

    def handle(self, conn, msg):
        client = (msg.get("x-forwarded-for") or "nobody").split(",")[-1].strip()
        with self.lock:
            self.seen[client].append((conn, msg))
        conn.read_body(msg)
        script = self.scripts.get(client)
        if script and msg.target != vectors.PROBE:
            self.play(conn, *script)
        else:
            body = msg.target.encode("latin-1")
            whole = response(200, body, [("X-Echo", client)])
            conn.send(whole[:-len(body)] if msg.method == "HEAD" else whole)

    @staticmethod
    def play(conn, data, then, pieces):
        conn.send(data, pieces)
        if then == "close":
            conn.close()
        elif then == "reset":
            conn.wait_sent()
            conn.reset()


def pieces_whole(data):
    return [[data]]


def pieces_bytewise(data):
    return [[data[i:i + 1] for i in range(min(len(data), BYTEWISE_MAX))] +
            ([data[BYTEWISE_MAX:]] if len(data) > BYTEWISE_MAX else [])]


def pieces_cut(data, full):
    """Two pieces, for every boundary of the head or for a few that differ from case to case."""
    end = data.find(b"\r\n\r\n")
    last = min(len(data) if end < 0 else end + 4, BOUNDARIES_MAX, len(data) - 1)
    places = list(range(1, last + 1))
    if not full and len(places) > CUTS:
        ends = [i for i in places if data[i - 1:i] in (b"\r", b"\n", b":", b" ")] or places
        seed = zlib.crc32(data)
        places = sorted({ends[seed % len(ends)], ends[(seed >> 8) % len(ends)],
                         places[(seed >> 16) % len(places)]})
    return [[data[:i], data[i:]] for i in places]


def listener_key(c):
    return repr(sorted(c.get("listener", {}).items()))


def first_method(data):
    return data.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")


class Batch:
    """All sessions of some cases against one gateway."""

    def __init__(self, case, cases, cut, splice, upstream_pieces):
        self.case = case
        self.origin = Origin(case)
        needs = cases[0].get("listener", {})
        config = {"timeouts": {"head": "60s", "body_idle": "60s",
                               "keepalive": "60s"}}  # 40,000 single bytes take a while.
        if "allowed_hosts" in needs:
            config["allowed_hosts"] = needs["allowed_hosts"]
        if "upgrades" in needs:
            config["upgrades"] = needs["upgrades"]
        self.gateway = case.gateway(
            self.origin.upstream, splice=splice, config=config,
            listener={"trusted_proxies": needs["trusted_proxies"]}
            if "trusted_proxies" in needs else {})
        self.sessions = []
        for c in cases:
            for pieces in cut(vectors.text(c["send"])):
                self.add(c, pieces, upstream_pieces)

    def add(self, c, pieces, upstream_pieces):
        source = session.client_address(len(self.sessions))
        n = (1 if c["status"] else 0) + len(c.get("next", []))
        probe = request(target=vectors.PROBE, host=self.host(c)) \
            if c["conn"] == "keep" and not (upstream_pieces and sends_excess(c)) else None
        s = session.Session(source, pieces, n, c.get("end"), first_method(b"".join(pieces)), probe,
                            wait_close=c["conn"] != "keep")
        if "upstream_sends" in c:
            self.origin.scripts[source] = (vectors.text(c["upstream_sends"]), c["then"],
                                           upstream_pieces)
        self.sessions.append(s)
        s.case = c

    @staticmethod
    def host(c):
        """One that the case's gateway serves."""
        return c.get("listener", {}).get("allowed_hosts", ["a"])[0]

    def run(self):
        session.run(self.sessions, self.gateway.address)
        for s in self.sessions:
            for wrong in self.judge(s):
                self.case.note(f"{s.case['id']} ({s.case['note']}; {len(s.pieces)} pieces): {wrong}")
        self.reconcile()

    def judge(self, s):
        if s.problem:
            return [s.problem]
        wrong = vectors.judge_answers(s.case, s.answers, s.ended, s.source)
        for m in s.reader.messages:
            if m.get("x-echo") not in (None, s.source):
                wrong.append(f"got the answer of {m.get('x-echo')}")
        if s.probe and [m.status for m in s.reader.messages[s.n_answers:]] != [200]:
            wrong.append(f"the connection was not kept: {s.reader.messages!r}")
        return wrong + self.judge_upstream(s)

    def judge_upstream(self, s):
        seen = [(c, m) for c, m in self.origin.seen.get(s.source, []) if m.target != vectors.PROBE]
        wrong = vectors.judge_upstream(s.case, [m for _, m in seen], s.source)
        for conn, m in seen:
            if not m.complete and not self.origin.upstream.wait(lambda c=conn: not c.open, 2.0):
                wrong.append("an upstream connection with half a request stays open")
        if s.case.get("upstream_conn") == "closed" and seen:
            if not self.origin.upstream.wait(lambda: not seen[0][0].open, 2.0):
                wrong.append("the upstream connection stays open")
        if s.case.get("upstream_conn") == "pooled" and seen and not self.kept(*seen[0]):
            wrong.append("the upstream connection was not kept")
        return wrong

    @staticmethod
    def kept(conn, msg):
        """Still open, or used again; another case may have spoilt it since."""
        return conn.open or conn.messages[-1] is not msg

    def reconcile(self):
        """One access-log line per answer, the reasons as they should be, and the same in the
        counters.
        """
        n_due = {s.source: len(s.reader.messages) or 1 for s in self.sessions
                 if not s.problem and s.case.get("end") != "reset"}
        lines = collections.defaultdict(list)
        # Lines of the others do not count: they would end the wait too early.
        for r in self.gateway.access(lambda r: r.get("client_ip") in n_due, sum(n_due.values())):
            lines[r.get("client_ip")].append(r)
        reasons = collections.Counter()
        for s in self.sessions:
            got = lines[s.source]
            want = s.case.get("reason")
            # A reset may destroy what was sent before it.
            if s.problem or s.case.get("end") == "reset":
                continue
            if len(got) != (len(s.reader.messages) or 1):
                self.case.note(f"{s.case['id']}: {len(got)} access-log lines for {len(s.reader.messages)} answers")
            hits = [r for r in got if want and r.get("reason") in want.split("|")]
            if want and not hits:
                self.case.note(f"{s.case['id']}: reason {[r.get('reason') for r in got]}, want {want}")
            reasons.update(r["reason"] for r in hits)
        metrics = self.gateway.metrics()
        for reason, n in reasons.items():
            got = metrics.sum("gateway_rejected_requests_total", reason=reason)
            if (got or 0) < n:
                self.case.note(f"gateway_rejected_requests_total{{reason={reason}}} is {got}, the log has {n}")


def sends_excess(c):
    """The upstream sends more than an answer. What of it comes late may meet the next request
    on that connection: nobody can tell it from an answer.
    """
    return c.get("upstream_conn") == "closed" and c.get("then") == "keep" and c["status"] < 500


def run_cases(case, cut, splice, select=lambda c: True, upstream_pieces=None):
    groups = collections.defaultdict(list)
    for c in vectors.load():
        if select(c):
            alone = c["id"] if upstream_pieces and sends_excess(c) else ""
            groups[listener_key(c), alone].append(c)
    for cases in groups.values():
        Batch(case, cases, cut, splice, upstream_pieces).run()


def responses(c):
    return "upstream_sends" in c


def requests(c):
    return "upstream_sends" not in c


def test_file_is_well_formed(t):
    cases = vectors.load()
    t.check(len(cases) >= 350, f"only {len(cases)} cases")
    for wrong in vectors.malformed(cases):
        t.note(wrong)


@weight(30)
def test_whole(t):
    run_cases(t, pieces_whole, splice=True)


@weight(30)
def test_whole_without_splice(t):
    run_cases(t, pieces_whole, splice=False)


@weight(90)
def test_bytewise(t):
    run_cases(t, pieces_bytewise, splice=True, select=requests)


@weight(90)
def test_bytewise_without_splice(t):
    run_cases(t, pieces_bytewise, splice=False, select=requests)


@weight(80)
def test_cut(t):
    run_cases(t, lambda d: pieces_cut(d, t.full), splice=True, select=requests)


@weight(80)
def test_cut_without_splice(t):
    run_cases(t, lambda d: pieces_cut(d, t.full), splice=False, select=requests)


@weight(40)
def test_answers_bytewise(t):
    run_cases(t, pieces_whole, splice=True, select=responses, upstream_pieces=1)


@weight(40)
def test_answers_bytewise_without_splice(t):
    run_cases(t, pieces_whole, splice=False, select=responses, upstream_pieces=1)


@weight(40)
def test_answers_in_threes(t):
    run_cases(t, pieces_bytewise, splice=True, select=responses, upstream_pieces=3)
