# SPDX-License-Identifier: Apache-2.0
"""Policies that are kept, the way back to them, and pushes that take long.

A job is held up where it opens a file of the state folder that is a named pipe: until somebody
opens the other end. So what happens meanwhile needs no luck.
"""
import datetime
import json
import os
import re
import signal
import threading

from harness.control import Control, pack
from harness.gateway import Failed
from harness.place import Place
from harness.programs import complaints, gwtool


def tool(p, *argv, want=0):
    """What it prints, as JSON; or what it complains of."""
    code, out, err = gwtool(p.t, "--socket", p.g.control_path, "--json", *argv)
    p.t.equal((code, err), (want, ""), f"exit code of {argv} ({out})")
    return json.loads(out) if code == 0 else complaints(out)


def generations(p):
    return [e["generation"] for e in tool(p, "history")]


def push_to(p, service, **rest):
    """A push of one route to that service."""
    p.write([("r", {}, service)], **rest)
    return p.push()


def place(t, pushes="", **kw):
    """At generation 1, to a; then so many pushes, each to the service of that name."""
    p = Place(t, [("r", {}, "a")], **kw)
    for service in pushes:
        push_to(p, service)
    return p


def restart(p, how=signal.SIGKILL):
    p.g.signal(how)
    p.g.wait_exit()
    p.t.forget(p.g)
    p.g = p.start()


def test_history(t):
    p = place(t)
    t.equal(tool(p, "history"), [], "nothing was pushed")
    before = datetime.datetime.now(datetime.timezone.utc)
    push_to(p, "b")
    push_to(p, "a")
    after = datetime.datetime.now(datetime.timezone.utc)
    h = tool(p, "history")
    t.equal([(e["generation"], e["current"]) for e in h],
            [(3, True), (2, False), (1, False)], "entries")
    t.equal([set(e) for e in h], [{"generation", "accepted_at", "bytes", "current"}] * 3, "keys")
    for e in h:
        t.check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", e["accepted_at"]), e)
        at = datetime.datetime.fromisoformat(e["accepted_at"].replace("Z", "+00:00"))
        slack = datetime.timedelta(seconds=1)  # A file's time is a tick old.
        t.check(before - slack <= at <= after, f"{before} {at} {after}")
        name = "policy" if e["current"] else f"policy.{e['generation']}"
        size = os.path.getsize(os.path.join(p.state, name))
        t.check(0 < e["bytes"] < size <= e["bytes"] + 64, f"{e}: the file has {size}")
    code, out, _ = gwtool(t, "--socket", p.g.control_path, "history")
    t.check(code == 0 and "generation: 3" in out and "current: true" in out, out)
    restart(p)
    t.equal(generations(p), [3, 2, 1], "after a restart")


def test_rollback(t):
    p = place(t, "ba")
    r = tool(p, "rollback")
    t.equal((r["generation"], r["from"], r["committed"], r["kept"]), (4, 2, True, True), f"{r}")
    t.check(all(w["adopt_us"] is not None for w in r["workers"]), f"{r['workers']}")
    t.equal(p.ask("/"), "b", "whoever asks")
    t.equal(generations(p), [4, 3, 2, 1], "it is one more")
    r = tool(p, "rollback")
    t.equal((r["generation"], r["from"], p.ask("/")), (5, 3, "a"), "the one before that")
    r = tool(p, "rollback", "2", "--expect-generation", "5")
    t.equal((r["generation"], r["from"], p.ask("/")), (6, 2, "b"), "one by its number")
    t.check("stale" in tool(p, "rollback", "3", "--expect-generation", "5", want=1), "not stale")
    r = tool(p, "rollback", "6")
    t.equal((r["generation"], r["from"], p.ask("/")), (7, 6, "b"), "the one in force")
    restart(p)
    t.equal((p.ask("/"), tool(p, "status")["generation"]), ("b", 7), "after a restart")
    for argv, want in ((["9"], "generation 9 is not kept"), (["8"], "generation 8 is not kept"),
                       (["4294967296"], "unknown_key"), (["0"], "unknown_key")):
        t.check(want in tool(p, "rollback", *argv, want=2 if "key" in want else 1), f"{argv}")
    for argv in (["x"], ["1", "2"], ["--expect-generation"], ["--force"]):
        tool(p, "rollback", *argv, want=2)
    tool(p, "history", "1", want=2)
    t.equal((p.ask("/"), generations(p)[0]), ("b", 7), "nothing has changed")


