# SPDX-License-Identifier: Apache-2.0
"""User memory of a proxy: per idle connection of each kind, and with slow readers of a long body."""

import re
import select
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass

from . import h2, process, proxies

BATCH = 200
ANSWER_TIMEOUT_S = 10
SETTLE_S = 1.0
LONG_PATH = b"/104857600"
SIP_LEN = 16 * 1024
KINDS = ("clear", "tls", "h2c", "h2")  # What the clients of a row speak.
READERS = ("clear", "h2c")
BOMBED = ("h2c",)
BOMB_FIELDS = (30000, 10000)  # The vectors of row 225; and what limits of size let through.
BOMB_S, BOMB_SETTLE_S = 10, 3


@dataclass
class Memory:
    """Bytes: with the first few connections, with all, and the difference for each more."""
    base_conns: int = 0
    part_conns: int = 0  # About a quarter of all.
    conns: int = 0
    answered: int = 0
    base_pss: int = 0
    part_pss: int = 0
    pss: int = 0
    rss: int = 0
    queued: int = 0  # Bytes in the kernel's queues of the proxy's sockets.
    failure: str = None

    @property
    def each(self):
        return (self.pss - self.base_pss) / max(1, self.conns - self.base_conns)

    @property
    def each_later(self):
        """Of the last three quarters, when no pool is touched for the first time."""
        if not self.part_conns:
            return None
        return (self.pss - self.part_pss) / (self.conns - self.part_conns)


def _queued(setup):
    """What the kernel holds for the proxy's sockets, to the clients and to the origin, in bytes."""
    total = 0
    for which in (f"sport = :{setup.port}", f"dport = :{setup.origin_port}"):
        listed = subprocess.run(["ss", "-tmOH", "state", "established", f"( {which} )"],
                                capture_output=True, text=True, timeout=30, check=True).stdout
        for received, queued in re.findall(r"skmem:\(r(\d+),.*?,w(\d+)", listed):
            total += int(received) + int(queued)
    return total


class Http1:
    """The answer to one request on a connection."""

    def __init__(self):
        self.got = b""
        self.n_body = 0

    @staticmethod
    def request(path, _):
        return b"GET %s HTTP/1.1\r\nHost: bench\r\n\r\n" % path

    def feed(self, data):
        if len(self.got) < 4096:
            self.got += data
        head, blank, body = self.got.partition(b"\r\n\r\n")
        self.n_body += len(data) if self.n_body else len(body) if blank else 0
        return b""

    def is_good(self):
        return self.n_body >= 128 and self.got.split()[1] == b"200"


class Http2(h2.Answer):
    """The same on stream 1; what is read is granted anew."""

    @staticmethod
    def request(path, tls):
        return h2.request(path, tls)

    def feed(self, data):
        before = self.n_body
        replies = super().feed(data)
        if self.n_body > before and not self.is_whole:
            more = (self.n_body - before).to_bytes(4, "big")
            replies += h2.frame(h2.WINDOW_UPDATE, 0, 0, more)
            replies += h2.frame(h2.WINDOW_UPDATE, 0, 1, more)
        return replies

    def is_good(self):
        return self.n_body >= 128 and self.status == 200


class Client:
    """A connection with one request sent on it."""

    def __init__(self, setup, path, context, receive_len=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receive_len:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_len)
            sock.settimeout(ANSWER_TIMEOUT_S)
            sock.connect(("127.0.0.1", setup.port))
            if context:
                sock = context.wrap_socket(sock)
            self.answer = Http2() if setup.h2 else Http1()
            sock.sendall(self.answer.request(path, setup.tls))
        except BaseException:
            sock.close()
            raise
        sock.setblocking(False)
        self.sock = sock
        self.has_ended = False

    def fileno(self):
        return self.sock.fileno()

    def sip(self, n):
        """How much of at most n bytes there was."""
        try:
            data = self.sock.recv(n)
        except (BlockingIOError, ssl.SSLWantReadError):
            return 0
        self.has_ended = not data
        replies = self.answer.feed(data)
        if replies:
            self.sock.send(replies)
        return len(data)

    def close(self):
        self.sock.close()


def _connect(setup, n, path, receive_len=None):
    context = None
    if setup.tls:
        context = proxies.trusting("h2" if setup.h2 else "http/1.1")
    return [Client(setup, path, context, receive_len) for _ in range(n)]


def _await_answers(clients):
    """How many of them got a whole 200 with its 128 bytes."""
    poll, waiting = select.poll(), {one.fileno(): one for one in clients}
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    end, good = time.monotonic() + ANSWER_TIMEOUT_S, 0
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(200):
            one = waiting[fd]
            while one.sip(4096) and not one.answer.is_good():
                pass
            if one.has_ended or one.answer.is_good():
                poll.unregister(fd)
                del waiting[fd]
                good += one.answer.is_good()
    return good


