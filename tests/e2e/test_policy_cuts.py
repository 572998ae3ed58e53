# SPDX-License-Identifier: Apache-2.0
"""Pushes that end in the middle: nothing changes unless the whole frame was there, and the next push
is answered.
"""
import json
import random
import socket
import subprocess
import time

from harness.control import Control
from harness.place import Place
from harness.programs import gwtool, gwtool_path

OLD = [("a", {}, "a")]


def hear(path, argv_of):
    """The frame that a program sends to a socket at the path, and the program, which gets no answer."""
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(path)
        ear.listen(1)
        ear.settimeout(10)
        tool = subprocess.Popen(argv_of(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        conn, _ = ear.accept()
        with conn:
            frame = b""
            while len(frame) < 4 or len(frame) < 4 + int.from_bytes(frame[:4], "big"):
                frame += conn.recv(65536)
    return frame, tool


def frame_of_gwtool(t, p):
    """The bytes that gwtool sends for a push of the place's file."""
    frame, tool = hear(t.path("ear.sock"), lambda path: [gwtool_path(t), "--socket", path,
                                                         "push-policy", p.file])
    t.equal(tool.wait(10), 77, "gwtool, when nobody answers")
    return frame


def write_open_end(p, n_routes):
    """A policy whose last byte is a number, and good whatever stands there: that it is missing is
    seen from the length alone.
    """
    services = {"b": {"endpoints": [{"address": p.address(p.b)}], "pool": {"max_idle": 7}}}
    with open(p.file, "w", encoding="utf-8") as f:
        json.dump({"version": 1, "routes": [{"name": f"r{i}", "service": "b"} for i in range(n_routes)],
                   "services": services}, f)


def generation(p):
    with Control(p.g.control_path) as c:
        return c.ask("get_policy")["result"]["generation"]


def cut_by_closing(p, data):
    """Whatever has come to the gateway is asked about behind it."""
    with Control(p.g.control_path) as c:
        c.sock.sendall(data)


def cut_by_half_closing(p, data):
    """No more will come; what is said to that."""
    with Control(p.g.control_path) as c:
        c.sock.sendall(data)
        c.sock.shutdown(socket.SHUT_WR)
        return c.reply()


def test_cut_at_each_byte(t):
    p = Place(t, OLD)
    write_open_end(p, 40 if t.full else 1)
    frame = frame_of_gwtool(t, p)
    t.check(len(frame) > 100, f"a frame of {len(frame)} bytes")
    for n in range(len(frame)):
        cut_by_closing(p, frame[:n])
        r = cut_by_half_closing(p, frame[:n])
        t.check(r is None or r["ok"] is False, f"{n} of {len(frame)} bytes: {r}")
        t.equal(generation(p), 1, f"generation after {n} of {len(frame)} bytes")
    t.equal(p.ask("/"), "a", "the policy of before")
    t.equal(cut_by_half_closing(p, frame)["result"]["generation"], 2, "all of it")
    t.equal(p.ask("/"), "b", "the new one")
    t.equal(p.push()["generation"], 3, "the next push")


def test_nobody_waits_for_the_answer(t):
    """The whole frame was there: it counts, whoever is left to hear of it."""
    p = Place(t, OLD)
    p.write([("a", {}, "b")])
    cut_by_closing(p, frame_of_gwtool(t, p))
    t.check(p.g.wait_event(lambda e: e.get("event") == "policy_offered" and e["generation"] == 2),
            "not taken")
    t.equal(p.ask("/"), "b", "in force")
    p.write(OLD)
    t.equal(p.push()["generation"], 3, "the next push")


def test_another_length_than_what_comes(t):
    """A byte less: what is left over is no frame. A byte more: it is waited for."""
    p = Place(t, OLD)
    p.write([("a", {}, "b")])
    body = frame_of_gwtool(t, p)[4:]
    for n in (len(body) - 1, len(body) + 1):
        r = cut_by_half_closing(p, n.to_bytes(4, "big") + body)
        t.check(r is None or r["ok"] is False, f"{n} where {len(body)} were meant: {r}")
        t.equal((generation(p), p.ask("/")), (1, "a"), f"{n} where {len(body)} were meant")


def in_force(t, p):
    """What get_policy says, and what was answered while it said the same."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with Control(p.g.control_path) as c:
            got = c.ask("get_policy")["result"]
            answers = {p.ask("/0"), p.ask("/x")}
            if c.ask("get_policy")["result"]["generation"] == got["generation"]:
                return got, answers
    t.check(False, "no rest between pushes")


def push_anyhow(p):
    """What is said against it."""
    return gwtool(p.t, "--socket", p.g.control_path, "push-policy", p.file)[2]


def test_gwtool_is_killed(t):
    """At any moment: the old policy or the new one, each as a whole."""
    p = Place(t, OLD)
    dice = random.Random(1)
    was, sent, n_new = in_force(t, p)[0], [], 0  # Sent: what may still come into force.
    for i in range(400 if t.full else 40):
        p.write([("a", {}, "ab"[i % 2])] + [(f"r{k}", {"path": f"/{k}"}, "ab"[i % 2])
                                          for k in range(dice.choice((1, 1000)))])
        with open(p.file, encoding="utf-8") as f:
            sent.append(json.load(f))
        tool = subprocess.Popen([gwtool_path(t), "--socket", p.g.control_path, "push-policy", p.file],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.random() * 0.03)  # At a random moment is what is tested.
        tool.kill()
        tool.wait()
        got, answers = in_force(t, p)
        # What was sent before a kill may be read behind questions that came after it.
        grown = got["generation"] - was["generation"]
        t.check(0 <= grown <= len(sent), f"kill {i}: generation")
        t.check(got["policy"] in (sent if grown else [was["policy"]]), f"kill {i}: none that was pushed")
        services = {r["service"] for r in got["policy"]["routes"]}
        t.equal(len(services), 1, f"kill {i}: services of one policy")
        t.equal(answers, services, f"kill {i}: answers")
        n_new += got["generation"] > was["generation"]
        if grown:
            del sent[:sent.index(got["policy"]) + 1]
        was = got
    t.check(n_new > 0, "all kills came too early")
    # The last one may still be compiled, for nobody.
    t.check(p.g.wait_metric(lambda _: "busy" not in push_anyhow(p)), "busy for ever")
    t.check(p.push()["generation"] > was["generation"], "the next push")


def test_many_hang_up_at_once(t):
    """Sixteen halves of frames at a time do not keep the next push out."""
    p = Place(t, OLD)
    p.write([("a", {}, "b")])
    frame = frame_of_gwtool(t, p)
    for i in range(4):
        held = [Control(p.g.control_path) for _ in range(15)]
        for k, c in enumerate(held):
            c.sock.sendall(frame[:len(frame) * (k + 1) // 16])
        t.equal(p.push()["generation"], i + 2, "a push beside them")
        for c in held:
            c.sock.shutdown(socket.SHUT_WR)
            t.equal(c.reply()["error"]["code"], "truncated", "half a frame")
            t.equal(c.reply(), None, "and the end")  # Its place is free then.
            c.close()
    t.equal(p.ask("/"), "b", "in force")
