# SPDX-License-Identifier: Apache-2.0
"""Policies written in msgpack by others than gwtool: python3-msgpack and npm's @msgpack/msgpack."""
import json
import struct

from harness import programs
from harness.control import Control, unpack
from harness.place import Place

LONG = "long-" * 20  # 32 to 255 bytes are written in another way than fewer, or more.
PAGE = "\u00fc" * 300


def policy(p, side):
    """Numbers, texts, lists and maps of all the lengths that a policy can have."""
    spare = {f"s{i}": {"endpoints": [], "pool": {"max_idle": n}}
             for i, n in enumerate([0, 127, 128, 255, 256, 65535] * 3)}
    routes = [{"name": f"r{i}", "match": {"path_prefix": f"/r{i}"}, "service": side,
               "max_body": f"{i + 1}KiB"} for i in range(20)]
    return {
        "version": 1,
        "enabled": True,
        "services": {"a": {"endpoints": [{"address": p.address(p.a)}],
                           "pool": {"max_idle": 300, "max_requests": 70000}},
                     "b": {"endpoints": [{"address": p.address(p.b)}], "pool": None}, **spare},
        "limits": {"many": {"key": "all", "rate": "1000000/s", "burst": 1000000, "fields": False}},
        "routes": routes + [
            {"name": "all", "service": side, "limits": ["many"], "security_headers": True,
             "response_headers": {"set": {"x-side": "${service}", "x-long": LONG}}},
            {"name": "page", "match": {"path": "/page"},
             "respond": {"status": 503, "content_type": "text/html", "body": PAGE}}]}


def push_by_python(t, p, wanted, **options):
    """The reply, as python3-msgpack reads it."""
    try:
        import msgpack
    except ImportError:
        t.check(False, "python3-msgpack is not installed; './dev test' installs it")
    body = msgpack.packb({"v": 1, "id": 7, "command": "push_policy", "args": {"policy": wanted}},
                         **options)
    with Control(p.g.control_path) as c:
        c.send_frame(body)
        reply = c.read(struct.unpack(">I", c.read(4))[0])
    return msgpack.unpackb(reply, strict_map_key=True)


def push_by_node(t, p, wanted, **options):
    return programs.node(t, "msgpack_push.js", {"socket": p.g.control_path, "policy": wanted,
                                                "options": options})


def check_in_force(t, p, wanted, side, what):
    for ask in ("/r7/x", "/elsewhere"):
        t.equal(p.ask(ask), side, f"{what}: {ask}")
    r = t.client(p.g).ask("GET", "/page", host="h")
    t.equal((r.status, r.body.decode()), (503, PAGE), f"{what}: a page")
    r = t.client(p.g).ask("GET", "/x", host="h")
    t.equal((r.get("x-side"), r.get("x-long")), (side, LONG), f"{what}: fields")
    code, out, _ = programs.gwtool(t, "--socket", p.g.control_path, "--json", "get-policy")
    t.equal((code, json.loads(out)["policy"]), (0, wanted), f"{what}: what gwtool gets")


def of_each_writer(t, p):
    """(what, push)"""
    return (("python3-msgpack", lambda w: push_by_python(t, p, w)),
            ("python3-msgpack, the old form", lambda w: push_by_python(t, p, w, use_bin_type=False)),
            ("@msgpack/msgpack", lambda w: push_by_node(t, p, w)),
            ("@msgpack/msgpack, sorted keys", lambda w: push_by_node(t, p, w, sortKeys=True)))


def test_others_push(t):
    p = Place(t, [])
    generation = 1
    for i, (what, push) in enumerate(of_each_writer(t, p)):
        side = "ab"[i % 2]
        wanted = policy(p, side)
        r = push(wanted)
        t.check(r["ok"] is True and r["id"] == 7, f"{what}: {r}")
        generation += 1
        t.equal((r["result"]["generation"], r["result"]["kept"]), (generation, True), what)
        check_in_force(t, p, wanted, side, what)
    t.forget(p.g)
    p.g = p.start()
    t.equal(p.ask("/elsewhere"), side, "after a start from what was kept")


def test_all_write_the_same(t):
    """What is in force is the same document, whoever has brought it."""
    p = Place(t, [])
    found = []
    wanted = policy(p, "a")
    pushes = [push for what, push in of_each_writer(t, p) if "sorted" not in what]
    with Control(p.g.control_path) as c:
        pushes.append(lambda w: c.ask("push_policy", {"policy": w}))
        for push in pushes:
            t.check(push(wanted)["ok"] is True, "refused")
            c.send_frame(b"\x83\xa1v\x01\xa2id\x01\xa7command\xaaget_policy")
            body = c.read(struct.unpack(">I", c.read(4))[0])
            found.append(body[body.index(b"\xa6policy"):])
            t.equal(unpack(body)[0]["result"]["policy"], wanted, "the policy")
    t.equal(len(set(found)), 1, "ways to write it")


def test_odd_forms_are_refused(t):
    """Bytes, and floats and numbers where others belong; the text of the error can be read."""
    p = Place(t, [])
    good = policy(p, "b")
    t.equal(push_by_python(t, p, good)["result"]["generation"], 2, "a good one")
    for wrong, code, path in (
            (dict(good, version=1.5), "type", "policy.version"),
            (dict(good, services=b"a"), "type", "args.policy.services"),
            (dict(good, limits={"x": {"rate": 5}}), "type", "policy.limits.x.rate"),
            (dict(good, version=2 ** 64 - 1), "range", "policy.version"),
            (dict(good, version=-1), "range", "policy.version"),
            (dict(good, services={"\u00fc" * 90: {"protocol": "ftp"}}), "value",
             "policy.services." + "\u00fc" * 73 + "..."),
            (dict(good, services={"x" + "\u00fc" * 90: {"protocol": "ftp"}}), "value",
             "policy.services.x" + "\u00fc" * 73 + "...")):
        r = push_by_python(t, p, wrong)
        t.equal((r["ok"], r["error"]["code"], r["error"]["path"]), (False, code, path), f"{r['error']}")
    r = push_by_node(t, p, dict(good, version=1.5))
    t.equal((r["ok"], r["error"]["code"]), (False, "type"), "a float from Node")
    t.equal(p.ask("/x"), "b", "the policy of before")
    t.equal(push_by_node(t, p, policy(p, "a"))["result"]["generation"], 3, "the next one")
