# SPDX-License-Identifier: Apache-2.0
"""User memory of a proxy: per idle connection, and with slow readers of a long body."""

import re
import select
import socket
import subprocess
import time
from dataclasses import dataclass

from . import process, proxies

REQUEST = b"GET %s HTTP/1.1\r\nHost: bench\r\n\r\n"
BATCH = 200
ANSWER_TIMEOUT_S = 10
SETTLE_S = 1.0
LONG_PATH = b"/104857600"
SIP_LEN = 16 * 1024


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


def _connect(port, n, path, receive_len=None):
    """n connections with one request sent on each."""
    found = []
    for _ in range(n):
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.append(one)
        if receive_len:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_len)
        one.settimeout(ANSWER_TIMEOUT_S)
        one.connect(("127.0.0.1", port))
        one.sendall(REQUEST % path)
        one.setblocking(False)
    return found


def _await_answers(socks):
    """How many of them got a whole 200 with its 128 bytes."""
    poll, got = select.poll(), {one.fileno(): b"" for one in socks}
    by_fd = {one.fileno(): one for one in socks}
    for fd in got:
        poll.register(fd, select.POLLIN)
    end, good = time.monotonic() + ANSWER_TIMEOUT_S, 0
    waiting = set(got)
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(200):
            data = by_fd[fd].recv(4096)
            got[fd] += data
            head, blank, body = got[fd].partition(b"\r\n\r\n")
            if not data or (blank and len(body) >= 128):
                poll.unregister(fd)
                waiting.discard(fd)
                good += bool(blank) and head.split()[1] == b"200"
    return good


def _measure(name, setup, use):
    """Starts origin and proxy, and lets 'use' fill in the rest of a Memory."""
    result = Memory()
    socks = []
    try:
        with proxies.origin(setup) as origin:
            proxies.wait_ready(origin, setup.origin_port)
            with proxies.proxy(name, setup) as proxy:
                proxies.wait_ready(proxy, setup.port)
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


def idle(name, setup, n):
    """
    n connections that have had one answer each and stay open. The first batch
    of them touches the code and the pools that any traffic needs.
    """
    def use(result, socks, read):
        while len(socks) < n:
            batch = _connect(setup.port, min(BATCH, n - len(socks)), b"/128")
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
    return _measure(name, setup, use)


def slow_readers(name, setup, n, seconds):
    """n clients of a 100 MiB body that take a sip each second; the peak counts."""
    def use(result, socks, read):
        while len(socks) < n:
            socks.extend(_connect(setup.port, min(BATCH, n - len(socks)), LONG_PATH, SIP_LEN))
        result.conns = n
        served = set()
        for _ in range(max(1, round(seconds))):
            time.sleep(1)
            for one in socks:
                try:
                    if one.recv(SIP_LEN):
                        served.add(one.fileno())
                except BlockingIOError:
                    pass
            rss, pss = read()
            result.rss, result.pss = max(result.rss, rss), max(result.pss, pss)
            result.queued = max(result.queued, _queued(setup))
        result.answered = len(served)
    return _measure(name, setup, use)
