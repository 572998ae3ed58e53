# SPDX-License-Identifier: Apache-2.0
"""gwtool help: each command has a page, and the page has each flag of its command."""
import json
import re
import shlex

from harness.programs import gwtool

EVERYWHERE = {"--socket", "--json", "--help", "-h"}


def commands(t):
    """What the page of all says: {name: its arguments}."""
    code, out, err = gwtool(t, "help")
    t.equal((code, err), (0, ""), "the page of all")
    t.check("'gwtool help COMMAND'" in out and out.count("\n") < 65, "it is short, and names others")
    t.equal([gwtool(t, flag) for flag in ("--help", "-h")], [(0, out, "")] * 2, "by a flag")
    listed = out.partition("Before or behind")[0]
    return {m[1]: m[2] for m in re.finditer(r"^  ([a-z][-a-z]*) ?(.*)$", listed, re.M)}


def parts(page):
    """Of a page: {heading: lines}."""
    found = {"": []}
    for line in page.splitlines():
        heading = re.fullmatch(r"([A-Z][a-z ]+):", line)
        if heading:
            lines = found[heading[1]] = []
        elif not heading:
            lines = found[""] if len(found) == 1 else lines
            lines.append(line)
    return found


def flags_of(text):
    return re.findall(r"(?:^|(?<=[\s[|]))--?[A-Za-z][-a-z]*", text)


def test_each_command_has_a_page(t):
    for name, arguments in commands(t).items():
        code, page, err = gwtool(t, "help", name)
        t.equal((code, err), (0, ""), name)
        for argv in ([name, "--help"], [name, "-h"], ["--help", name], [name, "x", "--what", "-h"]):
            t.equal(gwtool(t, *argv), (0, page, ""), f"{argv}")
        found = parts(page)
        t.equal(found[""][0], f"usage: gwtool {name} {arguments}".rstrip(), "usage")
        t.check(len(found[""]) > 2 and found[""][2], f"{name}: what it does")
        t.equal([f for line in found.get("Flags", []) if line[2:3] == "-" for f in flags_of(line)],
                flags_of(arguments), f"flags of {name}")
        codes = [line[2:4].strip() for line in found["Exit codes"] if line[2:3].isdigit()]
        t.equal(codes, sorted(codes, key=int), f"{name}: exit codes")
        t.check({"0", "2"} <= set(codes) <= {"0", "1", "2", "77", "78"}, f"{name}: {codes}")
        for example in filter(None, found["Examples"][:-1]):
            said = example.rpartition("gwtool ")[2]
            t.check(f"gwtool {name}" in example, f"{name}: {example}")
            t.check(set(flags_of(said.partition("|")[0])) <= set(flags_of(arguments)) | EVERYWHERE,
                    f"{name}: {example}")
            t.check(shlex.split(example), f"{name}: {example}")
        t.equal([line for line in page.splitlines()[1:] if len(line) > 86], [], f"{name}: long lines")


def test_there_is_no_such_page(t):
    code, out, err = gwtool(t, "help", "push-polcy")
    t.equal((code, out), (2, ""), "exit code")
    t.check("unknown command: push-polcy; did you mean 'push-policy'?" in err, err)
    code, out, err = gwtool(t, "help", "zzz")
    t.check(code == 2 and "unknown command: zzz" in err and "mean" not in err, err)
    code, _, err = gwtool(t, "zzz", "--help")
    t.check(code == 2 and "unknown command: zzz" in err, err)
    t.equal(gwtool(t, "help", "status", "reload")[0], 2, "two")
    out = gwtool(t, "help", "zzz", "--json")[1]
    t.equal(json.loads(out)["errors"][0]["code"], "usage", "as JSON")


def test_wrong_usage_names_the_page(t):
    for argv, page in ((["push-policy", "--no"], "help push-policy"), (["watch"], "help watch"),
                       (["nosuch"], "help"), ([], "help"), (["help", "nosuch"], "help")):
        err = gwtool(t, *argv)[2]
        t.check(err.endswith(f"try 'gwtool {page}'\n"), f"{argv}: {err}")
