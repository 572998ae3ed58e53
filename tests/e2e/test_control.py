# SPDX-License-Identifier: Apache-2.0
"""The control socket and `gwtool status`."""
import grp
import json
import os
import shutil
import stat
import struct
import subprocess

from harness.certs import Cert, client_context
from harness.control import Control, pack
from harness.gateway import PROGRAM, Failed
from harness.programs import gwtool

# The frame that the design gives as its example: status, id 1, no arguments.
EXAMPLE = bytes.fromhex("0000001d84a17601a2696401a7636f6d6d616e64a6737461747573a46172677380")


def test_status(t):
    g, _ = t.pair()
    with Control(g.control_path) as c:
        c.sock.sendall(EXAMPLE)
        r = c.reply()
        t.check(r and r.get("v") == 1 and r.get("id") == 1 and r.get("ok") is True, f"reply {r}")
        t.check(isinstance(r["result"], dict) and r["result"], "an empty status")


def test_requests_are_answered_in_order(t):
    g, _ = t.pair()
    with Control(g.control_path) as c:
        for i in range(20):
            c.send_frame(pack({"v": 1, "id": i, "command": "status", "args": {}}))
        t.equal([c.reply()["id"] for _ in range(20)], list(range(20)), "identifiers of the replies")


def test_a_frame_in_pieces(t):
    g, _ = t.pair()
    with Control(g.control_path) as c:
        for i in range(len(EXAMPLE)):
            c.sock.sendall(EXAMPLE[i:i + 1])
        t.check(c.reply()["ok"] is True, "not answered")


def test_unknown_command(t):
    g, _ = t.pair()
    with Control(g.control_path) as c:
        r = c.ask("no_such_command", ident=7)
        t.equal((r["id"], r["ok"]), (7, False), "reply")
        t.check({"code", "path", "message"} <= set(r["error"]), f"error {r['error']}")
        t.check(c.ask("status")["ok"], "a refused command must not end the connection")


BAD = [
    ("a length of 0", struct.pack(">I", 0)),
    ("a length of 2^32 - 1", struct.pack(">I", 0xffffffff)),
    ("no msgpack", struct.pack(">I", 1) + b"\xc1"),
    ("no map", struct.pack(">I", 1) + b"\x01"),
    ("a map that ends early", struct.pack(">I", 3) + b"\x84\xa1v"),
    ("an array of 2^32 - 1", struct.pack(">I", 5) + b"\xdd\xff\xff\xff\xff"),
    ("nested arrays", struct.pack(">I", 5000) + b"\x91" * 5000),
    ("a key twice", struct.pack(">I", 7) + b"\x82\xa1v\x01\xa1v\x01"),
    ("bytes behind the map", struct.pack(">I", 30) + EXAMPLE[4:] + b"\x01"),
    ("another version", struct.pack(">I", 29) + EXAMPLE[4:].replace(b"\xa1v\x01", b"\xa1v\x02")),
]


def test_malformed_frames(t):
    """Answered with an error or not at all, and the connection ends; the daemon goes on."""
    g, _ = t.pair()
    for name, data in BAD:
        with Control(g.control_path) as c:
            c.sock.sendall(data)
            r = c.reply()
            if r is not None and r.get("ok") is not False:
                t.note(f"{name}: {r}")
            if r is not None and c.reply() is not None:
                t.note(f"{name}: the connection goes on")
    with Control(g.control_path) as c:
        t.check(c.ask("status")["ok"], "status afterwards")


def test_half_a_frame(t):
    """Half a frame and silence is ended; meanwhile others are served."""
    g, _ = t.pair()
    with Control(g.control_path) as half, Control(g.control_path) as other:
        half.sock.sendall(EXAMPLE[:10])
        t.check(other.ask("status")["ok"], "another connection")
        r = half.reply()
        t.check(r and r["ok"] is False and r["error"]["code"] == "timeout",
                f"reply to half a frame: {r}")
        t.equal(half.reply(), None, "after the last words")


def test_too_many_connections(t):
    g, _ = t.pair()
    held = [Control(g.control_path) for _ in range(16)]
    t.check(held[-1].ask("status")["ok"], "the sixteenth connection")
    with Control(g.control_path) as c:
        t.equal(c.reply()["error"]["code"], "busy", "the seventeenth connection")
        t.equal(c.reply(), None, "which is not kept")
    for c in held:
        c.close()


def test_mode_and_leftovers(t):
    g, u = t.pair()
    mode = os.stat(g.control_path).st_mode
    t.check(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660, f"mode {oct(mode)}")
    path = g.control_path
    g.process.kill()
    g.process.wait()
    t.forget(g)
    t.check(os.path.exists(path), "a killed daemon cannot tidy up; the test is void")
    again = t.gateway(u, control=path)
    with Control(path) as c:
        t.check(c.ask("status")["ok"], "a stale socket is replaced")
    try:
        second = t.gateway(u, rest=False, control=path)
        with Control(path) as c:
            t.check(c.ask("status")["result"].get("pid") in (again.process.pid, None),
                    "the socket of a live daemon was taken")
        t.check(second.running() and any("control" in line for line in second.stderr_lines),
                "nothing is said about it")
    except Failed:
        pass


