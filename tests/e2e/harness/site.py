# SPDX-License-Identifier: Apache-2.0
"""What a client by others is pointed at: an origin that answers by path, and a gateway in front of
it that listens in clear and over TLS, for HTTP/1.1 and HTTP/2.
"""
import hashlib

from .certs import Cert
from .upstream import response

NAME = "site.test"
BOTH = ["h2", "http/1.1"]


def blob(n):
    """n bytes that are the same each time, and not the same everywhere."""
    piece = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(2048))
    return (piece * (n // len(piece) + 1))[:n]


def answer(conn, msg):
    """/bytes/N, /trailers, /hang, /status/N; anything else says what it was asked."""
    if msg.target == "/hang":
        conn.wait_end()
        conn.close()
        return
    conn.read_body(msg)
    kind, _, number = msg.target[1:].partition("/")
    fields = [("X-Nonce", msg.get("x-nonce") or ""), ("X-Digest", msg.digest)]
    if kind == "trailers":
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                  b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")
        return
    if kind == "status":
        conn.send(f"HTTP/1.1 {number} X\r\n".encode() +
                  (b"" if number in ("204", "304") else b"Content-Length: 0\r\n") + b"\r\n")
        return
    body = blob(int(number)) if kind == "bytes" else \
        f"{msg.method} {msg.target} {msg.body_len}".encode("latin-1")
    whole = response(200, body, fields)
    conn.send(whole[:-len(body)] if msg.method == "HEAD" else whole)


class Site:
    """One gateway with two listeners: clear and TLS. 'upstream' makes one, with the certificate."""

    def __init__(self, t, upstream=None, protocols=BOTH, config=None, handler=answer):
        self.cert = Cert(t.folder, "site", [NAME])
        self.up = upstream(self.cert) if upstream else t.upstream(handler)
        listeners = [{"address": "127.0.0.1:0", "protocols": protocols},
                     {"address": "127.0.0.1:0", "protocols": protocols,
                      "tls": {"certificates": [self.cert.as_config()]}}]
        whole = dict({"workers": 1, "listeners": listeners}, **(config or {}))
        if self.up.tls:
            whole["upstream_tls"] = {"ca": self.cert.cert, "server_name": NAME}
        self.g = t.gateway(self.up, config=whole)
        self.g.wait_event(lambda _: len(self.g.addresses) == 2)
        self.clear, self.tls = self.g.addresses
        self.clear_url = f"http://127.0.0.1:{self.clear[1]}"
        self.tls_url = f"https://{NAME}:{self.tls[1]}"
        self.tls_local_url = f"https://127.0.0.1:{self.tls[1]}"
