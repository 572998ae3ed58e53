# SPDX-License-Identifier: Apache-2.0
"""gwtool completion: what shells offer is what the help says."""
import re
import shutil

from harness.programs import gwtool, run

# Outside of a completion bash has no compopt: what it was asked for is told instead.
ASK = """
compopt() { echo "files ($*)"; }
%s
COMP_WORDS=(gwtool "$@")
COMP_CWORD=$#
_gwtool
printf '%%s\\n' "${COMPREPLY[@]}"
"""
FILES = ["files (-o default)"]


def offered(t, *words):
    code, script, err = gwtool(t, "completion", "bash")
    t.equal((code, err), (0, ""), "the script")
    done = run(t, ["bash", "-u", "-c", ASK % script, "bash", *words])
    t.equal((done.returncode, done.stderr), (0, b""), f"{words}")
    return [line for line in done.stdout.decode().split("\n") if line]


def help_of(t):
    """The names of commands with their flags, and the flags of all of them."""
    text = gwtool(t, "help")[1]
    commands = {m[1]: re.findall(r"-[-\w]+", m[2])
                for m in re.finditer(r"^  ([a-z][-a-z]*)( .*|)$", text.partition("Examples:")[0], re.M)}
    return commands, re.findall(r"^  (--\w+)", text, re.M)


def test_bash_offers_what_the_help_says(t):
    commands, options = help_of(t)
    t.equal(offered(t, "help", ""), list(commands), "of which there are pages")
    t.check(len(commands) > 8 and "explain" in commands and "--socket" in options, f"{commands}")
    t.equal(sorted(offered(t, "")), sorted(list(commands) + options), "to begin with")
    for command, flags in commands.items():
        t.equal(offered(t, command, "-"), flags + options, f"flags of {command}")


def test_bash_completes(t):
    for words, want in (
            (("pu",), ["push-policy"]), (("--json", "--socket", "x", "diff"), ["diff-policy"]),
            (("--socket", "y"), FILES), (("status", "--socket", ""), FILES),
            (("status", "--s"), ["--socket"]), (("push-policy", "x"), FILES), (("diff-policy", "x", "y"), FILES),
            (("push-policy", "x", "--d"), ["--dry-run"]),
            (("push-policy", "--expect-generation", ""), []),
            (("explain", "GET", "/", "-H", ""), []), (("explain", "--ce"), ["--cert"]), (("status", ""), []),
            (("schema", "p"), ["policy"]), (("completion", ""), ["bash", "zsh"]),
            (("help", "push"), ["push-policy"]), (("help", "x"), []), (("nothing", ""), [])):
        t.equal(offered(t, *words), want, f"{words}")


def test_zsh_names_all(t):
    code, script, err = gwtool(t, "completion", "zsh")
    t.equal((code, err), (0, ""), "the script")
    commands, options = help_of(t)
    for command, flags in commands.items():
        t.check(f"'{command}:" in script, f"no {command}")
        for flag in flags:
            t.check(re.search(rf"\n\t\t{command}\) _arguments \$ours .*'\*?{flag}[:']", script),
                    f"{command} {flag}")
    for option in options:
        t.check(f"'{option}[" in script, f"no {option}")
    if shutil.which("zsh"):
        t.equal(run(t, ["zsh", "-n"], script.encode()).stderr, b"", "its grammar")


def test_wrong_arguments(t):
    for argv in ((), ("fish",), ("bash", "zsh")):
        t.equal(gwtool(t, "completion", *argv)[0], 2, f"{argv}")
