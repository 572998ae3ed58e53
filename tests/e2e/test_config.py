# SPDX-License-Identifier: Apache-2.0
"""Configuration file, flags, environment, exit codes."""
import json
import os
import re
import socket
import subprocess

from harness.client import Client
from harness.gateway import PROGRAM

USAGE, NO_CONFIG, RUN_TIME = 2, 78, 1
GOOD = """\
listeners:
  - address: "127.0.0.1:0"
    trusted_proxies: ["10.0.0.0/8"]
limits: {head_bytes: 16KiB, head_fields: 50}
timeouts: {head: 5s, keepalive: 1m, body_idle: 1500ms}
access_log: {path: off, sample: 1}
"""


def run(t, *argv, text=None, env=None, timeout_s=20):
    """The program run to its end: (exit code, stdout, stderr). A text becomes sluice.yaml, named by -c."""
    argv = [PROGRAM, *argv]
    if text is not None:
        with open(t.path("sluice.yaml"), "w", encoding="utf-8") as f:
            f.write(text)
        argv += ["-c", t.path("sluice.yaml")]
    clean = {k: v for k, v in os.environ.items() if k not in ("LISTEN_ADDR", "UPSTREAM_URL")}
    p = subprocess.run(argv, capture_output=True, timeout=timeout_s, env=dict(clean, **(env or {})),
                       check=False)
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


# name, file, line, column (None: any), what the message must name
BROKEN = [
    ("an unknown key", "limitz: {}\n", 1, 1, ["limitz", "limits"]),
    ("an unknown key below", "limits: {head_byte: 1KiB}\n", 1, 10, ["head_byte", "head_bytes"]),
    ("an unknown key in a list", "listeners:\n  - adress: \"127.0.0.1:0\"\n", 2, 5,
     ["adress", "address"]),
    ("a span without a unit", "timeouts: {head: 10}\n", 1, 18, ["timeouts.head", "10"]),
    ("a span with a wrong unit", "timeouts: {head: 10x}\n", 1, 18, ["timeouts.head", "10x"]),
    ("a span out of range", "timeouts:\n  head: 1000d\n", 2, 9, ["timeouts.head"]),
    ("a negative span", "timeouts: {head: -1s}\n", 1, 18, ["timeouts.head"]),
    ("a size without a unit", "limits: {head_bytes: 10}\n", 1, 22, ["limits.head_bytes"]),
    ("a size out of range", "limits: {head_bytes: 10GiB}\n", 1, 22, ["limits.head_bytes"]),
    ("a text for a number", "limits: {head_fields: many}\n", 1, 23, ["limits.head_fields", "many"]),
    ("a number out of range", "limits: {head_fields: 100000}\n", 1, 23, ["limits.head_fields"]),
    ("a list for a map", "limits: [1, 2]\n", 1, 9, ["limits"]),
    ("a map for a list", "listeners: {a: b}\n", 1, 12, ["listeners"]),
    ("a key twice", "limits: {head_fields: 10}\nlimits: {head_fields: 20}\n", 2, 1, ["limits"]),
    ("a key twice below", "limits: {head_fields: 10, head_fields: 20}\n", 1, 27, ["head_fields"]),
    ("a bad address", "listeners: [{address: \"nowhere\"}]\n", 1, None, ["nowhere"]),
    ("a bad port", "listeners: [{address: \"127.0.0.1:70000\"}]\n", 1, None, ["70000"]),
    ("a bad network",
     "listeners: [{address: \"127.0.0.1:0\", trusted_proxies: [\"10.0.0.0/99\"]}]\n", 1, None,
     ["10.0.0.0/99"]),
    ("an anchor", "limits: &a {head_fields: 10}\n", 1, None, []),
    ("an alias", "limits: *a\n", 1, None, []),
    ("a tag", "limits: !x {head_fields: 10}\n", 1, None, []),
    ("not YAML", "limits: {head_fields: 10\n", None, None, []),
    ("a tab for indentation", "limits:\n\thead_fields: 10\n", 2, None, []),
    ("a scalar at the top", "hello\n", 1, 1, []),
    ("two documents", "limits: {}\n---\nlimits: {}\n", None, None, []),
    ("yes for a boolean", "splice: {enabled: yes}\n", 1, 19, ["splice.enabled"]),
    ("invalid UTF-8", None, None, None, []),
    ("nested too deep", "limits: " + "[" * 60 + "]" * 60 + "\n", 1, None, []),
]