def test_rollback_to_what_the_start_has_read(t):
    p = place(t)
    t.check("no policy before generation 1 is kept" in tool(p, "rollback", want=1), "of none")
    push_to(p, "b")
    r = tool(p, "rollback")
    t.equal((r["generation"], r["from"], p.ask("/")), (3, 1, "a"), "to the file's")
    os.unlink(os.path.join(p.state, "policy.1"))
    os.unlink(os.path.join(p.state, "policy.2"))
    t.check("no policy before generation 3 is kept" in tool(p, "rollback", want=1), "all gone")
    restart(p)
    t.equal((p.ask("/"), generations(p)), ("a", [3]), "as before")


def test_get_one_of_them(t):
    p = place(t)
    p.write([(f"r{i}", {"path_prefix": f"/{'x' * 400}/{i}"}, "a") for i in range(1000)])
    p.push()  # Longer than a reply may be that is not a policy.
    push_to(p, "b")
    old = tool(p, "get-policy", "2")
    t.equal((old["generation"], len(old["policy"]["routes"])), (2, 1000), "an older one")
    t.equal(tool(p, "get-policy", "3"), tool(p, "get-policy"), "the one in force")
    t.equal(tool(p, "get-policy")["policy"]["routes"][0]["service"], "b", "as it was pushed")
    t.check("unknown_generation" in tool(p, "get-policy", "9", want=1), "never kept")
    tool(p, "get-policy", "x", want=2)
    code, out, _ = gwtool(t, "--socket", p.g.control_path, "get-policy", "2")
    t.check(code == 0 and out.startswith("version: 1\n"), out[:100])


def test_twenty_pushes_keep_sixteen(t):
    p = place(t, "ab" * 10)
    kept = list(range(21, 5, -1))
    t.equal(generations(p), kept, "the latest ones")
    t.equal(sorted(os.listdir(p.state)), sorted(["policy"] + [f"policy.{g}" for g in kept[1:]]),
            "files")
    t.equal(tool(p, "rollback", "6")["generation"], 22, "to the oldest")
    t.equal(generations(p), list(range(22, 6, -1)), "which is gone now")
    t.check("is not kept" in tool(p, "rollback", "6", want=1), "for good")


def test_damaged_ones_are_passed_over(t):
    p = place(t, "abab")
    file = os.path.join(p.state, "policy.4")
    with open(file, "r+b") as f:
        f.seek(60)
        byte = f.read(1)
        f.seek(60)
        f.write(bytes([byte[0] ^ 1]))
    h = tool(p, "history")
    t.equal([(e["generation"], e.get("damaged", False), e["bytes"] > 0) for e in h],
            [(5, False, True), (4, True, False), (3, False, True), (2, False, True),
             (1, False, True)], "told")
    t.check("(damaged)" in tool(p, "rollback", "4", want=1), "not used by its number")
    t.check("(damaged)" in tool(p, "get-policy", "4", want=1), "nor shown")
    t.equal(p.ask("/"), "b", "as before")
    push_to(p, "a")
    restart(p)
    r = tool(p, "rollback", "3")
    t.equal((r["from"], p.ask("/")), (3, "b"), "one before it")
    for name in ("policy.3", "policy.5", "policy.6"):
        os.truncate(os.path.join(p.state, name), 10)
    r = tool(p, "rollback")
    t.equal((r["generation"], r["from"], p.ask("/")), (8, 2, "a"), "the latest good one")


