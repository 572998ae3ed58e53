# SPDX-License-Identifier: Apache-2.0
"""Every case of tests/vectors/h2.jsonl against the real program: as written, byte by byte, with
Huffman coding and the dynamic table, and over TLS. The upstream records; after each case the
connection must go on or end as it should, and the counters must tell the reason.
"""
import collections
import os

from harness import h2vectors
from harness.h2stage import Stage

ONLY = tuple(filter(None, os.environ.get("H2_CASES", "").split(",")))  # Ids or rows: these alone.
BYTEWISE_MAX = 1500  # Longer cases are not sent byte by byte.


def weight(w):
    def mark(fn):
        fn.weight = w
        return fn
    return mark


def run_cases(t, select=lambda c: True, tls=False, **how):
    groups = collections.defaultdict(list)
    for c in h2vectors.load():
        if select(c) and (tls or "tls" not in c) and (not ONLY or c["id"].startswith(ONLY)):
            groups[repr(c.get("config"))].append(c)
    for cases in groups.values():
        stage = Stage(t, cases[0].get("config", {}), tls)
        for c in cases:
            for wrong in stage.run(c, **how):
                t.note(f"{c['id']} ({c['note']}): {wrong}")


def is_flood(c):
    return any(s.get("repeat", 0) >= 300 for s in c["send"])


def is_short(c):
    return not is_flood(c) and len(repr(c["send"])) < BYTEWISE_MAX and "config" not in c


def test_file_is_well_formed(t):
    cases = h2vectors.load()
    t.check(len(cases) >= 200, f"only {len(cases)} cases")
    rows = {c["row"] for c in cases}
    missing = [n for n in map(str, range(201, 232)) if n not in rows]
    t.check(not missing, f"no case of rows {missing}")
    for wrong in h2vectors.malformed(cases):
        t.note(wrong)


@weight(60)
def test_as_written(t):
    run_cases(t, lambda c: not is_flood(c))


@weight(60)
def test_floods(t):
    run_cases(t, is_flood)


@weight(50)
def test_byte_by_byte(t):
    run_cases(t, is_short, pieces=1)


@weight(40)
def test_huffman_and_indexed(t):
    run_cases(t, is_short, huffman=True)


@weight(60)
def test_over_tls(t):
    run_cases(t, lambda c: not is_flood(c), tls=True)


for _name, _fn in list(globals().items()):
    if _name.startswith("test_"):
        _fn.clear = True  # They choose themselves where TLS is.
