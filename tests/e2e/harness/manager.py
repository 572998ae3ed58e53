# SPDX-License-Identifier: Apache-2.0
"""'gwtool serve' with clients of its own, and a daemon that says what a test wants."""
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading

from .control import pack, unpack
from .programs import end, gwtool_path

JSON = {"Content-Type": "application/json"}
PATIENCE_S = 30


class Manager:
    """One server; 'tls': what its clients speak; 'as_json': how it tells."""

    def __init__(self, t, control, *flags, tls=None, env=None, as_json=False):
        self.tls, self.as_json = tls, as_json
        self.process = subprocess.Popen(
            [gwtool_path(t), "--socket", control, "serve", *(flags or ("--port", "0")),
             *(["--json"] if as_json else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, **(env or {})))
        t.at_end(lambda: end(self.process))
        self.line = self.process.stdout.readline().decode()
        if as_json:
            event = json.loads(self.line)
            t.equal((event["event"], event["url"].partition("://")[2]),
                    ("listening", event["address"]), "as JSON")
            self.line = f"listening on {event['url']}\n"
        found = re.fullmatch(r"listening on (https?)://(\[?[0-9a-f.:]+\]?):(\d+)\n", self.line)
        t.check(found, f"does not say where it listens: {self.line!r}")
        self.scheme, self.port = found[1], int(found[3])
        self.host = {"0.0.0.0": "127.0.0.1"}.get(found[2], found[2].strip("[]"))

    def hang_up(self):
        """What it says to a HUP."""
        self.process.send_signal(signal.SIGHUP)
        stream = self.process.stdout if self.as_json else self.process.stderr
        return stream.readline().decode()

    def connect(self):
        sock = socket.create_connection((self.host, self.port), timeout=PATIENCE_S)
        return self.tls.wrap_socket(sock, server_hostname="manager.test") if self.tls else sock

    def raw(self, data, sock=None):
        """(status, fields, value) of bytes that are sent as they are."""
        sock = sock or self.connect()
        with sock:
            sock.sendall(data)
            return self.take(sock)

    def take(self, sock, method="GET"):
        r = http.client.HTTPResponse(sock, method=method)
        r.begin()
        body = r.read()
        return r.status, r.headers, json.loads(body) if body else None

    def ask(self, method, path, body=None, fields=None, host=None):
        """(status, value); a body that is no text is sent as JSON."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or 'localhost'}"]
        lines += [f"{n}: {v}" for n, v in (JSON if fields is None else fields).items()]
        lines += [f"Content-Length: {len(data)}"] if data is not None else []
        with self.connect() as sock:
            sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + (data or b""))
            status, _, value = self.take(sock, method)
        return status, value

    def push(self, body):
        return self.ask("POST", "/policy", body)

    def policy(self):
        return self.ask("GET", "/policy")[1]["policy"]

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


class Daemon:
    """Answers on a control socket: 'answer' gets the request and gives (ok, result), or None to
    hang up.
    """

    def __init__(self, t, answer):
        self.path = t.path("fake.sock")
        self.requests = []
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        t.at_end(lambda: self.listener.shutdown(socket.SHUT_RDWR))

    def commands(self):
        return [r["command"] for r in self.requests]

    def run(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            with sock, sock.makefile("rb") as f:
                n = struct.unpack(">I", f.read(4))[0]
                self.requests.append(unpack(f.read(n))[0])
                made = self.answer(self.requests[-1])
                if made:
                    ok, result = made
                    body = pack({"v": 1, "id": 1, "ok": ok, "result" if ok else "error": result})
                    sock.sendall(struct.pack(">I", len(body)) + body)
