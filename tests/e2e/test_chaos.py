# SPDX-License-Identifier: Apache-2.0
"""Load with upstreams that misbehave at random and are killed and restarted: no answer is mixed
up, none is taken for whole that was cut, every failure has its status and its reason.
"""
import collections
import random
import re
import threading
import time

from harness.client import Client, Ended
from harness.upstream import response

SHARE = 0.2  # Of requests that meet misbehaviour.


def marked(nonce, size):
    """A body in which every part says whose it is."""
    unit = f"[{nonce}]".encode()
    return (unit * (size // len(unit) + 1))[:size]


class Chaos:
    """Misbehaves in SHARE of the requests, each time in another way."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        self.pause = threading.Event()

    def handle(self, conn, msg):
        with self.lock:
            dice, way = self.rng.random(), self.rng.randrange(8)
            size = self.rng.choice([0, 10, 1000, 20000, 70000, 300000])
        nonce = msg.get("x-nonce")
        body = marked(nonce, size)
        fields = [("X-Nonce", nonce), ("X-Size", str(size))]
        if dice >= SHARE:
            conn.read_body(msg)
            if way < 4:
                conn.send(response(200, body, fields))
            else:
                conn.send(f"HTTP/1.1 200 OK\r\nX-Nonce: {nonce}\r\nX-Size: {size}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
                for at in range(0, size, 9001):
                    piece = body[at:at + 9001]
                    conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                conn.send(b"0\r\n\r\n")
            return
        self.misbehave(conn, msg, way, fields, body)

    def misbehave(self, conn, msg, way, fields, body):
        if way == 0:
            conn.reset()
        elif way == 1:
            conn.read_body(msg)
            conn.close()
        elif way == 2:
            conn.read_body(msg)
            conn.send(response(200, body + b"rest that never comes", fields)[:-15])
            conn.close()
        elif way == 3:
            conn.read_body(msg)
            conn.send(response(200, body + b"rest that never comes", fields)[:-15])
            conn.reset()
        elif way == 4:
            conn.read_body(msg)
            # In the segment of the last byte; poison that comes later nobody could tell from an
            # answer.
            whole = response(200, body, fields)
            conn.send(whole[:-1])
            conn.send(whole[-1:] + response(200, b"[poison]"))
        elif way == 5:
            conn.read_body(msg)
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc")
        elif way == 6:
            conn.read_body(msg)
            self.pause.wait(0.1)
            conn.send(response(200, body, fields))
            conn.close()
        else:
            conn.send(response(200, body, fields + [("Connection", "close")]))
            conn.close()


class Load:
    """Clients that ask without end and check what they get."""

    def __init__(self, gateway, seconds):
        self.gateway = gateway
        self.until = time.monotonic() + seconds
        self.seen = collections.Counter()
        self.wrong = []
        self.lock = threading.Lock()

    def run(self, n):
        threads = [threading.Thread(target=self.client, args=(k,)) for k in range(n)]
        for th in threads:
            th.start()
        return threads

    def client(self, k):
        rng, i, c = random.Random(k), 0, None
        while time.monotonic() < self.until:
            i += 1
            c = c or Client(self.gateway.address)
            try:
                what = self.one(c, rng, f"n{k}x{i}")
            except Ended:
                what = "cut"
            except Exception as e:  # A thread that dies unseen leaves a log line without its request.
                what = repr(e)
            with self.lock:
                self.seen[what] += 1
            if c.ended or what == "cut":
                c.close()
                c = None
        if c:
            c.close()

    def one(self, c, rng, nonce):
        method = rng.choice(["GET", "GET", "POST", "PUT"])
        body = b"b" * rng.choice([1, 100, 40000]) if method != "GET" else b""
        r = c.ask(method, f"/{nonce}", [("X-Nonce", nonce)], body)
        if "close" in (r.get("connection") or ""):
            c.ended = "fin"
        if r.status == 200:
            if r.get("x-nonce") != nonce or r.body != marked(nonce, int(r.get("x-size"))):
                self.wrong.append((nonce, r.get("x-nonce"), r.body[:40]))
                return "wrong"
        return str(r.status)


def chaos(t, splice, seconds, restarts=False):
    sources = [Chaos(seed) for seed in (1, 2, 3)]
    ups = [t.upstream(s.handle) for s in sources]
    g = t.gateway(*ups, splice=splice,
                  config={"timeouts": {"response_head": "3s", "body_idle": "3s"}})
    load = Load(g, seconds)
    threads = load.run(12)
    pause = threading.Event()
    while restarts and time.monotonic() < load.until - 1:
        victim = ups.pop(0)
        victim.stop()
        pause.wait(0.3)
        ups.append(reborn(t, sources[0], victim.port))
        sources.append(sources.pop(0))
    for th in threads:
        th.join(seconds + 30)
    # One that still asks would add a line to the log behind the count.
    t.check(not any(th.is_alive() for th in threads), "a client does not end")
    t.equal(load.wrong[:3], [], "answers that are not their request's")
    t.check(set(load.seen) <= {"200", "502", "503", "504", "cut"}, f"seen {dict(load.seen)}")
    t.check(load.seen["200"] > 50 and load.seen["502"] > 0 and load.seen["cut"] > 0,
            f"seen {dict(load.seen)}; the test is void")
    judge_log(t, g, load)


def reborn(t, source, port):
    """A killed upstream comes back on its port."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return t.upstream(source.handle, port=port)
        except OSError:
            if time.monotonic() > deadline:
                raise


def judge_log(t, g, load):
    total = sum(load.seen.values())
    lines = g.access(n=total)
    paths = collections.Counter(r["path"] for r in lines)
    odd = [r for r in lines if paths[r["path"]] > 1 or not re.fullmatch(r"/n\d+x\d+", r["path"])]
    t.equal(odd[:3], [], "lines that stand twice, or for what nobody asked")
    t.equal(len(lines), total, "access-log lines for requests")
    for r in lines:
        if r["status"] >= 500 and not r.get("reason"):
            t.check(False, f"a failure without its reason: {r}")
    for status in ("502", "503", "504"):
        t.equal(len([r for r in lines if str(r["status"]) == status]), load.seen[status],
                f"lines with {status}")


def test_chaos(t):
    chaos(t, True, 30 if t.full else 5)


def test_chaos_without_splice(t):
    chaos(t, False, 30 if t.full else 5)


def test_upstreams_killed_and_restarted(t):
    chaos(t, True, 30 if t.full else 6, restarts=True)


for _fn in (test_chaos, test_chaos_without_splice, test_upstreams_killed_and_restarted):
    _fn.weight = 25
