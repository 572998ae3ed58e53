# SPDX-License-Identifier: Apache-2.0
"""gwtool watch: a file's content is pushed whenever it has changed, however it came to change."""
import json
import os
import queue
import signal
import subprocess
import threading

from harness.manager import Daemon
from harness.place import Place
from harness.programs import end, gwtool, gwtool_path

PATIENCE_S = 20


class Watch:
    """The program, and what it says line by line."""

    def __init__(self, t, p, file=None, flags=("--json",), socket=None):
        self.t = t
        self.process = subprocess.Popen(
            [gwtool_path(t), "--socket", socket or p.g.control_path, *flags, "watch", file or p.file,
             "--interval", "20ms"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        t.at_end(lambda: end(self.process))
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode())
        self.lines.put(None)

    def line(self):
        line = self.lines.get(timeout=PATIENCE_S)
        self.t.check(line is not None, "it has ended")
        return line

    def event(self, outcome):
        e = json.loads(self.line())
        self.t.equal(e["outcome"], outcome, f"{e}")
        return e

    def stop(self, number):
        self.process.send_signal(number)
        self.t.equal(self.process.wait(PATIENCE_S), 0, f"ended by {number}")
        self.t.equal(self.lines.get(timeout=PATIENCE_S), None, "no other line")


def to(p, name, folder=None):
    """The policy that sends all to one origin, as bytes."""
    old = p.file
    p.file = os.path.join(folder or p.t.folder, "made.yaml")
    p.write([("r", {}, name)])
    with open(p.file, "rb") as f:
        made = f.read()
    os.unlink(p.file)
    p.file = old
    return made


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def replace(path, data):
    put(path + ".new", data)
    os.rename(path + ".new", path)


def test_changes_are_pushed(t):
    p = Place(t, [("r", {}, "a")])
    w = Watch(t, p)
    t.equal(w.event("pushed"), {"file": p.file, "outcome": "pushed", "generation": 2,
                                  "inactive": []}, "the first")
    put(p.file, to(p, "b"))  # In place,
    t.equal(w.event("pushed")["generation"], 3, "in place")
    t.equal(p.ask("/"), "b", "in force")
    replace(p.file, to(p, "a"))  # and by another file of that name.
    t.equal(w.event("pushed")["generation"], 4, "by a rename")
    t.equal(p.ask("/"), "a", "in force")
    w.stop(signal.SIGTERM)


def test_the_same_content_is_no_change(t):
    p = Place(t, [("r", {}, "a")])
    w = Watch(t, p)
    w.event("pushed")
    replace(p.file, to(p, "a"))
    os.utime(p.file, (1, 1))
    os.unlink(p.file)
    w.event("waiting")  # Once, however often it is looked for.
    put(p.file, to(p, "a"))
    put(p.file, to(p, "b"))
    t.equal(w.event("pushed")["generation"], 3, "the first that differs")
    w.stop(signal.SIGINT)


def test_links_that_are_swapped(t):
    """As Kubernetes does it: policy.yaml -> ..data/policy.yaml, ..data -> ..1, then ..2"""
    p = Place(t, [("r", {}, "a")])
    root = os.path.join(t.folder, "mounted")
    for i, name in ((1, "a"), (2, "b")):
        os.makedirs(os.path.join(root, f"..{i}"))
        put(os.path.join(root, f"..{i}", "policy.yaml"), to(p, name))
    os.symlink("..1", os.path.join(root, "..data"))
    file = os.path.join(root, "policy.yaml")
    os.symlink("..data/policy.yaml", file)
    w = Watch(t, p, file)
    w.event("pushed")
    os.symlink("..2", os.path.join(root, "..new"))
    os.rename(os.path.join(root, "..new"), os.path.join(root, "..data"))
    w.event("pushed")
    t.equal(p.ask("/"), "b", "in force")
    w.stop(signal.SIGTERM)


def test_it_goes_on_after_a_refusal(t):
    p = Place(t, [("r", {}, "a")])
    w = Watch(t, p)
    w.event("pushed")
    replace(p.file, b"version: 1\nroutes: [{name: r, servise: a}]\n")
    e = w.event("refused")
    t.check(f'{p.file}:2:20: routes[0]: unknown key "servise"' in e["message"], f"{e}")
    t.equal(p.ask("/"), "a", "the one before")
    replace(p.file, to(p, "b"))
    t.equal(w.event("pushed")["generation"], 3, "the next")
    w.stop(signal.SIGTERM)


def test_what_the_daemon_refuses(t):
    """And it is not asked again."""
    g, _ = t.pair()
    p = Place(t, [("r", {}, "a")])
    w = Watch(t, p, flags=(), socket=g.control_path)
    t.check(w.line().startswith(f"{p.file}: refused: this daemon was started for its upstreams"), "")
    replace(p.file, b"version: 2\n")
    t.check(w.line().startswith(f"{p.file}: refused: {p.file}:1:10: version: "), "the next")
    w.stop(signal.SIGTERM)


def test_what_nothing_acts_on_yet(t):
    """The daemon says it, and it is passed on; an older one may not."""
    p = Place(t, [("r", {}, "a")])
    said = {"generation": 7, "inactive": ["services.a.x", "routes[0].y"]}
    d = Daemon(t, lambda r: (True, said))
    w = Watch(t, p, socket=d.path)
    t.equal(w.event("pushed")["inactive"], said["inactive"], "as JSON")
    w.stop(signal.SIGTERM)
    w = Watch(t, p, flags=(), socket=d.path)
    t.equal([w.line() for _ in range(3)],
            [f"{p.file}: {what}\n" for what in (
                "generation 7 is in force", "services.a.x: nothing acts on it yet",
                "routes[0].y: nothing acts on it yet")], "for people")
    del said["inactive"]
    replace(p.file, to(p, "b"))
    t.equal(w.line(), f"{p.file}: generation 7 is in force\n", "nothing of it is said")
    w.stop(signal.SIGTERM)


def test_a_daemon_that_comes_later(t):
    p = Place(t, [("r", {}, "a")])
    w = Watch(t, p, flags=())
    t.equal(w.line(), f"{p.file}: generation 2 is in force\n", "the first")
    path = p.g.control_path
    t.forget(p.g)
    put(p.file, to(p, "b"))
    line = w.line()
    t.check(f"{p.file}: waiting: {path}: " in line, f"no daemon: {line}")
    p.g = t.gateway(config=p.config, control=path)
    while ": waiting: " in line:  # Twice, when it is asked between its bind and its listen.
        line = w.line()
    t.equal(line, f"{p.file}: generation 3 is in force\n", "when there is one")
    t.equal(p.ask("/"), "b", "in force")
    w.stop(signal.SIGTERM)


def test_a_file_that_comes_later(t):
    p = Place(t, [("r", {}, "a")])
    file = os.path.join(t.folder, "later.yaml")
    w = Watch(t, p, file)
    t.check("cannot be read" in w.event("waiting")["message"], "no file")
    replace(file, to(p, "b"))
    t.equal(w.event("pushed")["generation"], 2, "when there is one")
    w.stop(signal.SIGINT)


def test_wrong_arguments(t):
    for argv in ((), ("a", "b"), ("a", "--interval"), ("a", "--interval", "1"),
                 ("a", "--interval", "1ms"), ("--what", "a")):
        t.equal(gwtool(t, "watch", *argv)[0], 2, f"{argv}")
