# SPDX-License-Identifier: Apache-2.0
"""Scenarios, and one run of one: load, CPU and requests over one window."""

import math
import os
import re
import shutil
import time
from dataclasses import dataclass, field

from . import process, proxies

MARGIN_S = 2  # Load goes on so long after the window, so that the window is full.
END_TIMEOUT_S = 20
MIN_CPU_S = 0.2  # Twenty ticks of the clock that /proc counts in: 5 %.


@dataclass
class Scenario:
    """One kind of traffic: a load generator, a path, a number of connections."""
    name: str
    text: str
    path: str
    conns: int
    tool: str = "wrk"
    extra: tuple = ()
    target: float = 0.0  # Of the design, against the better peer; 0: none.
    warm_s: float = 1.0
    tls: bool = False
    streams: int = 0  # At once on each connection, over HTTP/2; 0: HTTP/1.1.
    up: str = None  # "h1" or "h2": what the proxy speaks to nginx as the origin; None: perf/origin.
    beside: str = None  # The scenario that --paired runs in the same rounds, to compare with.

    @property
    def h2(self):
        return self.streams > 0

    def missing_tool(self):
        """A program that it needs and is not here, or None."""
        needed = (self.tool, "nginx") if self.up else (self.tool,)
        return next((program for program in needed if not shutil.which(program)), None)

    def tell(self, setup):
        """What is spoken on both sides of the next proxy."""
        setup.speak(self.tls, self.h2, self.up)


def _close_script():
    return ("-s", os.path.join(proxies.PERF, "peers", "close.lua"))


def _upload_script(tail):
    return ("-s", os.path.join(proxies.PERF, "peers", "upload.lua"), tail)


MIB = 1024 * 1024

SCENARIOS = {s.name: s for s in (
    Scenario("small-64", "GET 128 B, 64 connections", "/128", 64, target=0.75),
    Scenario("small-64-h2load", "the same, by h2load", "/128", 64, "h2load", target=0.75),
    Scenario("small-1000", "GET 128 B, 1,000 connections", "/128", 1000, target=0.65),
    Scenario("small-8000", "GET 128 B, 8,000 connections", "/128", 8000, target=0.65, warm_s=4.0),
    Scenario("down-16k", "GET 16 KiB, 64 connections", "/16384", 64, target=0.75),
    Scenario("down-64k", "GET 64 KiB, 64 connections", "/65536", 64, target=0.65),
    Scenario("down-1m", "GET 1 MiB, 16 connections", f"/{MIB}", 16, target=0.65),
    Scenario("up-16k", "POST 16 KiB, 64 connections", "/upload", 64,
             extra=("upload", 16384), target=0.75),
    Scenario("up-1m", "POST 1 MiB, 16 connections", "/upload", 16,
             extra=("upload", MIB), target=0.65),
    Scenario("close", "GET 128 B, a connection each, 64 at once", "/128", 64,
             extra=("close",), target=0.8),
    Scenario("tls-small-64", "GET 128 B over TLS, 64 connections", "/128", 64, target=0.85,
             tls=True),
    Scenario("tls-64k", "GET 64 KiB over TLS, 64 connections", "/65536", 64, tls=True),
    Scenario("tls-close", "GET 128 B, a TLS handshake each, 64 at once", "/128", 64,
             extra=("close",), target=1.0, tls=True),
    Scenario("h2c-small", "GET 128 B over HTTP/2 in clear, 16 connections x 32 streams", "/128", 16,
             "h2load", target=0.6, streams=32),
    Scenario("h2-small", "GET 128 B over HTTP/2 and TLS, 16 connections x 32 streams", "/128", 16,
             "h2load", target=0.6, tls=True, streams=32),
    Scenario("h2c-64k", "GET 64 KiB over HTTP/2 in clear, 16 connections x 4 streams", "/65536",
             16, "h2load", streams=4),
    Scenario("h2-64k", "GET 64 KiB over HTTP/2 and TLS, 16 connections x 4 streams", "/65536",
             16, "h2load", tls=True, streams=4),
    Scenario("h2c-up-h1", "h2c-small with nginx as the origin, asked in HTTP/1.1", "/128", 16,
             "h2load", streams=32, up="h1"),
    Scenario("h2c-up-h2", "h2c-small with the same nginx, asked in HTTP/2 in clear on a port of its "
             "own", "/128", 16, "h2load", streams=32, up="h2", beside="h2c-up-h1"),
    Scenario("close-ab", "the same, by ab (HTTP/1.0)", "/128", 64, "ab", target=0.8),
)}


@dataclass
class Result:
    """What one run showed. 'errors' names every kind that occurred, with its count."""
    cpu_us: float = 0.0
    rps: float = 0.0
    reuse: float = 0.0
    p50_ms: float = None
    p99_ms: float = None
    errors: dict = field(default_factory=dict)
    is_coarse: bool = False  # So little CPU time that a tick of its clock counts.
    failure: str = None


