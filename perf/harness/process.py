# SPDX-License-Identifier: Apache-2.0
"""Child processes: pinned, bounded in time, ended by their id; what /proc says of them."""

import os
import signal
import subprocess
import time

PROXY_CPU = 0
LOAD_CPU = 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT_S = 2


class Failure(Exception):
    """A run that could not be made; its text goes into the table."""


def _stat_fields(pid):
    """Fields of /proc/PID/stat from the third on, or None when the process has gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rsplit(") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _started_at(pid):
    """Tells a process from a later one with the same id."""
    fields = _stat_fields(pid)
    return fields and fields[19]


def tree(pid):
    """The process and all that descend from it (nginx's workers, for one)."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat_fields(name)
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += parents.get(one, [])
    return found


def cpu_s(pids):
    """User and system time of all threads of these processes."""
    total = 0
    for pid in pids:
        fields = _stat_fields(pid)
        if fields is None:
            raise Failure(f"process {pid} has gone")
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


def cpu_exact_s(pids):
    """The same as the scheduler counts it, in nanoseconds: for windows shorter than a second."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as stat:
                    total += int(stat.read().split()[0])
        except (FileNotFoundError, ProcessLookupError) as error:
            raise Failure(f"process {pid} has gone") from error
    return total / 1e9


def memory_bytes(pids):
    """(resident, proportional) user memory of these processes."""
    rss = pss = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as rollup:
            for line in rollup:
                if line.startswith("Rss:"):
                    rss += int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1]) * 1024
    return rss, pss


class Child:
    """A context: the command runs inside it, on one CPU, and has ended after it."""

    def __init__(self, command, cpu, log_path):
        self.command = command
        self.cpu = cpu
        self.log_path = log_path
        self.process = None
        self.log = None

    def __enter__(self):
        self.log = open(self.log_path, "wb")
        try:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.cpu), *self.command], stdin=subprocess.DEVNULL,
                stdout=self.log, stderr=subprocess.STDOUT)
        except OSError as error:
            self.log.close()
            raise Failure(f"{self.command[0]}: {error.strerror}") from error
        return self

    def __exit__(self, *_):
        ours = {}
        if self.process.poll() is None:
            ours = {pid: _started_at(pid) for pid in tree(self.process.pid)}
        # sluice drains at the first TERM and stops at the second.
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self._wait(STOP_TIMEOUT_S)
        for pid, started_at in ours.items():
            if started_at is not None and _started_at(pid) == started_at:
                os.kill(pid, signal.SIGKILL)
        self._wait(STOP_TIMEOUT_S)
        self.log.close()

    def _wait(self, timeout_s):
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def has_ended(self):
        return self.process.poll() is not None

    def wait(self, timeout_s):
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.command[0]} did not end in {timeout_s} s") from error

    def output(self):
        self.log.flush()
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def last_line(self):
        lines = self.output().strip().splitlines()
        return lines[-1][:200] if lines else "no output"


def wait_until(ready, timeout_s):
    """Asks every 20 ms; whether it became true in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.02)
    return False