def test_killed_and_started_at_once(t):
    """The kernel gives up what a killed process's rings accept on a moment after the process."""
    u = t.upstream()
    path, front = t.path("control.sock"), t.path("front.sock")
    config = {"listeners": [{"address": "127.0.0.1:0"}, {"address": f"unix:{front}"}]}
    g = t.gateway(u, rest=False, control=path, config=config)
    admin = "{}:{}".format(*g.admin)
    for _ in range(8):
        g.process.kill()
        g.process.wait()
        t.forget(g)
        g = t.gateway(u, rest=False, control=path, config=config, flags=("--admin", admin))
        with Control(path) as c:
            t.check(c.ask("status")["ok"], "the control socket")
        t.equal(t.client(front).ask().status, 200, "answer on the Unix socket")
        t.equal(g.admin_get("/livez")[0], 200, "/livez")


def test_regular_file_is_not_replaced(t):
    u = t.upstream()
    with open(t.path("precious"), "w", encoding="ascii") as f:
        f.write("data")
    try:
        t.gateway(u, rest=False, control=t.path("precious"))
    except Failed:
        pass
    with open(t.path("precious"), encoding="ascii") as f:
        t.equal(f.read(), "data", "content of a file that stood in the way")


def test_gwtool_status(t):
    g, _ = t.pair()
    code, out, err = gwtool(t, "--socket", g.control_path, "--json", "status")
    t.equal(code, 0, f"exit code; said {err[-200:]!r}")
    t.check(isinstance(json.loads(out), dict), f"printed {out[:200]!r}")
    code, out, _ = gwtool(t, "--socket", g.control_path, "status")
    t.check(code == 0 and out.strip(), "the form for people is empty")
    code, _, err = gwtool(t, "--socket", t.path("nobody.sock"), "status")
    t.check(code == 1 and "nobody.sock" in err, f"exit {code}, said {err[-200:]!r}")
    code, _, err = gwtool(t, "no-such-command")
    t.check(code == 2 and err, f"exit {code}, said {err[-200:]!r}")


def test_gwtool_reload(t):
    """What HUP does, with its outcome: 'adopted' is true of every worker."""
    folder = os.path.join(t.folder, "certs")
    os.mkdir(folder)
    old, new = Cert(folder, "old", ["site.test"]), Cert(folder, "new", ["site.test"])
    g = t.gateway(t.upstream(), listener={"tls": {"certificates": [old.as_config()]}})

    def shown(cert):
        return t.client(g, tls=client_context(cert), name="site.test").ask("GET", "/").status

    t.equal(shown(old), 200, "before")
    shutil.copy(new.cert, old.cert)
    code, out, err = gwtool(t, "--socket", g.control_path, "reload")
    t.check(code == 78 and "is not the key of the certificate" in err and "listeners[0].tls" in err,
            f"a key that is not the certificate's: exit {code}, said {err!r}")
    shutil.copy(new.key, old.key)
    code, out, err = gwtool(t, "--socket", g.control_path, "--json", "reload")
    t.equal((code, json.loads(out)), (0, {"generation": 2, "adopted": True}), "the outcome")
    t.equal(shown(new), 200, "after")
    g.write_config({"workers": 7}, {"tls": {"certificates": [old.as_config()]}})
    code, _, err = gwtool(t, "--socket", g.control_path, "reload")
    t.check(code == 78 and "cannot change without a restart" in err, f"exit {code}, said {err!r}")
    t.equal(shown(new), 200, "after a refusal")


test_gwtool_reload.clear = True  # It brings certificates of its own.


def ask_as_nobody(path):
    """Exit code of a process of another user that asks for the status: 0 when it is not answered.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 2
    try:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with Control(path) as c:
            code = 0 if c.ask("status") is None else 1
    except (BrokenPipeError, ConnectionResetError, PermissionError):
        code = 0
    finally:
        os._exit(code)


def test_other_users_are_refused(t):
    """The socket's mode keeps others out; and who gets in by its folder is asked who he is."""
    if os.geteuid():
        t.skip("must be root to become somebody else")
    g, _ = t.pair()
    os.chmod(g.control_path, 0o666)
    t.equal(ask_as_nobody(g.control_path), 0, "a stranger's request (0: not answered)")
    said = g.wait_event(lambda e: e.get("event") == "control_denied")
    t.check(said and said["uid"] == 65534, f"in the log: {said}")
    t.equal(g.metrics().sum("gateway_policy_push_total", result="denied"), 1, "counted")


def test_a_group_at_the_default_path(t):
    """Its members get to the socket: the folder lets them in, and nobody else."""
    if os.geteuid():
        t.skip("must be root to have a /run of its own")
    own_run = ["unshare", "-m", "sh", "-c", 'umask 077; mount -t tmpfs none /run && exec "$@"', "sh"]
    g = t.gateway(t.upstream(), control="auto", prefix=own_run,
                  config={"control": {"group": "daemon"}})
    gid = grp.getgrnam("daemon").gr_gid
    path = f"/proc/{g.process.pid}/root/run/sluice"
    for what, mode in ((path, stat.S_IFDIR | 0o750), (path + "/control.sock", stat.S_IFSOCK | 0o660)):
        s = os.stat(what)
        t.equal((oct(s.st_mode), s.st_uid, s.st_gid), (oct(mode), 0, gid), what)
