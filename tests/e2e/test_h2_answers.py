# SPDX-License-Identifier: Apache-2.0
"""Every case of tests/vectors/h2_answers.jsonl: what an upstream says in HTTP/2, and what of it a
client of HTTP/1.1 and one of HTTP/2 may see. Their readers are strict; a message that is cut is
never whole.
"""
import json
import os

from harness.client import Client, Ended
from harness.gateway import ROOT
from harness.h2client import H2Client
from harness.h2script import AFTER, ScriptedUpstream
from harness.h2vectors import text
from harness.http1 import Malformed

PATH = os.path.join(ROOT, "tests", "vectors", "h2_answers.jsonl")
FIELDS = {"id", "note", "answer", "want", "hello", "method", "body", "has", "lacks", "trailers",
          "reason", "config"}
PATIENCE_S = 4
COUNTERS = ("gateway_rejected_requests_total", "upstream_errors_total")
ONLY = tuple(filter(None, os.environ.get("H2_CASES", "").split(",")))


def load():
    with open(PATH, encoding="ascii") as file:
        return [json.loads(line) for line in file]


class Seen:
    """What a client saw of an answer: its fate, and the message as far as it came."""

    def __init__(self, fate, message=None):
        self.fate = fate
        self.message = message

    def judge(self, case):
        """What of it should not be so."""
        if self.fate not in case["want"]:
            return [f"saw {self.fate}, want {' or '.join(case['want'])}"]
        if self.message is None or self.fate != "200":
            return []
        wrong, m = [], self.message
        if "body" in case and m.body != text(case["body"]):
            wrong.append(f"body {m.body[:60]!r}")
        for want in case.get("has", []):
            name, _, value = want.partition(": ")
            if m.get(name) != value:
                wrong.append(f"{name} is {m.get(name)!r}, want {value!r}")
        wrong += [f"has {name}" for name in case.get("lacks", []) if m.get(name) is not None]
        got = [[n.lower(), v] for n, v in m.trailers]
        if "trailers" in case and got != case["trailers"]:
            wrong.append(f"trailers {got}")
        return wrong


def see_h1(address, case):
    method = case.get("method", "GET")
    with Client(address, timeout_s=PATIENCE_S) as c:
        c.expect(method)
        c.send(f"{method} /x HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        try:
            m = c.take_head()
            try:
                c.pump_until(lambda: m.complete)
            except Ended as e:
                return Seen("nothing" if e.kind == "timeout" else "cut", m)
            return Seen(str(m.status), m)
        except Malformed as e:
            return Seen(f"malformed: {e}")
        except Ended as e:
            return Seen("nothing" if e.kind == "timeout" else "cut")


def see_h2(address, case):
    with H2Client(address, timeout_s=PATIENCE_S) as c:
        s = c.request(case.get("method", "GET"), "/x")
        c.wait(lambda: s.done)
        if c.violations:
            return Seen(f"malformed: {c.violations[0]}")
        if s.complete:
            return Seen(str(s.status), s)
        return Seen("cut" if s.rst else "nothing", s)


def counted(gateway):
    found = {}
    for (name, labels), value in gateway.metrics().samples.items():
        if name in COUNTERS:
            reason = dict(labels).get("reason")
            found[reason] = found.get(reason, 0) + value
    return found


def run_case(t, gateway, up, case, see):
    up.script = case["answer"]
    if "hello" in case:
        up.drop()
        gateway.wait_metric(lambda m: not m.sum("upstream_connections_idle"))
        up.hello = case["hello"]
    before = counted(gateway)
    wrong = see(gateway.address, case).judge(case)
    if "reason" in case:
        names = case["reason"].split("|")
        if not gateway.wait_metric(lambda _: any(counted(gateway).get(n, 0) > before.get(n, 0)
                                                 for n in names), 2.0):
            now = counted(gateway)
            more = [k for k, v in now.items() if v > before.get(k, 0)]
            wrong.append(f"counted {more or 'no reason'}, want {case['reason']}")
    up.hello = [{"settings": []}]
    with Client(gateway.address, timeout_s=PATIENCE_S) as c:
        for _ in range(2):
            r = c.ask("GET", AFTER)
            if (r.status, r.body) != (200, b"ok"):
                wrong.append(f"the next request is answered {r.status} {r.body[:80]!r}")
                break
    return wrong


def run_all(t, see):
    up = t.keep_upstream(ScriptedUpstream())
    config = {"workers": 1, "timeouts": {"response_head": "2s"}}
    listener = {"protocols": ["h2", "http/1.1"]}
    gateway = t.gateway(up, listener=listener, config=config)
    for case in load():
        if ONLY and not case["id"].startswith(ONLY):
            continue
        try:
            wrong = run_case(t, gateway, up, case, see)
        except (OSError, Ended) as e:
            wrong = [f"{type(e).__name__}: {e}"]
        if not gateway.running():
            said = [line for line in gateway.stderr_lines if line.startswith("assert")]
            wrong.append(f"the gateway died: {said}")
            gateway = t.gateway(up, listener=listener, config=config)
        for w in wrong:
            t.note(f"{case['id']} ({case['note']}): {w}")


def test_file_is_well_formed(t):
    cases = load()
    t.check(len(cases) >= 60, f"only {len(cases)} cases")
    seen = set()
    for c in cases:
        t.check(not set(c) - FIELDS and {"id", "note", "answer", "want"} <= set(c), f"{c}")
        t.check(c["id"] not in seen, f"{c['id']}: twice")
        seen.add(c["id"])


def test_towards_http_1(t):
    run_all(t, see_h1)


def test_towards_http_2(t):
    run_all(t, see_h2)


for _name, _fn in list(globals().items()):
    if _name.startswith("test_"):
        _fn.clear = True
