# SPDX-License-Identifier: Apache-2.0
"""A gateway that decides by a policy, and the origins that it decides between."""
import json
import os

from .programs import complaints, gwtool
from .upstream import response


class Place:
    """A gateway in front of two origins that say their names."""

    def __init__(self, t, policy, state=True, **kw):
        self.t = t
        self.a = t.upstream(lambda c, m: c.send(response(200, b"a")))
        self.b = t.upstream(lambda c, m: c.send(response(200, b"b")))
        self.file = os.path.join(t.folder, "policy.yaml")
        self.state = os.path.join(t.folder, "state")
        os.makedirs(self.state, exist_ok=True)
        self.write(policy)
        self.config = dict(kw.pop("config", {}), policy=self.file)
        if state:
            self.config["state"] = self.state
        self.kw = kw
        self.g = self.start()

    def start(self, **config):
        return self.t.gateway(config=dict(self.config, **config), **self.kw)

    def address(self, upstream):
        return upstream.url.partition("://")[2]

    def write(self, routes, services=None, **rest):
        """JSON is YAML. Routes: (name, match, service, ...)."""
        services = services or {"a": {"endpoints": [{"address": self.address(self.a)}]},
                                "b": {"endpoints": [{"address": self.address(self.b)}]}}
        whole = {"version": 1, "services": services,
                 "routes": [dict({"name": n, "match": m, "service": s}, **(more[0] if more else {}))
                            for n, m, s, *more in routes]}
        whole.update(rest)
        with open(self.file, "w", encoding="utf-8") as f:
            json.dump(whole, f)

    def push(self, *flags, want=0):
        code, out, err = gwtool(self.t, "--socket", self.g.control_path, "--json", "push-policy",
                                self.file, *flags)
        self.t.equal((code, err), (want, ""), f"exit code ({out})")
        if code != 0:
            return complaints(out)
        r = json.loads(out)
        if any(w["adopt_us"] is None for w in r.get("workers", [])):
            self.wait_adopted(r)
        return r

    def wait_adopted(self, reply):
        """An answer waits 50 ms for the workers; a loaded machine may take longer."""
        n = reply["generation"]
        self.t.check(self.g.wait_metric(lambda m: all(
            m.sum("gateway_policy_generation", worker=str(w["worker"])) == n
            for w in reply["workers"])), f"not adopted: {reply['workers']}")

    def ask(self, path, host="h", method="GET", fields=(), client=None):
        c = client or self.t.client(self.g)
        r = c.ask(method, path, list(fields), host=host)
        body = r.body.decode()
        return body if r.status == 200 else (r.status, json.loads(body)["reason"])
