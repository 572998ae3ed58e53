# SPDX-License-Identifier: Apache-2.0
"""gwtool's command line: what all commands have in common."""
import json
import re

from harness.programs import gwtool


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
