# SPDX-License-Identifier: Apache-2.0
"""What a start begins with, and what it refuses to begin with; `sluice -t` says the same before."""
import json
import os
import subprocess

from harness.gateway import PROGRAM
from harness.place import Place
from harness.programs import gwtool

OK, NO_CONFIG = 0, 78
ROUTES = [("a", {}, "a")]
REPLACED = {"allowed_hosts": ["h"], "upgrades": ["websocket"],
            "timeouts": {"connect": "2s", "response_head": "15s", "head": "5s", "write_stall": "9s"},
            "pool": {"max_idle": 10, "idle_timeout": "30s"}}
WARNED = {"allowed_hosts", "upgrades", "timeouts.connect", "timeouts.response_head",
          "pool.idle_timeout"}


def run(t, config, *flags):
    """Exit code and what is said on stderr; a start that comes up is a failure here."""
    file = t.path("tested.json")
    with open(file, "w", encoding="utf-8") as f:
        json.dump(dict({"listeners": [{"address": "127.0.0.1:0"}], "admin": {"address": "off"},
                        "control": {"path": "off"}}, **config), f)
    p = subprocess.run([PROGRAM, "-c", file, *flags], capture_output=True, timeout=30, check=False)
    return p.returncode, p.stderr.decode()


def both(t, config, *words, flags=()):
    """Tested and started: refused as a wrong configuration is, with these words."""
    for more in (["-t"], []):
        code, err = run(t, config, *more, *flags)
        t.equal(code, NO_CONFIG, f"exit code of {more or 'a start'} ({err})")
        for word in words:
            t.check(word in err, f"{more or 'a start'} does not say {word!r}: {err}")


def restart(p, **config):
    p.g.process.kill()
    p.g.process.wait()
    p.t.forget(p.g)
    p.g = p.start(**config)


def told(g, event="config_without_effect"):
    return [e["text"] for e in g.events if e.get("event") == event]


def keys(lines):
    return {line.split(": ")[1] for line in lines}


# --- Keys that are for --upstream --------------------------------------------------------------


def test_keys_that_a_policy_replaces(t):
    p = Place(t, ROUTES, config=REPLACED)
    t.check(p.g.wait_event(lambda e: e.get("event") == "state"), "it serves")
    t.equal((keys(told(p.g)), len(told(p.g))), (WARNED, len(WARNED)), "at the start")
    t.check(any("allowed_hosts" in line and "routes[].match.hosts" in line for line in told(p.g)),
            f"{told(p.g)}")
    p.g.reload()
    t.equal((keys(told(p.g)), len(told(p.g))), (WARNED, 2 * len(WARNED)), "at a reload")
    config = dict(REPLACED, policy=p.file, state=p.state)
    for flag in ("-t", "-T"):
        code, err = run(t, config, flag)
        t.equal((code, keys(err.splitlines())), (OK, WARNED), f"{flag} ({err})")
    t.equal(run(t, REPLACED, "-t", "--upstream", "http://127.0.0.1:1"), (OK, ""), "upstreams")


def test_a_first_push_replaces_them(t):
    p = Place(t, ROUTES, config=REPLACED, flags=["--upstream", "http://127.0.0.1:1"])
    t.equal(told(p.g), [], "while the upstreams are in force")
    p.push()
    t.check(p.g.wait_event(lambda e: e.get("event") == "config_without_effect"), "not told")
    p.push()
    t.equal(len(told(p.g)), len(WARNED), "once")


# --- Wrong from the start ----------------------------------------------------------------------


def test_a_wrong_file(t):
    file = t.path("p.yaml")
    with open(file, "w", encoding="utf-8") as f:
        f.write("version: 1\nservices:\n  a: {}\nroutes:\n  - name: r\n    servise: a\n")
    both(t, {"policy": file}, f"{file}:6:5: routes[0]: unknown key")
    both(t, {}, f"{file}:6:5: routes[0]: unknown key", flags=["--policy", file])
    both(t, {"policy": t.path("nowhere.yaml")}, "nowhere.yaml")