def test_broken_files(t):
    """Each is refused with exit 78, and the message says where."""
    for name, text, line, column, words in BROKEN:
        if text is None:
            with open(t.path("sluice.yaml"), "wb") as f:
                f.write(b"limits: {head_fields: \xff\xfe}\n")
            code, out, err = run(t, "-t", "-c", t.path("sluice.yaml"))
        else:
            code, out, err = run(t, "-t", text=text)
        said = out + err
        if code != NO_CONFIG:
            t.note(f"{name}: exit {code}, want {NO_CONFIG}; said {said[-300:]!r}")
            continue
        place = re.search(r"sluice\.yaml:(\d+):(\d+)", said)
        if not place:
            t.note(f"{name}: no file:line:column in {said[-300:]!r}")
            continue
        if line and int(place.group(1)) != line or column and int(place.group(2)) != column:
            t.note(f"{name}: at {place.group(0)}, want {line}:{column}")
        for word in words:
            if word not in said:
                t.note(f"{name}: {word!r} is not named in {said[-300:]!r}")


def test_broken_file_at_start(t):
    """Not only -t: the daemon does not start with it either."""
    code, _, err = run(t, "--upstream", "http://127.0.0.1:1", "--admin", "127.0.0.1:0",
                       text="limitz: {}\n")
    t.equal(code, NO_CONFIG, "exit code")
    t.check("sluice.yaml:1:1" in err, f"said {err[-300:]!r}")


def test_good_file(t):
    code, out, err = run(t, "-t", "--upstream", "http://127.0.0.1:1", text=GOOD)
    t.equal(code, 0, f"exit code of -t; said {(out + err)[-300:]!r}")


def test_effective_configuration(t):
    """-T prints what is in force, in a form that is read again to the same."""
    code, first, err = run(t, "-T", "--upstream", "http://127.0.0.1:1", text=GOOD)
    t.equal(code, 0, f"exit code of -T; said {err[-300:]!r}")
    for word in ("head_fields: 50", "16KiB", "10.0.0.0/8"):
        t.check(word in first, f"{word!r} is not in {first[:600]!r}")
    code, second, err = run(t, "-T", "--upstream", "http://127.0.0.1:1", text=first)
    t.equal((code, second), (0, first), f"-T of its own output; said {err[-300:]!r}")


def test_json_file(t):
    with open(t.path("conf.json"), "w", encoding="utf-8") as f:
        json.dump({"limits": {"head_fields": 50}}, f)
    code, out, err = run(t, "-T", "-c", t.path("conf.json"), "--upstream", "http://127.0.0.1:1")
    t.check(code == 0 and "head_fields: 50" in out, f"exit {code}; said {(out + err)[-300:]!r}")
    with open(t.path("conf.json"), "w", encoding="utf-8") as f:
        f.write('{"limits": {"head_fields": "x"}}')
    code, out, err = run(t, "-t", "-c", t.path("conf.json"))
    t.check(code == NO_CONFIG and "conf.json:1:" in out + err,
            f"exit {code}; said {(out + err)[-300:]!r}")


def test_usage(t):
    for argv in (["--no-such-flag"], ["--workers"], ["--workers", "0"], ["--workers", "x"],
                 ["stray"], ["-c"]):
        code, out, err = run(t, *argv)
        t.check(code in (USAGE, NO_CONFIG) and (out + err).strip(),
                f"{argv}: exit {code}, said {(out + err)[-200:]!r}")
    code, out, err = run(t, "--no-such-flag")
    t.check(code == USAGE and "--no-such-flag" in err, f"exit {code}, said {err[-200:]!r}")
    code, out, _ = run(t, "--help")
    t.check(code == 0 and "--upstream" in out and "--listen" in out,
            f"--help: exit {code}, {out[:100]!r}")
    code, out, _ = run(t, "-V")
    t.check(code == 0 and "sluice" in out and "llhttp" in out and "liburing" in out,
            f"-V: exit {code}, {out[:200]!r}")


def test_missing_file(t):
    code, _, err = run(t, "-c", t.path("nothing.yaml"))
    t.check(code == NO_CONFIG and "nothing.yaml" in err, f"exit {code}, said {err[-200:]!r}")


