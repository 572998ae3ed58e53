# SPDX-License-Identifier: Apache-2.0
"""What a test function gets: makers of gateways, upstreams and clients, which are all taken down
after it.
"""
import os
import shutil
import tempfile

from .client import Client
from .gateway import Gateway, ROOT
from .h2client import H2Client
from .upstream import Upstream, echo

FULL = os.environ.get("GW_FULL") == "1"
LARGE = os.environ.get("GW_LARGE") == "1"


class Skipped(Exception):
    """The test cannot run here; the message says why."""


class CheckFailed(AssertionError):
    """A check of a test does not hold."""


class Case:
    """One run of one test."""

    full = FULL
    large = LARGE
    root = ROOT

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        os.chmod(self.folder, 0o755)
        self.failures = []
        self._gateways = []
        self._upstreams = []
        self._clients = []
        self._endings = []

    def skip(self, why):
        raise Skipped(why)

    def check(self, holds, message):
        """The test ends here unless holds."""
        if not holds:
            raise CheckFailed(message() if callable(message) else message)

    def equal(self, got, want, what):
        self.check(got == want, f"{what}: got {got!r}, want {want!r}")

    def note(self, message):
        """A failure after which the test goes on."""
        self.failures.append(message)

    def upstream(self, handler=echo, **kw):
        return self.keep_upstream(Upstream(handler, **kw))

    def keep_upstream(self, u):
        """An upstream of any kind, to be looked at and stopped at the end."""
        self._upstreams.append(u)
        return u

    def gateway(self, *upstreams, rest=True, **kw):
        """A gateway in front of these; rest=False when the test leaves it in a state that isn't
        rest.
        """
        folder = tempfile.mkdtemp(prefix="gateway", dir=self.folder)
        os.chmod(folder, 0o755)
        if kw.get("user"):
            shutil.chown(folder, kw["user"])
        g = Gateway(folder, upstreams, **kw)
        self._gateways.append((g, rest))
        return g

    def forget(self, gateway):
        """The test has ended this gateway in its own way."""
        gateway.stop()
        self._gateways = [(g, rest) for g, rest in self._gateways if g is not gateway]

    def pair(self, handler=echo, **kw):
        """(gateway, upstream)"""
        u = self.upstream(handler)
        return self.gateway(u, **kw), u

    def client(self, gateway, **kw):
        c = Client(gateway.address if isinstance(gateway, Gateway) else gateway, **kw)
        self._clients.append(c)
        return c

    def h2client(self, gateway, **kw):
        c = H2Client(gateway.address if isinstance(gateway, Gateway) else gateway, **kw)
        self._clients.append(c)
        return c

    def at_end(self, fn):
        """Called after the gateways have gone."""
        self._endings.append(fn)

    def path(self, name):
        return os.path.join(self.folder, name)

    def finish(self):
        """Close the clients, look for leaks and for anything odd that reached an upstream."""
        for c in self._clients:
            c.close()
            for v in getattr(c, "violations", []):
                self.note(f"breaks RFC 9113: {v}")
        for g, rest in self._gateways:
            if not g.running():
                code = g.process.returncode
                if rest and code != 0:
                    self.note(f"the gateway ended with {code}: {g.stderr_lines[-3:]}")
            elif rest:
                held = g.at_rest()
                if held:
                    self.note(f"held after the last client left: {held}")
        for u in self._upstreams:
            for v in u.violations:
                self.note(f"upstream got bytes that are no message: {v}")

    def clean(self):
        for g, _ in self._gateways:
            g.stop()
        for u in self._upstreams:
            u.stop()
        for fn in self._endings:
            fn()
        shutil.rmtree(self.folder, ignore_errors=True)