def test_the_file_is_tested_even_where_the_folder_goes_before_it(t):
    p = Place(t, ROUTES)
    p.push()
    with open(p.file, "w", encoding="utf-8") as f:
        f.write("version: 3\n")
    code, err = run(t, {"policy": p.file, "state": p.state}, "-t")
    t.check(code == NO_CONFIG and f"{p.file}:1:10: version" in err, f"exit {code}: {err}")
    restart(p)
    t.equal(p.ask("/"), "a", "a start that does not need it")


def test_a_folder_that_keeps_nothing(t):
    missing, file = t.path("missing"), t.path("file")
    with open(file, "w", encoding="ascii"):
        pass
    upstream = ["--upstream", "http://127.0.0.1:1"]
    both(t, {"state": missing}, f"state: {missing}: No such file", "may write")
    both(t, {}, f"state: {missing}: No such file", flags=["--state", missing])
    both(t, {"state": file}, f"state: {file}: Not a directory")
    t.equal(run(t, {"state": missing}, "-t", "--state", "off", *upstream)[0], OK, "switched off")


def test_what_is_kept_is_damaged(t):
    p = Place(t, ROUTES)
    p.push()
    p.push()
    p.g.process.kill()
    t.forget(p.g)
    kept = os.path.join(p.state, "policy")
    os.truncate(kept, 10)
    config = {"policy": p.file, "state": p.state}
    both(t, config, f"{kept}: is damaged", "move it away", "policy.N")
    os.rename(os.path.join(p.state, "policy.2"), kept)
    p.g = p.start()
    t.equal(p.push()["generation"], 3, "the remedy that was told")


def test_what_stands_in_the_sockets_place(t):
    plain, link, folder = t.path("plain"), t.path("link"), t.path("folder")
    with open(plain, "w", encoding="ascii"):
        pass
    os.symlink(t.path("elsewhere"), link)
    os.mkdir(folder)
    for path, what in ((plain, "a regular file"), (link, "a symbolic link"), (folder, "a folder")):
        code, err = run(t, {}, "--upstream", "http://127.0.0.1:1", "--control", path)
        t.check(code == 1 and path in err and what in err, f"exit {code}, said {err!r}")
        t.check(os.path.lexists(path), f"{path} is gone")


# --- Upstreams and a folder --------------------------------------------------------------------


def test_upstreams_go_before_what_is_kept(t):
    """And that is told. The numbers go on, and what was pushed is there for another start."""
    u = t.upstream()
    p = Place(t, ROUTES, flags=["--upstream", u.url, "--state", t.path("state")])
    t.equal(t.client(p.g).ask("GET", "/").status, 200, "the upstream")
    t.equal(p.push()["kept"], True, "kept")
    t.equal(p.push()["generation"], 3, "and another")
    restart(p)
    t.equal(t.client(p.g).ask("GET", "/", host="any").status, 200, "the upstream again")
    said = p.g.wait_event(lambda e: e.get("event") == "kept_policy_without_effect")
    t.check(said and "without --policy and --upstream" in said["text"], f"{said}")
    t.equal((said["folder"], said["generation"]), (p.state, 3), "which one")
    t.equal(p.push()["generation"], 5, "the numbers go on")
    code, out, _ = gwtool(t, "--socket", p.g.control_path, "--json", "history")
    t.equal((code, [one["generation"] for one in json.loads(out)]), (0, [5, 3, 2]), "all kept")
    p.kw["flags"] = []
    restart(p)
    t.equal(p.ask("/"), "a", "what was pushed last")
    t.equal(told(p.g, "kept_policy_without_effect"), [], "nothing goes before it")


def test_upstreams_alone_keep_nothing(t):
    u = t.upstream()
    p = Place(t, ROUTES, flags=["--upstream", u.url])
    t.equal(p.push()["kept"], False, "the folder is the configuration's")
