# SPDX-License-Identifier: Apache-2.0
"""The file of HTTP/2 vectors: reading it, checking its form, saying its steps on a connection, and
judging what came of them. tests/vectors/README.md tells the language.
"""
import json
import os
import re

from . import h2frames as f, vectors
from .client import Ended
from .gateway import ROOT

PATH = os.path.join(ROOT, "tests", "vectors", "h2.jsonl")
FIELDS = {"id", "row", "note", "send", "want", "reason", "upstream", "forward", "forward_next",
          "reply", "config", "tls", "hello", "settings", "upstream_sends", "then", "active_max",
          "cancelled", "rss_kib", "judged", "grants", "huffman"}
NEEDED = {"id", "row", "note", "send", "want", "upstream"}
PROBE = "/probe-of-the-runner"
STEPS = {"request", "head", "trailers", "data", "block", "frame", "raw", "rst", "settings", "ping",
         "goaway", "grant", "repeat", "wait", "body"}
# What may stand beside them in a step.
OPTIONS = {"fields", "end", "on", "pad", "priority", "parts", "flags", "payload", "length", "steps",
           "known"}
WANT = re.compile(r"(?:closed|[2-5]\d\d(?: closed| begun)?|h1 [45]\d\d|PONG .*|(?:RST|GOAWAY) (?:"
                  + "|".join(f.ERRORS) + r"))\Z")
WAITS = {"settings", "upstream", "head", "done", "ack", "goaway"}


def text(value):
    """A text of the h1 vectors; a piece may also be {"hex": ...}."""
    parts = value if isinstance(value, list) else [value]
    out = b""
    for p in parts:
        out += bytes.fromhex(p["hex"]) if isinstance(p, dict) and "hex" in p else vectors.text(p)
    return out


def load(path=PATH):
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]


def _malformed_steps(steps, name):
    wrong = []
    for step in steps:
        kinds = set(step) & STEPS
        if "trailers" in kinds and "body" in kinds:
            kinds.discard("trailers")
        if len(kinds) != 1 or set(step) - STEPS - OPTIONS:
            wrong.append(f"{name}: step {str(step)[:80]}")
        elif "wait" in step and step["wait"] not in WAITS:
            wrong.append(f"{name}: waits for {step['wait']}")
        elif "repeat" in step:
            wrong += _malformed_steps(step["steps"], name)
    return wrong


def malformed(cases):
    """What is wrong with the file's form."""
    wrong, seen = [], set()
    for c in cases:
        name = c.get("id", "?")
        if name in seen:
            wrong.append(f"{name}: twice")
        seen.add(name)
        if set(c) - FIELDS or NEEDED - set(c):
            wrong.append(f"{name}: fields {sorted(set(c) - FIELDS)} unknown, "
                         f"{sorted(NEEDED - set(c))} missing")
            continue
        if not name.startswith(c["row"]) or not name[len(c["row"]):].isalpha():
            wrong.append(f"{name}: id and row {c['row']} differ")
        up = c["upstream"]
        if not (up in ("none", "incomplete") or isinstance(up, int) or
                (isinstance(up, dict) and set(up) == {"at_most"})):
            wrong.append(f"{name}: upstream {up!r}")
        for want in c["want"]:
            if not WANT.match(want):
                wrong.append(f"{name}: wants {want!r}")
        wrong += _malformed_steps(c["send"], name)
    return wrong


def _pair_bytes(pairs):
    return [(text(n), text(v)) for n, v in pairs]


