# SPDX-License-Identifier: Apache-2.0
"""gwtool --json: what fails is one document on standard output as well, and nothing else is said."""
import json
import socket

from harness.manager import Daemon
from harness.programs import gwtool

FIELDS = ["code", "path", "line", "column", "message"]
NO_ARGUMENT, NUMBER = ["status", "reload", "history"], ["get-policy", "rollback"]
FILE = ["check-config", "check-policy", "push-policy", "diff-policy", "jwks"]
POLICY = "version: 1\n"


def failure(t, *argv, want, **kw):
    """Its first error."""
    code, out, err = gwtool(t, "--json", *argv, **kw)
    t.equal((code, err, out.count("\n")), (want, "", 1), f"{argv}: {out}")
    doc = json.loads(out)
    t.equal((set(doc), doc["ok"]), ({"ok", "errors"}, False), f"{argv}: {out}")
    for error in doc["errors"]:
        t.equal([k for k in error if k != "file"], FIELDS, f"{argv}: {out}")
    return doc["errors"][0]


def policy(t):
    path = t.path("policy.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(POLICY)
    return path


def asking(t):
    """Command lines that ask the daemon."""
    file = policy(t)
    return [[c] for c in NO_ARGUMENT + NUMBER] + [["push-policy", file], ["diff-policy", file],
                                                   ["explain", "GET", "/"]]


def test_wrong_usage(t):
    for argv in [[], ["nosuch"], ["--nosuch"], ["status", "--socket"], ["explain"], ["serve", "x"],
                 ["serve", "--port", "x"], ["serve", "--address", "0.0.0.0:1"], ["watch"],
                 ["schema"], ["completion"], ["rollback", "x"], ["diff-policy", "-", "-"]] + [
                     [c, "--nosuch"] for c in NO_ARGUMENT + NUMBER + FILE]:
        e = failure(t, *argv, want=2)
        t.equal((e["code"], e["path"], e["line"]), ("usage", "", 0), f"{argv}")
        t.check(e["message"] and "\n" not in e["message"], f"{argv}: {e}")
    t.check("did you mean 'status'?" in failure(t, "statu", want=2)["message"], "a hint")


def test_files(t):
    none = t.path("none.yaml")
    for command in FILE:
        e = failure(t, command, none, want=78)
        t.equal((e["code"], e["file"]), ("file", none), command)
    e = failure(t, "diff-policy", none, policy(t), want=78)
    t.equal(e["file"], none, "which of two")
    e = failure(t, "push-policy", "-", want=78, stdin=b"version: 1\nroutes: 7\n")
    t.equal((e["code"], e["path"], e["line"], e["column"], e["file"]),
            ("type", "routes", 2, 9, "stdin"), "a place in it")


def test_no_daemon(t):
    none = t.path("none.sock")
    for argv in asking(t):
        e = failure(t, "--socket", none, *argv, want=2 if argv[0] == "diff-policy" else 1)
        t.equal(e["code"], "unreachable", f"{argv}")
        t.check(none in e["message"] and "is sluice running?" in e["message"], f"{e}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        e = failure(t, "serve", "--port", str(taken.getsockname()[1]), want=1)
        t.check("Address already in use" in e["message"], f"{e}")


def test_daemons_that_are_none(t):
    answers = {}
    d = Daemon(t, lambda r: answers[0])
    for answer, code, exits in ((None, "permission", 77), ((False, 7), "unreachable", 1),
                                ((None, None), "unreachable", 1)):
        answers[0] = answer
        for argv in asking(t):
            want = 2 if exits == 1 and argv[0] == "diff-policy" else exits
            t.equal(failure(t, "--socket", d.path, *argv, want=want)["code"], code, f"{argv}")


def test_what_the_daemon_refuses(t):
    """As it says it, but for a place in the policy."""
    refusals = {}
    d = Daemon(t, lambda r: (False, refusals[0]))
    for code, path, shown, what in (
            ("stale", "", "", "state"), ("busy", "", "", "state"), ("not_kept", "", "", "state"),
            ("unknown_generation", "generation", "generation", "state"),
            ("no_policy", "", "", "state"), ("type", "policy", "", "document"),
            ("value", "policy.routes[0].name", "routes[0].name", "document"),
            ("value", "expect_generation", "expect_generation", "argument"),
            ("config_rejected", "", "", "argument")):
        refusals[0] = {"code": code, "path": path, "message": 'a "text"'}
        for argv in asking(t):
            diff, wrong_line = argv[0] == "diff-policy", argv[0] in NUMBER + ["explain"]
            want = {"state": 2 if diff else 1, "document": 78, "argument": 2 if wrong_line else 78}
            e = failure(t, "--socket", d.path, *argv, want=want[what])
            t.equal((e["code"], e["path"], e["line"], e["message"]), (code, shown, 0, 'a "text"'),
                    f"{argv}")