def command(scenario, port, seconds):
    url = f"http{'s' if scenario.tls else ''}://127.0.0.1:{port}{scenario.path}"
    length = str(math.ceil(seconds))
    if scenario.tool == "h2load":
        protocol = [f"-m{scenario.streams}"] if scenario.h2 else ["--h1"]
        return ["h2load", *protocol, "-t1", f"-c{scenario.conns}", "-D", length, url]
    if scenario.tool == "ab":
        return ["ab", "-q", "-r", "-c", str(scenario.conns), "-t", length, "-n", "100000000", url]
    extra, tail = (), ()
    if scenario.extra[:1] == ("close",):
        extra = _close_script()
    elif scenario.extra[:1] == ("upload",):
        *extra, size = _upload_script(str(scenario.extra[1]))
        tail = ("--", size)
    return ["wrk", "-t1", f"-c{scenario.conns}", f"-d{length}s", "--latency", "--timeout", "10s",
            *extra, url, *tail]


def _ms(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def wrk_report(text, result):
    for name, percent in (("p50_ms", "50%"), ("p99_ms", "99%")):
        found = re.search(rf"^\s+{percent}\s+([\d.]+\w+)", text, re.M)
        if found:
            setattr(result, name, _ms(found.group(1)))
    found = re.search(r"Socket errors: (.*)", text)
    if found:
        for kind, count in re.findall(r"(\w+) (\d+)", found.group(1)):
            result.errors[kind] = int(count)
    found = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if found:
        result.errors["not 2xx"] = int(found.group(1))
    if not re.search(r"\d+ requests in ", text):
        raise process.Failure(f"wrk: {text.strip()[-200:] or 'no report'}")


def _h2load_report(text, result):
    found = re.search(r"requests: .*?(\d+) failed, (\d+) errored, (\d+) timeout", text)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    if not found or not codes:
        raise process.Failure(f"h2load: {text.strip()[-200:] or 'no report'}")
    result.errors.update(failed=int(found.group(1)), timeout=int(found.group(3)))
    result.errors["not 2xx"] = sum(int(n) for n in codes.groups()[1:])


def _ab_report(text, result):
    found = re.search(r"Failed requests:\s+(\d+)", text)
    if not found:
        raise process.Failure(f"ab: {text.strip()[-200:] or 'no report'}")
    result.errors["failed"] = int(found.group(1))
    found = re.search(r"Non-2xx responses:\s+(\d+)", text)
    if found:
        result.errors["not 2xx"] = int(found.group(1))
    for name, percent in (("p50_ms", "50%"), ("p99_ms", "99%")):
        found = re.search(rf"^\s+{percent}\s+(\d+)", text, re.M)
        if found:
            setattr(result, name, float(found.group(1)))


REPORTS = {"wrk": wrk_report, "h2load": _h2load_report, "ab": _ab_report}


def _window(setup, pids):
    return (time.monotonic(), process.cpu_s(pids), proxies.origin_stats(setup))


def _fill(result, before, after):
    elapsed = after[0] - before[0]
    requests = after[2]["requests"] - before[2]["requests"] - 1  # The question itself.
    if requests < 1:
        raise process.Failure("no request reached the origin")
    result.cpu_us = (after[1] - before[1]) * 1e6 / requests
    result.is_coarse = after[1] - before[1] < MIN_CPU_S
    result.rps = requests / elapsed
    opened = after[2]["accepted"] - before[2]["accepted"] - 1
    result.reuse = 1 - opened / requests


def _measure(scenario, name, setup, seconds):
    result = Result()
    scenario.tell(setup)
    tool = command(scenario, setup.port, scenario.warm_s + seconds + MARGIN_S)
    with proxies.origin(setup) as origin:
        proxies.wait_origin(origin, setup)
        with proxies.proxy(name, setup) as proxy:
            proxies.wait_proxy(proxy, setup)
            pids = process.tree(proxy.pid)
            with process.Child(tool, process.LOAD_CPU, setup.path("load.log")) as load:
                time.sleep(scenario.warm_s)
                before = _window(setup, pids)
                time.sleep(seconds)
                after = _window(setup, pids)
                if proxy.has_ended():
                    raise process.Failure(f"ended under load: {proxy.last_line()}")
                if load.has_ended():
                    raise process.Failure(f"load ended early: {load.last_line()}")
                load.wait(END_TIMEOUT_S)
                REPORTS[scenario.tool](load.output(), result)
    _fill(result, before, after)
    result.errors = {kind: n for kind, n in result.errors.items() if n}
    return result


def run(scenario, name, setup, seconds):
    """One run; what goes wrong is in the result, never lost."""
    try:
        return _measure(scenario, name, setup, seconds)
    except (process.Failure, OSError, ValueError) as error:
        return Result(failure=str(error))