class Player:
    """Says the steps of a case on a connection."""

    def __init__(self, case, client, reached, pieces=None):
        self.case = case
        self.client = client
        self.reached = reached  # Waits until a request is at the upstream.
        self.pieces = pieces
        self.last = None
        self.first = None

    def play(self):
        self._all(self.case["send"])

    def _all(self, steps):
        quick = all(set(s) & {"wait", "body", "repeat"} == set() for s in steps)
        if not quick or self.pieces:
            for step in steps:
                self._one(step, self._say)
            return
        out = bytearray()
        for step in steps:
            self._one(step, out.extend)
        self._say(bytes(out))

    def _say(self, data):
        if not self.pieces or not data:
            self.client.send(bytes(data))
            return
        for i in range(0, len(data), self.pieces):
            self.client.mid_frame = i + self.pieces < len(data)
            self.client.send(bytes(data[i:i + self.pieces]))

    def _one(self, step, say):
        for kind in ("request", "head", "block", "trailers", "data", "frame", "raw", "rst",
                     "settings", "ping", "goaway", "grant", "repeat", "wait", "body"):
            if kind in step and not (kind == "trailers" and "body" in step):
                getattr(self, "_" + kind)(step, say)
                return

    def _on(self, step):
        """The stream that a frame is for: the last opened, or as it says."""
        last = self.last.number if self.last else 1
        on = step.get("on", "last")
        return last if on == "last" else last + on if on < 0 else on

    def _text(self, value):
        """With the index of :scheme in HPACK's table where a text says so."""
        scheme = "\x86" if self.client.scheme == "http" else "\x87"
        parts = value if isinstance(value, list) else [value]
        return text([scheme if p == "$scheme" else p for p in parts])

    def _opened(self, step, method):
        self.last = self.client.open(method, step.get("on"))
        self.first = self.first or self.last
        return self.last.number

    @staticmethod
    def _shape(step):
        return {"end_stream": step.get("end", True), "pad": step.get("pad"),
                "priority": step.get("priority"), "parts": step.get("parts", 1)}

    def _request(self, step, say):
        """The ordinary pseudo-fields, but for those said otherwise; null leaves one out."""
        changed = step["request"]
        pseudo = {":method": "GET", ":scheme": self.client.scheme, ":authority": "a", ":path": "/"}
        pseudo.update(changed)
        fields = [(n, v) for n, v in pseudo.items() if v is not None] + step.get("fields", [])
        method = str(pseudo[":method"])
        stream = self._opened(step, method)
        say(f.headers(stream, self.client.encode(_pair_bytes(fields)), **self._shape(step)))

    def _head(self, step, say):
        """A head in these very fields; 'known' when it belongs to a stream already open."""
        stream = self._on(step) if step.get("known") else self._opened(step, "GET")
        pairs = [[n, self.client.scheme if v == "$scheme" else v] for n, v in step["head"]]
        say(f.headers(stream, self.client.encode(_pair_bytes(pairs)), **self._shape(step)))

    def _block(self, step, say):
        stream = self._on(step) if step.get("known") else self._opened(step, "GET")
        say(f.headers(stream, self._text(step["block"]), **self._shape(step)))

    def _trailers(self, step, say):
        say(f.headers(self._on(step), self.client.encode(_pair_bytes(step["trailers"])),
                      **self._shape(step)))

    def _data(self, step, say):
        body = text(step["data"])
        say(f.data(self._on(step), body, step.get("end", False), step.get("pad")))

    def _body(self, step, _):
        """DATA within the windows."""
        trailers = _pair_bytes(step["trailers"]) if "trailers" in step else None
        self.client.send_body(self.last, text(step["body"]), step.get("end", True), trailers,
                              pad=step.get("pad"), piece=step.get("length", 8192))

    def _frame(self, step, say):
        kind = f.TYPES.get(step["frame"], step["frame"])
        stream = self._on(step) if "on" in step else 0
        say(f.frame(kind, step.get("flags", 0), stream, self._text(step.get("payload", "")),
                    step.get("length")))

    def _raw(self, step, say):
        say(text(step["raw"]))

    def _rst(self, step, say):
        say(f.rst_stream(self._on(step), step["rst"]))

    def _settings(self, step, say):
        self.client.change_settings(step["settings"])
        say(f.settings([tuple(p) for p in step["settings"]]))

    def _ping(self, step, say):
        say(f.frame(f.PING, 0, 0, text(step["ping"])))

    def _goaway(self, step, say):
        say(f.goaway(0, step["goaway"]))

    def _grant(self, step, say):
        on = self._on(step)
        if on in self.client.streams:
            self.client.streams[on].receive_window += step["grant"]
        elif on == 0:
            self.client.receive_window += step["grant"]
        say(f.window_update(on, step["grant"]))

    def _repeat(self, step, _):
        """In batches, so that thousands of frames are not thousands of packets."""
        for _ in range(step["repeat"]):
            if self.client.ended:
                return
            out = bytearray()
            for inner in step["steps"]:
                if "wait" in inner or "body" in inner:
                    self._say(bytes(out))
                    out.clear()
                    self._one(inner, self._say)
                else:
                    self._one(inner, out.extend)
            self.client.out += out
            if len(self.client.out) > 16384:
                self._say(b"")
        self._say(b"")

    def _wait(self, step, _):
        c = self.client
        what = {"settings": lambda: c.n_settings, "ack": lambda: c.n_settings_acks,
                "head": lambda: self.last.status is not None or self.last.done,
                "done": lambda: self.last.done, "goaway": lambda: c.goaway}
        came = self.reached() if step["wait"] == "upstream" else c.wait(what[step["wait"]])
        c.send(b"")  # Our answer to what came, which else might fall into a section.
        if not came and not c.goaway and not c.ended:
            raise Ended(f"no {step['wait']}", c.raw)


