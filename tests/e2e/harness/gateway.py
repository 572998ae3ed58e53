# SPDX-License-Identifier: Apache-2.0
"""Starts the real program, finds out where it listens, reads its log, its access log and its
metrics, and ends it.
"""
import contextlib
import ctypes
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time

from . import certs

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PROGRAM = os.environ.get("SLUICE") or os.path.join(ROOT, "build", "release", "sluice")
START_S = 15.0

# What must be as at the start when no client is connected any more.
GAUGES_AT_REST = {
    "net_connections_active": 0,
    "net_connections_idle": 0,
    "gateway_requests_active": 0,
    "upstream_connections_active": 0,
    "gateway_buffers_lent": 0,
    "gateway_pipes_used": 0,
}
ARMED = "gateway_uring_ops_armed"

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WAIT_ALL = 0x40000000  # Threads as well.


class Failed(Exception):
    """The gateway did not do what it is started for."""


def parse_address(text):
    """'127.0.0.1:80' or '[::1]:80' as (host, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One scrape."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        for line in text.splitlines():
            m = SAMPLE.match(line)
            if m and not line.startswith("#"):
                labels = frozenset(LABEL.findall(m.group(2) or ""))
                self.samples[m.group(1), labels] = float(m.group(3))

    def names(self):
        return {name for name, _ in self.samples}

    def sum(self, name, **labels):
        """Of all samples of the name that carry these labels; None when there is none."""
        want = set(labels.items())
        found = [v for (n, ls), v in self.samples.items() if n == name and want <= ls]
        return sum(found) if found else None


def name_of(folder, task):
    with open(os.path.join(folder, task, "comm"), encoding="ascii") as f:
        return f.read().strip()


class Gateway:
    """A running sluice. Its folder holds the configuration, the access log and the control
    socket.
    """

    def __init__(self, folder, upstreams=(), config=None, listener=None, flags=(), env=None,
                 splice=True, prefix=(), user=None, bare=False, control=None):
        self.folder = folder
        self.events = []
        self.cond = threading.Condition()
        self.access_path = os.path.join(folder, "access.log")
        self.control_path = control or os.path.join(folder, "control.sock")
        self.config_path = os.path.join(folder, "sluice.yaml")
        self.write_config(config or {}, listener or {})
        argv = list(prefix) + [PROGRAM]
        if not bare:  # Else the environment decides, as without file and flags.
            argv += ["-c", self.config_path, "--control", self.control_path, "--admin",
                     "127.0.0.1:0"]
        for u in upstreams:
            argv += ["--upstream", getattr(u, "url", u)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_SPLICE")}
        if not splice:
            environment["SLUICE_SPLICE"] = "off"
        environment.update(env or {})
        self.process = subprocess.Popen(argv + list(flags), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=environment, cwd=folder, user=user)
        self.stderr_lines = []
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        self.address = self.admin = None
        self.wait_ready()

    def write_config(self, config, listener):
        """JSON is YAML: the configuration the tests write is both."""
        if certs.EVERYWHERE and "tls" not in listener:
            listener = dict({"tls": {"certificates": [certs.everywhere()[0].as_config()]}},
                            **listener)
        whole = {"listeners": [dict({"address": "127.0.0.1:0"}, **listener)],
                 "access_log": {"path": self.access_path, "sample": 1}}
        whole.update(config)
        with open(self.config_path, "w", encoding="utf-8") as f:
            json.dump(whole, f, indent=1)
        self.config = whole

    def _read_log(self):
        for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            with self.cond:
                self.stderr_lines.append(line)
                if isinstance(event, dict):
                    self.events.append(event)
                self.cond.notify_all()
        with self.cond:
            self.cond.notify_all()

    def wait_event(self, condition, timeout_s=START_S):
        """The first log event for which condition(event) holds, or None."""
        deadline = time.monotonic() + timeout_s
        with self.cond:
            seen = 0
            while True:
                for event in self.events[seen:]:
                    if condition(event):
                        return event
                seen = len(self.events)
                left = deadline - time.monotonic()
                dead = self.process.poll() is not None and not self.reader.is_alive()
                if left <= 0 or dead:
                    return None
                self.cond.wait(min(left, 0.2))

    def wait_ready(self):
        public = self.wait_event(lambda e: e.get("event") == "listening")
        admin = self.wait_event(lambda e: e.get("event") == "admin_listening") if public else None
        if not public or not admin:
            self.stop()
            raise Failed("did not come up: " + " | ".join(self.stderr_lines[-5:]))
        self.address = parse_address(public["address"])
        self.admin = parse_address(admin["address"])

    @property
    def addresses(self):
        """Of all public listeners, in their order."""
        return [parse_address(e["address"]) for e in self.events if e.get("event") == "listening"]

    def admin_get(self, path, timeout_s=5.0):
        """(status, headers, text) of a request to the admin listener."""
        conn = http.client.HTTPConnection(*self.admin, timeout=timeout_s)
        try:
            conn.request("GET", path)
            r = conn.getresponse()
            return r.status, dict(r.getheaders()), r.read().decode("utf-8")
        finally:
            conn.close()

    def metrics(self):
        status, _, text = self.admin_get("/metrics")
        if status != 200:
            raise Failed(f"/metrics answers {status}")
        return Metrics(text)

    def wait_metric(self, condition, timeout_s=5.0):
        """Scrape until condition(metrics) holds; the last scrape, or None."""
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while True:
            m = self.metrics()
            if condition(m):
                return m
            if time.monotonic() > deadline:
                return None
            pause.wait(0.02)

    def access(self, condition=None, n=1, timeout_s=5.0):
        """Access-log records for which condition holds, waiting until there are n."""
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while True:
            found = [r for r in self.access_all() if condition is None or condition(r)]
            if len(found) >= n or time.monotonic() > deadline:
                return found
            pause.wait(0.02)

    def access_all(self):
        """Every whole line of the access log; a line that is not one JSON object raises."""
        try:
            with open(self.access_path, "rb") as f:
                data = f.read()
        except FileNotFoundError:
            return []
        whole = data[:data.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def at_rest(self, timeout_s=5.0):
        """None when nothing is held any more, else the gauges that differ.

        What may stay armed: an accept for each worker and listener, and for each pooled upstream
        connection one receive, its death watcher.
        """
        wrong = {}

        def quiet(m):
            wrong.clear()
            for name, want in GAUGES_AT_REST.items():
                got = m.sum(name)
                if got != want:
                    wrong[name] = got
            kept = m.sum("upstream_connections_idle") or 0
            armed = m.sum(ARMED)
            if armed is None or armed > self.n_workers() * len(self.addresses) + kept:
                wrong[ARMED] = armed
            return not wrong

        self.wait_metric(quiet, timeout_s)
        return wrong or None

    def n_workers(self):
        n = self.config.get("workers", "auto")
        return len(os.sched_getaffinity(0)) if n == "auto" else n

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, event="reloaded"):
        """By HUP, until it says so."""
        n = sum(e.get("event") == event for e in self.events)
        self.signal(signal.SIGHUP)
        if not self.wait_event(lambda _: sum(e.get("event") == event for e in self.events) > n):
            raise Failed(f"no {event} after a HUP")

    def freeze(self, timeout_s=5.0):
        """Stop it with SIGSTOP and wait until none of its threads runs any more."""
        folder = f"/proc/{self.process.pid}/task"
        deadline = time.monotonic() + timeout_s
        self.signal(signal.SIGSTOP)
        while time.monotonic() < deadline:
            states = set()
            for task in os.listdir(folder):
                with open(os.path.join(folder, task, "stat"), encoding="ascii") as f:
                    states.add(f.read().rpartition(")")[2].split()[0])
            if states == {"T"}:
                return
        raise Failed(f"does not stop: {states}")

    def thaw(self):
        self.signal(signal.SIGCONT)

    @contextlib.contextmanager
    def worker_held(self, n):
        """One worker's thread is stopped, as a debugger would, and no other."""
        folder = f"/proc/{self.process.pid}/task"
        thread = next(int(task) for task in os.listdir(folder) if name_of(folder, task) == f"worker-{n}")
        libc = ctypes.CDLL(None, use_errno=True)

        def trace(request):
            if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
                raise Failed(f"ptrace: {os.strerror(ctypes.get_errno())}")

        trace(PTRACE_SEIZE)
        try:
            trace(PTRACE_INTERRUPT)
            os.waitpid(thread, WAIT_ALL)
            yield
        finally:
            trace(PTRACE_DETACH)

    def wait_exit(self, timeout_s=15.0):
        """The exit code, or None while it still runs."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        """End it at once; safe to call twice."""
        if self.running():
            self.signal(signal.SIGINT)
            if self.wait_exit(5.0) is None:
                self.process.kill()
                self.process.wait()
        self.reader.join(5.0)
        self.process.stderr.close()
