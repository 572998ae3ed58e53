# SPDX-License-Identifier: Apache-2.0
"""gwtool diff-policy: a file beside the policy in force, and two files."""
import json
import os

from harness.place import Place
from harness.programs import gwtool

OLD = """
version: 1
services:
  users: {endpoints: [{address: "127.0.0.1:1"}, {address: "127.0.0.1:2"}], timeouts: {idle: 1m}}
  old: {}
routes:
  - {name: users-api, match: {path_prefix: /u, methods: [GET]}, service: users}
  - {name: v1.x, match: {path_prefix: /x}, service: old, max_body: 2MiB}
limits:
  per-client: {rate: 100/s}
"""
NEW = """
version: 1
enabled: true
services:
  users: {endpoints: [{address: "127.0.0.1:2"}, {address: "127.0.0.1:3"}], timeouts: {idle: 60s}}
  new: {}
routes:
  - {name: v1.x, match: {path_prefix: /x}, service: new, max_body: 2048KiB}
  - name: users-api
    match: {path_prefix: /u, methods: [GET, POST]}
    service: users
    max_body: 3MiB
    limits: [per-client]
    request_headers: {set: {x-a: one}}
limits:
  per-client: {rate: 50/s, key: client_ip}
"""
CHANGES = """\
+ services.new
- services.old
- services.users.endpoints["127.0.0.1:1"]
+ services.users.endpoints["127.0.0.1:3"]
~ routes.users-api.match.methods: ["GET"] -> ["GET","POST"]
+ routes.users-api.request_headers.set.x-a: one
+ routes.users-api.max_body: 3MiB
+ routes.users-api.limits: ["per-client"]
~ routes["v1.x"].service: old -> new
~ limits.per-client.rate: 100/s -> 50/s
"""


def write(t, name, text):
    path = os.path.join(t.folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def test_two_files(t):
    old, new = write(t, "old.yaml", OLD), write(t, "new.yaml", NEW)
    t.equal(gwtool(t, "diff-policy", old, new), (1, CHANGES, ""), "changes")
    t.equal(gwtool(t, "diff-policy", old, old), (0, "", ""), "none")
    t.equal(gwtool(t, "diff-policy", new, old)[1].count("\n"), CHANGES.count("\n"), "backwards")


def test_moved_routes_are_no_change(t):
    routes = [{"name": f"r{i}", "match": {"path_prefix": f"/{i}"}, "respond": {"status": 204}}
              for i in range(2000)]
    old = write(t, "old.json", json.dumps({"version": 1, "routes": routes}))
    routes.reverse()
    new = write(t, "new.json", json.dumps({"version": 1, "routes": routes}))
    t.equal(gwtool(t, "diff-policy", old, new), (0, "", ""), "moved")
    routes[7]["respond"]["status"] = 205
    new = write(t, "new.json", json.dumps({"version": 1, "routes": routes}))
    t.equal(gwtool(t, "diff-policy", old, new),
            (1, "~ routes.r1992.respond.status: 204 -> 205\n", ""), "one of them has changed")


def test_as_json(t):
    old, new = write(t, "old.yaml", OLD), write(t, "new.yaml", NEW)
    code, out, _ = gwtool(t, "--json", "diff-policy", old, new)
    changes = json.loads(out)
    t.equal((code, len(changes)), (1, CHANGES.count("\n")), "all of them")
    t.equal(changes[0], {"change": "added", "path": "services.new", "after": {}}, "the first")
    t.equal(changes[-1], {"change": "changed", "path": "limits.per-client.rate", "before": "100/s",
                          "after": "50/s"}, "the last")
    t.equal(gwtool(t, "--json", "diff-policy", old, old), (0, "[]\n", ""), "none")


def test_wrong_files_and_arguments(t):
    old, bad = write(t, "old.yaml", OLD), write(t, "bad.yaml", "version: 7\n")
    for pair in ((old, bad), (bad, old)):
        code, out, err = gwtool(t, "diff-policy", *pair)
        t.equal((code, out), (78, ""), f"{pair}")
        t.check(f"{bad}:1:10: version: 7 is too large" in err, err)
    t.equal(gwtool(t, "diff-policy")[0], 2, "no file")
    t.equal(gwtool(t, "diff-policy", old, old, old)[0], 2, "three")
    code, out, err = gwtool(t, "--socket", os.path.join(t.folder, "none"), "diff-policy", old)
    t.equal((code, out), (2, ""), "no daemon: not as if something differed")
    t.check("is sluice running?" in err, err)


def test_with_the_policy_in_force(t):
    p = Place(t, [("a", {"path_prefix": "/"}, "a"), ("b", {"path_prefix": "/b"}, "b")])

    def diff():
        return gwtool(t, "--socket", p.g.control_path, "diff-policy", p.file)

    t.equal(diff(), (0, "", ""), "as it was started with")
    p.write([("b", {"path_prefix": "/b"}, "b"), ("a", {"path_prefix": "/"}, "a", {"max_body": "5B"})])
    t.equal(diff(), (1, "+ routes.a.max_body: 5B\n", ""), "not yet in force")
    t.equal(p.ask("/"), "a", "nothing was pushed")
    p.push()
    t.equal(diff(), (0, "", ""), "in force")


def test_without_a_policy_in_force(t):
    g, _ = t.pair()
    code, out, err = gwtool(t, "--socket", g.control_path, "diff-policy", write(t, "o.yaml", OLD))
    t.equal((code, err), (1, ""), "what the command line says is a policy, too")
    t.check("- services.default\n" in out and "+ services.users\n" in out, out)