def test_the_last_one_is_damaged(t):
    """The start says so. A policy by a flag goes before it, and the numbers go on."""
    p = place(t, "ab")
    p.g.process.kill()
    t.forget(p.g)
    os.truncate(os.path.join(p.state, "policy"), 10)
    try:
        p.start()
        t.check(False, "started with a damaged policy")
    except Failed:
        pass
    p.kw["flags"] = ["--policy", p.file, "--state", p.state]
    p.g = p.start()
    t.equal(tool(p, "status")["generation"], 3, "after the one that is left")
    t.equal(generations(p), [2, 1], "which is kept")
    t.equal(tool(p, "rollback")["generation"], 4, "pushed once more")
    t.equal((p.ask("/"), generations(p)), ("a", [4, 3, 2, 1]), "and kept")


def test_without_a_state_folder(t):
    p = place(t, "b", state=False)
    for argv in (["history"], ["rollback"], ["rollback", "1"], ["get-policy", "1"]):
        err = tool(p, *argv, want=1)
        t.check("this daemon keeps no policies; start it with state" in err, f"{argv}: {err}")
    t.equal(tool(p, "get-policy")["generation"], 2, "the one in force")
    with Control(p.g.control_path) as c:
        t.equal(c.ask("rollback_policy", {"to": 1})["error"]["code"], "unknown_key", "an argument")
        t.equal(c.ask("policy_history", {"n": 1})["error"]["code"], "unknown_key", "an argument")
        t.equal(c.ask("get_policy", {"n": 1})["error"]["code"], "unknown_key", "an argument")


def test_a_rollback_is_judged_as_a_push(t):
    """What was good once may not be so now: its services speak TLS, and nobody vouches."""
    bundle = os.path.join(t.folder, "bundle.pem")
    with open(bundle, "w", encoding="ascii"):
        pass
    p = place(t, config={"upstream_tls": {"verify": False}}, env={"SSL_CERT_FILE": bundle})
    p.write([], {"s": {"protocol": "https", "endpoints": [{"address": "127.0.0.1:1"}]}})
    p.push()
    push_to(p, "b")
    p.config["upstream_tls"] = {"verify": True}
    restart(p)
    err = tool(p, "rollback", want=78)
    t.check("services.s.protocol: no authority" in err, err)
    t.equal((p.ask("/"), generations(p)), ("b", [3, 2, 1]), "as before")


# --- Held-up jobs ------------------------------------------------------------------------------


class Held:
    """The policy of a generation, held back from whoever reads it."""

    def __init__(self, p, generation):
        self.path = os.path.join(p.state, f"policy.{generation}")
        with open(self.path, "rb") as f:
            self.bytes = f.read()
        os.unlink(self.path)
        os.mkfifo(self.path)

    def let_go(self):
        with open(self.path, "wb") as f:
            f.write(self.bytes)
        os.unlink(self.path)


def begin_rollback(p, generation):
    """A connection on which its reply will come. It is under way when this returns."""
    c = Control(p.g.control_path)
    c.send_frame(pack({"v": 1, "id": 1, "command": "rollback_policy",
                       "args": {"generation": generation}}))
    while True:  # Until one that changes nothing is refused.
        with Control(p.g.control_path) as other:
            r = other.ask("push_policy", {"policy": {"version": 1}, "dry_run": True})
        if not r["ok"]:
            p.t.equal(r["error"]["code"], "busy", "the other push")
            return c


def test_others_are_answered_meanwhile(t):
    p = place(t, "ab")
    held = Held(p, 2)
    c = begin_rollback(p, 2)
    c.send_frame(pack({"v": 1, "id": 2, "command": "status", "args": {}}))
    for _ in range(20):
        t.equal(tool(p, "status")["generation"], 3, "status of somebody else")
    t.equal((p.ask("/"), tool(p, "get-policy")["generation"]), ("b", 3), "traffic, and get-policy")
    t.equal(p.g.metrics().sum("http_requests_total", route="r"), 1, "metrics")
    held.let_go()
    r = c.reply()
    t.equal((r["id"], r["result"]["generation"], r["result"]["from"]), (1, 4, 2), "first the first")
    r = c.reply()
    t.equal((r["id"], r["result"]["generation"]), (2, 4), "in order")
    t.equal(p.ask("/"), "a", "and it is in force")
    c.close()