def _measure(name, setup, kind, use):
    """Starts origin and proxy, and lets 'use' fill in the rest of a Memory."""
    result = Memory()
    socks = []
    setup.speak(kind in ("tls", "h2"), kind in ("h2c", "h2"))
    try:
        with proxies.origin(setup) as origin:
            proxies.wait_origin(origin, setup)
            with proxies.proxy(name, setup) as proxy:
                proxies.wait_proxy(proxy, setup)
                time.sleep(SETTLE_S)
                result.base_pss = process.memory_bytes(process.tree(proxy.pid))[1]
                use(result, socks, lambda: process.memory_bytes(process.tree(proxy.pid)))
                for one in socks:
                    one.close()
                socks.clear()
    except (process.Failure, OSError, ValueError) as error:
        result.failure = str(error)
    finally:
        for one in socks:
            one.close()
    return result


def idle(name, setup, n, kind):
    """
    n connections that have had one answer each and stay open. The first batch
    of them touches the code and the pools that any traffic needs.
    """
    def use(result, socks, read):
        while len(socks) < n:
            batch = _connect(setup, min(BATCH, n - len(socks)), b"/128")
            socks.extend(batch)
            result.answered += _await_answers(batch)
            if len(socks) == BATCH:
                time.sleep(SETTLE_S)
                result.base_conns, result.base_pss = BATCH, read()[1]
            elif len(socks) == n // 4 // BATCH * BATCH:
                time.sleep(SETTLE_S)
                result.part_conns, result.part_pss = len(socks), read()[1]
        time.sleep(SETTLE_S)
        result.conns = n
        result.rss, result.pss = read()
    return _measure(name, setup, kind, use)


class Bomber:
    """A connection that sends a bomb and reads what comes, as far as the proxy lets it."""

    def __init__(self, setup, n_fields):
        self.left = memoryview(h2.bomb(b"/128", n_fields))
        self.has_heard = False
        self.sock = socket.create_connection(("127.0.0.1", setup.port), ANSWER_TIMEOUT_S)
        self.sock.setblocking(False)

    def go_on(self):
        """The proxy may have ended it: then there is nothing more to do."""
        try:
            while self.sock.recv(65536):
                self.has_heard = True
            self.left = self.left[:0]
        except BlockingIOError:
            pass
        except OSError:
            self.has_heard, self.left = True, self.left[:0]
        try:
            while self.left:
                self.left = self.left[self.sock.send(self.left):]
        except BlockingIOError:
            pass
        except OSError:
            self.left = self.left[:0]

    def close(self):
        self.sock.close()


def _explode(socks, read):
    """The peak until all of them have sent what the proxy takes, and somewhat later."""
    peak, end = read(), time.monotonic() + BOMB_S
    while time.monotonic() < end and any(one.left for one in socks):
        for one in socks:
            one.go_on()
        peak = max(peak, read(), key=lambda both: both[1])
        time.sleep(0.02)
    for _ in range(BOMB_SETTLE_S):
        time.sleep(1)
        for one in socks:
            one.go_on()
        peak = max(peak, read(), key=lambda both: both[1])
    return peak


def bombed(name, setup, n, n_fields, kind):
    """n connections that each send the bomb, behind one that did; the peak counts."""
    def use(result, socks, read):
        socks.append(Bomber(setup, n_fields))
        result.base_conns = 1
        result.base_pss = _explode(socks, read)[1]
        socks.extend(Bomber(setup, n_fields) for _ in range(n))
        result.conns = n + 1
        result.rss, result.pss = _explode(socks, read)
        result.answered = sum(one.has_heard for one in socks)
    return _measure(name, setup, kind, use)


def slow_readers(name, setup, n, seconds, kind):
    """n clients of a 100 MiB body that take a sip each second; the peak counts."""
    def use(result, socks, read):
        while len(socks) < n:
            socks.extend(_connect(setup, min(BATCH, n - len(socks)), LONG_PATH, SIP_LEN))
        result.conns = n
        served = set()
        for _ in range(max(1, round(seconds))):
            time.sleep(1)
            for one in socks:
                if one.sip(SIP_LEN):
                    served.add(one.fileno())
            rss, pss = read()
            result.rss, result.pss = max(result.rss, rss), max(result.pss, pss)
            result.queued = max(result.queued, _queued(setup))
        result.answered = len(served)
    return _measure(name, setup, kind, use)
