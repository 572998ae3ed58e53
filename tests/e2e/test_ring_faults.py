# SPDX-License-Identifier: Apache-2.0
"""Everyday work while the ring misbehaves as kernels may: short counts, EAGAIN, EINTR, ENOBUFS,
ECANCELED, multishots that end early. SLUICE_FAULTS=SEED switches it on; the
seed of a failure is in its message.
"""
import hashlib

from harness.client import Ended, chunked, request
from harness.http1 import Malformed
from harness.upstream import response
from test_bodies import SIZES, pattern, sized

SEEDS = (1, 2, 3)
SEEDS_FULL = range(1, 21)


def each_seed(t, work):
    for seed in SEEDS_FULL if t.full else SEEDS:
        for splice in (True, False):
            try:
                work(seed, splice)
            except (AssertionError, OSError, Malformed, Ended) as e:
                t.note(f"SLUICE_FAULTS={seed} splice={splice}: {e}")


def faulty(t, u, seed, splice):
    return t.gateway(u, splice=splice, env={"SLUICE_FAULTS": str(seed)})


def test_downloads(t):
    u = t.upstream(sized)

    def work(seed, splice):
        c = t.client(faulty(t, u, seed, splice), timeout_s=20)
        for size in SIZES:
            for kind in ("length", "chunked", "eof"):
                r = c.ask("GET", f"/{kind}/{size}")
                t.equal((r.status, r.digest), (200, hashlib.sha256(pattern(size)).hexdigest()),
                        f"{kind} of {size}")

    each_seed(t, work)


def test_uploads(t):
    u = t.upstream(lambda conn,
                   msg: (conn.read_body(msg), conn.send(response(200, msg.digest.encode()))))

    def work(seed, splice):
        c = t.client(faulty(t, u, seed, splice), timeout_s=20)
        for size in SIZES[1:]:
            body = pattern(size, 2)
            want = hashlib.sha256(body).hexdigest().encode()
            t.equal(c.ask("PUT", f"/{size}", body=body).body, want, f"upload of {size}")
            c.expect("POST")
            pieces = [p for p in (body[:size // 2], body[size // 2:]) if p]
            c.send(request("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(pieces))
            t.equal(c.take().body, want, f"chunked upload of {size}")

    each_seed(t, work)


def test_small_requests(t):
    u = t.upstream()

    def work(seed, splice):
        g = faulty(t, u, seed, splice)
        clients = [t.client(g, timeout_s=20) for _ in range(10)]
        for i in range(30):
            for k, c in enumerate(clients):
                c.expect("GET")
                c.send(request("GET", f"/{k}/{i}", [("X-Nonce", f"{k}.{i}")]))
            for k, c in enumerate(clients):
                r = c.take()
                t.equal((r.status, r.get("x-nonce")), (200, f"{k}.{i}"),
                        f"answer {i} of client {k}")
        t.check(g.wait_metric(lambda m: m.sum("gateway_uring_nobufs_total") > 0),
                "no fault happened; the test is void")

    each_seed(t, work)


for _fn in (test_downloads, test_uploads, test_small_requests):
    _fn.weight = 35