def test_one_push_at_a_time(t):
    p = place(t, "ab")
    held = Held(p, 2)
    with begin_rollback(p, 2) as c:
        t.check("(busy)" in p.push(want=1), "a push")
        t.check("(busy)" in tool(p, "rollback", want=1), "a rollback")
        t.check("(busy)" in tool(p, "reload", want=1), "a reload by command")
        held.let_go()
        t.equal(c.reply()["result"]["generation"], 4, "the first one")
    t.equal(push_to(p, "b")["generation"], 5, "the next one")


def test_a_hangup_reloads_after_a_push(t):
    p = place(t, "ab")
    held = Held(p, 2)
    with begin_rollback(p, 2) as c:
        p.g.config["timeouts"] = {"head": "7s"}
        with open(p.g.config_path, "w", encoding="utf-8") as f:
            json.dump(p.g.config, f)
        p.g.signal(signal.SIGHUP)
        p.g.signal(signal.SIGUSR1)
        for _ in range(20):  # Turns of the thread that would reload.
            tool(p, "status")
        t.check(not [e for e in p.g.events if e["event"] == "reloaded"], "it does not wait")
        held.let_go()
        t.equal(c.reply()["result"]["generation"], 4, "the push")
    t.check(p.g.wait_event(lambda e: e["event"] == "reloaded"), "it was carried out")
    names = [e["event"] for e in p.g.events if e["event"] in ("policy_offered", "reloaded")]
    t.equal(names[-2:], ["policy_offered", "reloaded"], "in that order")
    t.equal((p.ask("/"), push_to(p, "b")["generation"], p.ask("/")), ("a", 5, "b"), "and on")


def stop_in_a_push(t, how):
    p = place(t, "ab", config={"timeouts": {"drain": "1s", "drain_grace": "0s"}})
    held = Held(p, 2)
    with begin_rollback(p, 2) as c:
        p.g.signal(how)
        t.check(p.g.wait_event(lambda e: e.get("state") == "stopped"), "workers have not ended")
        t.check(p.g.running(), "it does not wait")
        held.let_go()
        r = c.reply()
        t.equal((r["result"]["generation"], r["result"]["kept"]), (4, True), "the reply")
    t.equal(p.g.wait_exit(), 0, "exit code")
    t.forget(p.g)
    p.g = p.start()
    t.equal((p.ask("/"), generations(p)[0]), ("a", 4), "what was kept")


def test_a_stop_waits_for_a_push(t):
    stop_in_a_push(t, signal.SIGINT)


def test_a_drain_waits_for_a_push(t):
    stop_in_a_push(t, signal.SIGTERM)


def test_a_stop_does_not_wait_forever(t):
    p = place(t, "ab")
    Held(p, 2)
    with begin_rollback(p, 2):
        p.g.signal(signal.SIGINT)
        t.equal(p.g.wait_exit(), 1, "exit code")
    t.check(p.g.wait_event(lambda e: e["event"] == "job_stuck"), "it is told")
    t.forget(p.g)
    os.unlink(os.path.join(p.state, "policy.2"))
    p.g = p.start()
    t.equal((p.ask("/"), tool(p, "status")["generation"]), ("b", 3), "the one before")