def test_bad_upstreams(t):
    for url in ("ftp://a/", "http://", "http://a:0", "http://a:99999", "unix:", "http://u@a/",
                "http://a/x?y", "nonsense"):
        code, out, err = run(t, "-t", "--upstream", url)
        t.check(code in (USAGE, NO_CONFIG) and url in out + err,
                f"{url}: exit {code}, said {(out + err)[-200:]!r}")


def test_check_env(t):
    code, out, err = run(t, "--check-env")
    t.equal(code, 0, f"exit code; said {(out + err)[-500:]!r}")
    t.check("io_uring" in out, f"io_uring is not mentioned in {out[:300]!r}")


def test_address_in_use(t):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        address = f"127.0.0.1:{s.getsockname()[1]}"
        code, _, err = run(t, "--listen", address, "--upstream", "http://127.0.0.1:1", "--admin",
                           "127.0.0.1:0",
                           "--control", t.path("c.sock"))
        t.check(code == RUN_TIME and address in err, f"exit {code}, said {err[-300:]!r}")


def test_flags_alone(t):
    """--listen and --upstream are enough; several listeners each say where they are."""
    u = t.upstream()
    g = t.gateway(u, flags=["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
    t.check(g.wait_event(lambda e: len(g.addresses) >= 2), f"listeners {g.addresses}")
    for address in g.addresses:
        with Client(address) as c:
            t.equal(c.ask("GET", "/x").body, b"GET /x 0 ", f"answer at {address}")


def test_two_listeners(t):
    u = t.upstream()
    two = [{"address": "127.0.0.1:0"},
           {"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.0/8"]}]
    g = t.gateway(u, config={"listeners": two})
    t.check(g.wait_event(lambda e: len(g.addresses) == 2), f"listeners {g.addresses}")
    got = []
    for address in g.addresses:
        with Client(address) as c:
            c.ask("GET", "/", [("X-Forwarded-For", "6.6.6.6")])
            got.append(u.messages[-1].get("x-forwarded-for"))
    t.equal(sorted(got), ["127.0.0.1", "6.6.6.6, 127.0.0.1"], "X-Forwarded-For by listener")


def test_environment_of_the_article(t):
    """Without file and flags the environment decides."""
    with socket.socket() as s:
        s.settimeout(0.2)
        if s.connect_ex(("127.0.0.1", 9901)) == 0:
            t.skip("the default admin port 9901 is taken")
    u = t.upstream()
    g = t.gateway(bare=True, env={
        "LISTEN_ADDR": "127.0.0.1:0", "UPSTREAM_URL": u.url, "READ_TIMEOUT": "5s",
        "WRITE_TIMEOUT": "10s",
        "IDLE_TIMEOUT": "60s", "MAX_IDLE_CONNS": "100", "MAX_IDLE_CONNS_PER_HOST": "10",
        "CONN_TIMEOUT": "1s",
        "XDG_RUNTIME_DIR": t.folder})
    with Client(g.address) as c:
        t.equal(c.ask("GET", "/env").body, b"GET /env 0 ", "answer")
    code, _, err = run(t,
                       env={"LISTEN_ADDR": "127.0.0.1:0", "UPSTREAM_URL": u.url,
                            "READ_TIMEOUT": "never"})
    t.check(code in (USAGE, NO_CONFIG) and "READ_TIMEOUT" in err,
            f"exit {code}, said {err[-200:]!r}")


test_environment_of_the_article.serial = True


def test_allowed_hosts(t):
    g, u = t.pair(config={"allowed_hosts": ["a.example", "*.b.example"]})
    c = t.client(g)
    for host, want in (("a.example", 200), ("A.EXAMPLE:80", 200), ("x.b.example", 200),
                       ("b.example", 421),
                       ("evil.example", 421), ("a.example.evil", 421)):
        t.equal(c.ask("GET", "/", host=host).status, want, f"status for {host}")
    t.equal(len(u.messages), 3, "requests at the upstream")
    t.check(g.wait_metric(lambda m: m.sum("gateway_rejected_requests_total",
                                          reason="host_not_allowed") == 3), "not counted")


for _fn in (test_flags_alone, test_two_listeners, test_environment_of_the_article):
    _fn.clear = True  # No file gives its listener a certificate.
