# SPDX-License-Identifier: Apache-2.0
"""
All proxies of a comparison at once, the load switched between them every slice.

Other work on a shared machine comes and goes in seconds. Slices of a fifth of a
second put all proxies into the same weather, so the ratio of a round is steadier
than the ratio of two medians. Load stands still by SIGSTOP; connections stay open.
"""

import collections
import contextlib
import os
import re
import signal
import statistics
import time
from dataclasses import dataclass, field

from . import load, process, proxies

# What is on its way when the load stops still counts, and must not meet the next slice.
DRAIN_S = 0.01
DRAIN_EACH_S = 0.0001
FOREVER_S = 3600  # The load is ended by SIGINT, upon which wrk reports; h2load keeps a log.
TIMEOUT_S = 60  # Longer than a load stands still; wrk reserves 8 MB for each second.
TOOLS = ("wrk", "h2load")
ANSWERS = "answers.log"  # Of h2load: when, status, duration; the status of a lost stream is -1.
SIGN_Z = 1.96  # Of the normal distribution, for 95 %.


@dataclass
class Side:
    """One proxy under its own load, and what each of its slices cost per request, in us."""
    name: str
    scenario: load.Scenario
    setup: proxies.Setup
    drain_s: float
    pids: list = None
    load: process.Child = None
    costs: list = field(default_factory=list)
    requests: int = 0

    @property
    def key(self):
        return self.scenario.name, self.name


def _place(name, base, index, scenario):
    folder = base.path(f"side-{index}")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    side = proxies.Setup(base.build, base.port + 3 + index, folder, against=base.against)
    side.origin_port, side.origin_h2_port = base.origin_port, base.origin_h2_port
    scenario.tell(side)
    on_their_way = scenario.conns * max(1, scenario.streams)
    return Side(name, scenario, side, max(DRAIN_S, DRAIN_EACH_S * on_their_way))


def _command(side):
    tool = load.command(side.scenario, side.setup.port, FOREVER_S)
    if side.scenario.tool == "h2load":
        return [*tool, f"--log-file={side.setup.path(ANSWERS)}"]
    tool[tool.index("--timeout") + 1] = f"{TIMEOUT_S}s"
    return tool


def _start(stack, side):
    proxy = stack.enter_context(proxies.proxy(side.name, side.setup))
    proxies.wait_proxy(proxy, side.setup)
    side.pids = process.tree(proxy.pid)
    side.load = stack.enter_context(process.Child(
        _command(side), process.LOAD_CPU, side.setup.path("load.log")))
    time.sleep(side.scenario.warm_s)
    side.load.signal(signal.SIGSTOP)


def _slice(side, origin, seconds):
    """CPU us per request while this side alone has load."""
    before = process.cpu_exact_s(side.pids), proxies.origin_stats(origin)["requests"]
    side.load.signal(signal.SIGCONT)
    time.sleep(seconds)
    side.load.signal(signal.SIGSTOP)
    time.sleep(side.drain_s)
    after = process.cpu_exact_s(side.pids), proxies.origin_stats(origin)["requests"]
    requests = after[1] - before[1] - 1  # The question itself.
    if requests < 1:
        raise process.Failure(f"{side.name}: a slice without a request")
    side.requests += requests
    return (after[0] - before[0]) * 1e6 / requests


def _logged_errors(side):
    """From the log of h2load's answers; its last line may be cut."""
    with open(side.setup.path(ANSWERS), encoding="ascii") as log:
        counts = collections.Counter(
            fields[1] for fields in (line.split("\t") for line in log) if len(fields) == 3)
    good = sum(n for status, n in counts.items() if status.startswith("2"))
    words = [f"{n} of status {status}" for status, n in sorted(counts.items())
             if not status.startswith("2")]
    return "; ".join(words if good else [*words, "no answer"])


def _errors(side):
    """What the load generator counted until now."""
    if side.load.has_ended():
        return f"load ended early: {side.load.last_line()}"
    side.load.signal(signal.SIGCONT)
    side.load.signal(signal.SIGINT)
    side.load.wait(load.END_TIMEOUT_S)
    if side.scenario.tool == "h2load":
        return _logged_errors(side)
    text = side.load.output()
    found = re.findall(r"Socket errors: (.*)|(Non-2xx or 3xx responses: \d+)", text)
    counts = [a or b for a, b in found]
    if not re.search(r"\d+ requests in ", text):
        counts.append(f"no report: {text.strip()[-100:]}")
    return "; ".join(counts)


def run(pairs, base, rounds, seconds):
    """
    'pairs' of (scenario, proxy's name), all in the same rounds, their origin being the same:
    {(scenario's name, proxy's name): (costs per round, errors in words)}.
    """
    sides = [_place(name, base, i, scenario) for i, (scenario, name) in enumerate(pairs)]
    pairs[0][0].tell(base)
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(proxies.origin(base))
        proxies.wait_origin(origin, base)
        for side in sides:
            _start(stack, side)
        for i in range(rounds):
            for side in sides if i % 2 == 0 else reversed(sides):
                side.costs.append(_slice(side, base, seconds))
        return {side.key: (side.costs, _errors(side)) for side in sides}


def ratio(costs, others):
    """Median of the rounds' ratios, and its distribution-free 95 % interval."""
    found = sorted(a / b for a, b in zip(costs, others))
    n = len(found)
    reach = SIGN_Z * n ** 0.5 / 2
    low, high = max(0, int(n / 2 - reach)), min(n - 1, int(n / 2 + reach))
    return statistics.median(found), found[low], found[high]