def test_a_kill_in_mid_rollback(t):
    p = place(t, "ab")
    held = Held(p, 2)
    with begin_rollback(p, 2):
        restart(p)
    t.equal((p.ask("/"), tool(p, "status")["generation"]), ("b", 3), "the one before")
    fresh = os.path.join(p.state, "policy.new")
    os.mkfifo(fresh)  # Now where it is kept.
    held_up = begin_rollback(p, 3)
    restart(p)
    held_up.close()
    os.unlink(fresh)
    t.equal((p.ask("/"), tool(p, "status")["generation"]), ("b", 3), "the one before")
    os.link(os.path.join(p.state, "policy"), os.path.join(p.state, "policy.3"))  # Next, its name.
    os.unlink(held.path)
    restart(p)
    t.equal((p.ask("/"), generations(p)), ("b", [3, 1]), "it counts once")
    t.equal(push_to(p, "a")["generation"], 4, "it goes on")
    t.equal(generations(p), [4, 3, 1], "both are kept")


def test_kills_at_any_moment_of_a_rollback(t):
    p = place(t, "ab")
    now = 3
    for i in range(40 if t.full else 8):
        asker = threading.Thread(target=lambda: gwtool(t, "--socket", p.g.control_path,
                                                       "rollback"))
        asker.start()
        threading.Event().wait(0.003 * (i % 7))
        restart(p)
        asker.join()
        found = tool(p, "status")["generation"]
        t.check(found in (now, now + 1), f"kill {i}: {found} after {now}")
        h = generations(p)
        t.equal((h[0], h[1:]), (found, sorted(h[1:], reverse=True)), f"kill {i}: history")
        t.check(found not in h[1:], f"kill {i}: {h}")
        now = found


def test_what_cannot_be_kept_changes_nothing(t):
    p = place(t, "ab")
    os.mkdir(os.path.join(p.state, "policy.new"))
    t.check("(not_kept)" in tool(p, "rollback", want=1), "refused")
    t.equal((p.ask("/"), generations(p)), ("b", [3, 2, 1]), "as before")
    os.rmdir(os.path.join(p.state, "policy.new"))
    t.equal(tool(p, "rollback")["generation"], 4, "now it can be")


def test_two_pushers_at_once(t):
    """Each is told what became of its own: one more generation, or that it came too early."""
    p = place(t)
    policies = [dict(json.load(open(p.file, encoding="utf-8")),
                     routes=[{"name": f"{who}{i}", "service": who, "match": {}}
                             if i == 0 else {"name": f"{who}{i}", "service": who,
                                             "match": {"path_prefix": f"/{i}"}}
                             for i in range(500)]) for who in "ab"]
    got = [[], []]

    def pusher(k):
        with Control(p.g.control_path) as c:
            while len([r for r in got[k] if r["ok"]]) < 10:
                got[k].append(c.ask("push_policy", {"policy": policies[k]}))

    threads = [threading.Thread(target=pusher, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = {r["error"]["code"] for side in got for r in side if not r["ok"]}
    t.check(refused <= {"busy"}, f"refused for {refused}")
    made = sorted(r["result"]["generation"] for side in got for r in side if r["ok"])
    t.equal(made, list(range(2, 22)), "generations")
    last = 0 if got[0][-1].get("result", {}).get("generation") == 21 else 1
    t.equal(p.ask("/499/x"), "ab"[last], "the last one is in force")


def test_status_during_a_large_push(t):
    n = 50000 if t.full else 5000
    p = place(t)
    p.write([(f"r{i}", {"path_prefix": f"/p{i}"}, "ab"[i % 2]) for i in range(n)])
    done, replies = threading.Event(), []

    def push():
        replies.append(p.push())
        done.set()

    pusher = threading.Thread(target=push)
    pusher.start()
    seen = []
    with Control(p.g.control_path) as c:
        while not done.is_set():
            seen.append(c.ask("status")["result"]["generation"])
        seen.append(c.ask("status")["result"]["generation"])
    pusher.join()
    t.equal((replies[0]["generation"], seen[-1], seen), (2, 2, sorted(seen)), "generations")
    t.equal(p.ask(f"/p{n - 1}"), "ab"[(n - 1) % 2], "the last route")
