# SPDX-License-Identifier: Apache-2.0
"""gwtool's command line: what all commands have in common."""
import json
import os
import re
import socket
import subprocess

from harness.place import Place
from harness.programs import gwtool, gwtool_path


def test_options_stand_anywhere(t):
    g, _ = t.pair()
    at = g.control_path
    for argv in (["--socket", at, "--json", "status"], ["status", "--json", "--socket", at],
                 ["--json", "status", f"--socket={at}"],
                 ["--socket", "x", "status", "--json", f"--socket={at}"]):
        code, out, err = gwtool(t, *argv)
        t.equal((code, json.loads(out)["generation"], err), (0, 1, ""), f"{argv}")
    code, out, _ = gwtool(t, "explain", "--json", "GET", "--socket", at, "http://h/x", "-H",
                          "X-A: b")
    t.equal((code, json.loads(out)["action"]), (0, "forward"), "between its arguments")
    code, out, _ = gwtool(t, "explain", "GET", "http://h/x", "-H", "--json", "--socket", at)
    t.check(code == 0 and "refuse 400 bad_header\n" in out, f"the value of a flag: {out}")


def test_options_without_a_value(t):
    for argv in (["--socket"], ["status", "--socket"], ["--socket", "x"], ["--sockets", "status"],
                 ["-x", "status"], []):
        t.equal(gwtool(t, *argv)[:2], (2, ""), f"{argv}")
    code, _, err = gwtool(t, "push-polcy", "x")
    t.check(code == 2 and "unknown command: push-polcy; did you mean 'push-policy'?" in err, err)


def test_version(t):
    for argv in (["--version"], ["-V"], ["status", "--version"]):
        code, out, err = gwtool(t, *argv)
        t.equal((code, err), (0, ""), f"{argv}")
        version = re.fullmatch(r"gwtool (\d+\.\d+\.\d+) \(OpenSSL 3\.[\d.]+\)\n", out)
        t.check(version, out)
    g, _ = t.pair()
    status = json.loads(gwtool(t, "--socket", g.control_path, "status", "--json")[1])
    t.equal(version[1], status["version"], "as the daemon's, of one build")
    t.equal(json.loads(gwtool(t, "--json", "--version")[1]),
            {"name": "gwtool", "version": version[1]}, "as JSON")


GOOD = b"version: 1\n"
BAD = b"version: 1\nroutes: [{name: r, servise: a}]\n"
SAID = 'stdin:2:20: routes[0]: unknown key "servise"'
# As other programs write JSON: a pair of escapes is no YAML.
ESCAPED = b'{"version": 1, "routes": [{"name": "r", "respond": {"status": 200, "body": "\\ud83d\\ude00"}}]}'


def test_policies_from_standard_input(t):
    p = Place(t, [("r", {}, "a")])
    at = ["--socket", p.g.control_path]
    t.equal(gwtool(t, "check-policy", "-", stdin=GOOD), (0, "stdin: good\n", ""), "a good one")
    t.equal(gwtool(t, "check-policy", "-", stdin=ESCAPED), (0, "stdin: good\n", ""), "in JSON")
    for argv in (["check-policy", "-"], ["push-policy", "-"], ["push-policy", "--dry-run", "-"],
                 ["diff-policy", "-"], ["diff-policy", "-", p.file], ["diff-policy", p.file, "-"]):
        code, out, err = gwtool(t, *at, *argv, stdin=BAD)
        t.equal((code, out, SAID in err), (78, "", True), f"{argv}: {err}")
    with open(p.file, "rb") as f:
        same = f.read()
    for argv in (["-"], ["-", p.file], [p.file, "-"]):
        t.equal(gwtool(t, *at, "diff-policy", *argv, stdin=same), (0, "", ""), f"{argv}")
    t.equal(gwtool(t, *at, "diff-policy", "-", stdin=GOOD)[0], 1, "another one")
    code, out, _ = gwtool(t, *at, "push-policy", "-", stdin=same)
    t.check(code == 0 and "generation: 2\n" in out, f"a push: {out}")
    code, _, err = gwtool(t, "check-policy", "-", stdin=b"#" * ((8 << 20) + 1))
    t.check(code == 78 and "stdin: is longer than the 8388608 bytes" in err, f"too long: {err}")
    t.equal(gwtool(t, "diff-policy", "-", "-", stdin=GOOD)[0], 2, "twice")
    for command in ("check-policy", "push-policy", "diff-policy", "watch", "jwks"):
        t.equal(gwtool(t, command, "--no")[0], 2, f"{command}: a flag is no file")
    t.equal(gwtool(t, "watch", "-")[0], 2, "what ends cannot be watched")


def test_standard_input_that_is_a_socket(t):
    """As Node makes it; /dev/stdin cannot be opened then."""
    ours, its = socket.socketpair()
    with ours, its, subprocess.Popen([gwtool_path(t), "check-policy", "-"], stdin=its,
                                     stdout=subprocess.PIPE) as process:
        ours.sendall(GOOD)
        ours.shutdown(socket.SHUT_WR)
        t.equal(process.stdout.read(), b"stdin: good\n", "verdict")
    with subprocess.Popen([gwtool_path(t), "check-policy", "-"], stderr=subprocess.PIPE,
                          preexec_fn=lambda: os.close(0)) as process:
        t.check(b"stdin: cannot be read: Bad file" in process.stderr.read(), "none at all")
