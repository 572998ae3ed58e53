# SPDX-License-Identifier: Apache-2.0
"""Vectors by others, in $SLUICE_VECTORS. Judged by what reaches the upstream: refused means not
one complete message of it, forwarded means that every byte that arrives is a message under RFC
9112, which the recording upstream checks.
"""
import json
import os

from harness import session
from harness.upstream import echo

FOLDER = "SLUICE_VECTORS"


def no_row(_row):
    return False


class Run:
    """The rows of one file against one gateway; each client half-closes behind its bytes."""

    def __init__(self, t, name, whole):
        folder = os.environ.get(FOLDER) or os.path.join(t.root, "..", "shared", "vectors")
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            t.skip(f"no {name}: set {FOLDER} to the folder of the vectors by others")
        with open(path, encoding="utf-8") as f:
            self.rows = [json.loads(line) for line in f]
        self.t = t
        self.upstream = t.upstream(echo)
        self.gateway = t.gateway(self.upstream)
        self.sessions = []
        for i, row in enumerate(self.rows):
            pieces = [p.encode("latin-1") for p in row["parts"]]
            if whole:
                pieces = [b"".join(pieces)]
            first = b"".join(pieces).lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")
            self.sessions.append(session.Session(session.client_address(i), pieces, 1 << 30, "fin",
                                                 first))
        session.run(self.sessions, self.gateway.address)
        self.arrived = {}
        for m in self.upstream.messages:
            client = (m.get("x-forwarded-for") or "nobody").split(",")[-1].strip()
            self.arrived.setdefault(client, []).append(m)
        t.check(len(self.rows) > 100, "the file has too few rows")

    def judge(self, must_refuse, must_serve=no_row):
        for row, s in zip(self.rows, self.sessions):
            whole = [m for m in self.arrived.get(s.source, []) if m.complete]
            if s.problem:
                self.t.note(f"{row['id']}: {s.problem}")
            if must_refuse(row) and whole:
                self.t.note(f"{row['id']} ({row['note'][:60]}) must be refused, yet {whole[0]!r} arrived")
            if must_serve(row) and not whole:
                self.t.note(f"{row['id']} ({row['note'][:60]}) must be served, got "
                            f"{[m.status for m in s.reader.messages]}")
            answered = len(s.reader.messages)
            if len(whole) > answered:
                self.t.note(f"{row['id']}: {len(whole)} messages arrived, {answered} were answered")
        found = [row["id"] for row in self.rows if must_serve(row)]
        self.t.check(found or must_serve is no_row,
                     "no row of those that must be served is in the file")
        self.t.check("nobody" not in self.arrived, "messages without a client's address arrived")


def severe(row):
    return row["tier"] == "Severe"


def rejected(row):
    return row["exp"] == "reject"


# Of those that the corpus calls compliant; we are stricter with the others (codings, underscores,
# escaped controls).
SERVED = {f"desync/{n}+host"
          for n in ("rfc-compliant-0", "rfc-compliant-1", "rfc-compliant-2", "rfc-compliant-3",
                                       "rfc-compliant-6", "rfc-compliant-7",
                                       "uri-specific-test-cases-11")}


def served(row):
    return row["id"] in SERVED


def test_desync(t):
    Run(t, "desync.jsonl", whole=False).judge(severe, served)


def test_desync_in_one_piece(t):
    Run(t, "desync.jsonl", whole=True).judge(severe, served)


def test_llhttp(t):
    Run(t, "llhttp.jsonl", whole=False).judge(rejected)


def test_treqs(t):
    Run(t, "treqs.jsonl", whole=False).judge(no_row)