def observed(client, stream):
    """What has become of the connection and one stream, in the words of 'want'."""
    facts = set()
    if stream and stream.rst:
        facts.add(f"RST {stream.rst}")
    if stream and stream.status:
        facts.add(f"{stream.status} begun")
    if stream and stream.complete:
        facts.add(str(stream.status))
    if client.goaway:
        facts.add(f"GOAWAY {client.goaway[1]}")
    if client.ended:
        facts.add("closed")
        facts.add(f"{stream.status} closed" if stream and stream.complete else "closed")
    if client.raw[:9] == b"HTTP/1.1 ":
        facts.add("h1 " + client.raw[9:12].decode("latin-1"))
    facts |= {"PONG " + p.decode("latin-1") for p in client.pongs}
    return facts


def judge_upstream(case, messages, source):
    """What of the messages that reached the upstream for a case should not be so."""
    up = case["upstream"]
    whole = [m for m in messages if m.complete]
    if up == "none":
        return [f"reached the upstream: {messages[0]!r}"] if messages else []
    if isinstance(up, dict):
        most = up["at_most"]
        return [f"{len(messages)} requests reached the upstream, at most {most} may"] \
            if len(messages) > most else []
    want = 0 if up == "incomplete" else up
    if len(whole) != want:
        return [f"{len(whole)} complete messages reached the upstream, want {want}: {whole[:3]!r}"]
    wrong = []
    for m, facts in zip(whole, [case.get("forward", {})] + case.get("forward_next", [])):
        wrong += vectors.judge_forward(m, facts, source)
    return wrong


def judge_reply(stream, facts):
    """What of the answer on a stream is not as it should be."""
    wrong = []
    for want in facts.get("has", []):
        name, colon, value = want.partition(": ")
        got = stream.get(name)
        if got is None or (colon and got != value):
            wrong.append(f"the reply should have {want!r}, has {got!r}")
    for name in facts.get("lacks", []):
        if stream.get(name) is not None:
            wrong.append(f"the reply should lack {name!r}, has {stream.get(name)!r}")
    for key, got in (("body", stream.body), ("interim", stream.interim),
                     ("trailers", [list(t) for t in stream.trailers])):
        want = text(facts[key]) if key == "body" and key in facts else facts.get(key, got)
        if got != want:
            wrong.append(f"reply {key} {str(got)[:80]}, want {str(want)[:80]}")
    return wrong
