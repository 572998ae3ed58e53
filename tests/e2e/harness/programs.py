# SPDX-License-Identifier: Apache-2.0
"""Clients and servers by others, run as programs. './dev test' installs them; a test that needs
one which is not there fails.
"""
import json
import os
import shutil
import subprocess

from .gateway import PROGRAM, ROOT

NODE_MODULES = os.path.join(ROOT, ".cache", "node", "node_modules")
NODE_SCRIPTS = os.path.join(ROOT, "tests", "e2e", "node")


def path(t, name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    t.check(found, f"{name} is not installed; './dev test' installs it")
    return found


def run(t, argv, stdin=b"", timeout_s=30, env=None):
    """The finished process, with stdout and stderr as bytes."""
    return subprocess.run([path(t, argv[0]), *argv[1:]], input=stdin, capture_output=True,
                          timeout=timeout_s, env=env, check=False)


def gwtool_path(t):
    program = os.environ.get("GWTOOL") or os.path.join(os.path.dirname(PROGRAM), "gwtool")
    if not os.access(program, os.X_OK):
        t.skip(f"no gwtool at {program}")
    return program


def gwtool(t, *argv, env=None, stdin=b""):
    """Exit code, what it prints, what it complains of."""
    p = subprocess.run([gwtool_path(t), *argv], capture_output=True, timeout=20, check=False,
                       env=env, input=stdin)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def complaints(out):
    """What a failure says in JSON, as lines."""
    failure = json.loads(out)
    assert failure["ok"] is False and failure["errors"], out
    return "\n".join(f"{e['path']}: {e['message']} ({e['code']})" for e in failure["errors"])


def _node_env(t):
    t.check(os.path.isdir(NODE_MODULES), f"no {NODE_MODULES}; './dev test' fills it")
    return dict(os.environ, NODE_PATH=NODE_MODULES)


def node(t, script, args, timeout_s=60):
    """What a script of ours under Node prints: JSON."""
    done = run(t, ["node", os.path.join(NODE_SCRIPTS, script), json.dumps(args)],
               timeout_s=timeout_s, env=_node_env(t))
    t.check(done.returncode == 0, lambda: f"{script}: {done.stderr.decode()[-600:]}")
    return json.loads(done.stdout)


def node_server(t, script, args):
    """A server under Node: (process, what it prints first, which is JSON)."""
    process = subprocess.Popen(
        [path(t, "node"), os.path.join(NODE_SCRIPTS, script), json.dumps(args)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_node_env(t))
    t.at_end(lambda: end(process))
    line = process.stdout.readline()
    t.check(line, f"{script} did not start")
    return process, json.loads(line)


def server(t, argv, **kw):
    """A server that is ended with the test."""
    process = subprocess.Popen([path(t, argv[0]), *argv[1:]], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
    t.at_end(lambda: end(process))
    return process


def end(process):
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
