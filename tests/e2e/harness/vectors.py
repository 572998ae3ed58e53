# SPDX-License-Identifier: Apache-2.0
"""The vector file: reading it, checking its form, and judging what a session of a case came to."""
import json
import os

from . import certs
from .gateway import ROOT

PATH = os.path.join(ROOT, "tests", "vectors", "h1.jsonl")
FIELDS = {"id", "row", "note", "send", "end", "listener", "upstream_sends", "then", "status",
          "next",
          "conn", "reason", "upstream", "upstream_requests", "upstream_conn", "forward",
          "forward_next", "reply", "pure", "phase"}
NEEDED = {"id", "row", "note", "send", "status", "conn", "upstream"}
PROBE = "/probe-of-the-runner"
# An https target is served over TLS, the protocol is https, and a preface of HTTP/2 is answered by
# nothing (row 231).
CLEAR_ONLY = {"L27f", "F17a", "F17b", "D25a", "D25b", "D25c", "D25d", "L12a", "L12b", "X11b"}


def text(value):
    """The bytes of a text: a string, or a list of strings and repeats."""
    parts = value if isinstance(value, list) else [value]
    return b"".join(p.encode("latin-1") if isinstance(p, str) else
                    p["repeat"].encode("latin-1") * p["times"] for p in parts)


def load(path=PATH):
    with open(path, encoding="ascii") as f:
        cases = [json.loads(line) for line in f]
    return [c for c in cases if not certs.EVERYWHERE or c["id"] not in CLEAR_ONLY]


def malformed(cases):
    """What is wrong with the file's form."""
    wrong, seen = [], set()
    for c in cases:
        name = c.get("id", "?")
        if name in seen:
            wrong.append(f"{name}: twice")
        seen.add(name)
        if set(c) - FIELDS or NEEDED - set(c):
            wrong.append(f"{name}: fields {sorted(set(c) - FIELDS)} unknown, {sorted(NEEDED - set(c))} missing")
            continue
        if not name.startswith(c["row"]) or not name[len(c["row"]):].isalpha():
            wrong.append(f"{name}: id and row {c['row']} differ")
        if c["conn"] not in ("keep", "close", "none") or c["upstream"] not in ("none", "complete",
                                                                               "aborted"):
            wrong.append(f"{name}: conn or upstream")
        if (c["status"] == 0) != (c["conn"] == "none"):
            wrong.append(f"{name}: status 0 and conn none belong together")
        if ("forward" in c or "upstream_requests" in c) and c["upstream"] != "complete":
            wrong.append(f"{name}: forwarded, yet upstream is {c['upstream']}")
        if c.get("pure") and c.get("phase") not in ("head", "body", "response"):
            wrong.append(f"{name}: pure without a phase")
        if ("upstream_sends" in c) != c["row"].startswith("U"):
            wrong.append(f"{name}: upstream_sends belongs to rows U, and only there")
        text(c["send"])
        text(c.get("upstream_sends", ""))
    return wrong


def _field_facts(msg, facts, client, what):
    wrong = []
    for want in facts.get("has", []):
        name, colon, value = want.partition(": ")
        got = msg.get(name)
        if got is None or (colon and got != value.replace("$client", client)):
            wrong.append(f"{what} should have {want[:80]!r}, has {str(got)[:80]!r}")
    for want in facts.get("lacks", []):
        name, colon, value = want.partition(": ")
        got = msg.get(name)
        trailer = [v for n, v in msg.trailers if n.lower() == name.lower()]
        if (not colon and got is not None) or (colon and (got == value or value in trailer)):
            wrong.append(f"{what} should lack {want[:80]!r}")
    return wrong


def judge_forward(msg, facts, client):
    """What of the message at the upstream is not as it should be."""
    wrong = _field_facts(msg, facts, client, "the forwarded request")
    for name, got in (("method", msg.method), ("target", msg.target), ("host", msg.get("host"))):
        if name in facts and got.encode("latin-1") != text(facts[name]):
            wrong.append(f"forwarded {name} {got[:80]!r}, want {facts[name]!r}")
    if "body" in facts and msg.body != text(facts["body"]):
        wrong.append(f"forwarded body {msg.body[:60]!r}, want {str(facts['body'])[:60]!r}")
    return wrong


def judge_reply(msg, case, client):
    """What of the first answer at the client is not as it should be."""
    facts = case.get("reply", {})
    wrong = _field_facts(msg, facts, client, "the reply")
    if "body" in facts and msg.body != text(facts["body"]):
        wrong.append(f"reply body {msg.body[:60]!r}, want {facts['body']!r}")
    if "complete" in facts and msg.complete != facts["complete"]:
        wrong.append(f"reply complete={msg.complete}, want {facts['complete']}")
    if facts.get("interim") == "none" and msg.interim:
        wrong.append(f"interim responses {msg.interim}")
    return wrong


def judge_upstream(case, messages, client):
    """What of the messages that reached the upstream for a case, the probe left out, should not
    be so.
    """
    whole = [m for m in messages if m.complete]
    want = case.get("upstream_requests", 1 if case["upstream"] == "complete" else 0)
    if case["upstream"] == "none" and messages:
        return [f"reached the upstream: {messages[0]!r}"]
    if len(whole) != want:
        return [f"{len(whole)} complete messages reached the upstream, want {want}: {whole[:3]!r}"]
    wrong = []
    facts = ([case["forward"]] if "forward" in case else [{}]) + case.get("forward_next", [])
    for msg, f in zip(whole, facts):
        wrong += judge_forward(msg, f, client)
    return wrong


def judge_answers(case, answers, ended, client):
    """What of the answers the client got is not as it should be; the probe's answer is left out."""
    want = ([case["status"]] if case["status"] else []) + case.get("next", [])
    got = [m.status for m in answers]
    if got != want:
        return [f"answers {got}, want {want}: {[m.body[:80] for m in answers if m.status >= 400]}"]
    if not answers:
        return []
    wrong = judge_reply(answers[0], case, client)
    truncated = case.get("reply", {}).get("complete") is False
    if case["conn"] == "close" and not truncated:
        if "close" not in (answers[-1].get("connection") or "").lower():
            wrong.append("the last answer lacks Connection: close")
    if case["conn"] == "close" and ended is None:
        wrong.append("the connection was not closed")
    for m in answers[:-1]:
        if "close" in (m.get("connection") or "").lower():
            wrong.append(f"an answer before the last says close ({m.status})")
    return wrong
