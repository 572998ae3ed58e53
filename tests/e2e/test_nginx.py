# SPDX-License-Identifier: Apache-2.0
"""A real server as the upstream: nginx with keep-alive, chunked, range and 304 answers. Skipped
where it isn't installed.
"""
import hashlib
import os
import random
import shutil
import subprocess
import time

from harness.client import Client

CONFIG = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; default_type application/octet-stream; keepalive_requests 1000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; client_max_body_size 0;
  server {{
    listen unix:{folder}/nginx.sock; root {folder}/www;
    location = /moved {{ return 301 /text; }}
    location = /none {{ return 204; }}
    location /gz/ {{ alias {folder}/www/; gzip on; gzip_min_length 1; gzip_http_version 1.0; gzip_types *; gzip_proxied any; }}
  }}
}}
"""


class Nginx:
    """nginx on a Unix socket, with a text and a large file."""

    def __init__(self, t):
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if not program:
            t.skip("nginx is not installed")
        self.folder = t.path("nginx")
        www = os.path.join(self.folder, "www")
        os.makedirs(www)
        os.chmod(self.folder, 0o755)
        self.text = b"".join(b"line %d of a text\n" % i for i in range(5000))
        self.blob = random.Random(5).randbytes((64 if t.full else 16) << 20)
        for name, data in (("text", self.text), ("blob", self.blob)):
            with open(os.path.join(www, name), "wb") as f:
                f.write(data)
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=self.folder))
        self.process = subprocess.Popen([program, "-p", self.folder, "-c", self.folder
                                         + "/nginx.conf"],
                                        stderr=subprocess.DEVNULL)
        self.url = f"unix:{self.folder}/nginx.sock"
        deadline = time.monotonic() + 10
        while not os.path.exists(self.folder + "/nginx.sock"):
            t.check(self.process.poll() is None and time.monotonic() < deadline,
                    "nginx does not come up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_nginx_as_upstream(t):
    with Nginx(t) as n:
        for splice in (True, False):
            g = t.gateway(n, splice=splice)
            c = t.client(g, timeout_s=30)
            for _ in range(3):
                everyday(t, c, n)
                # nginx answers before it has the body: the connection may end.
                with Client(g.address) as other:
                    t.equal(other.ask("POST", "/text", body=b"x" * 100000).status, 405,
                            "refused with a body")
            r = c.ask("GET", "/blob")
            t.equal((r.status, r.digest), (200, hashlib.sha256(n.blob).hexdigest()), "large file")
            c.close()


def everyday(t, c, n):
    r = c.ask("GET", "/text")
    t.equal((r.status, r.body), (200, n.text), "whole")
    etag, modified = r.get("etag"), r.get("last-modified")
    r = c.ask("GET", "/text", [("If-None-Match", etag)])
    t.equal((r.status, r.body, r.get("etag")), (304, b"", etag), "not modified, by tag")
    r = c.ask("GET", "/text", [("If-Modified-Since", modified)])
    t.equal((r.status, r.body), (304, b""), "not modified, by date")
    r = c.ask("GET", "/text", [("Range", "bytes=100-199")])
    t.equal((r.status, r.body, r.get("content-range")),
            (206, n.text[100:200], f"bytes 100-199/{len(n.text)}"), "range")
    r = c.ask("GET", "/text", [("Range", "bytes=0-9,20-29")])
    t.check(r.status == 206 and r.get("content-type").startswith("multipart/byteranges"),
            "two ranges")
    r = c.ask("GET", "/text", [("Range", "bytes=99999999-")])
    t.equal(r.status, 416, "range behind the end")
    r = c.ask("HEAD", "/text")
    t.equal((r.status, r.body, r.get("content-length")), (200, b"", str(len(n.text))), "HEAD")
    r = c.ask("GET", "/gz/text", [("Accept-Encoding", "gzip")])
    t.equal((r.status, r.framing, r.get("content-encoding")), (200, "chunked", "gzip"),
            "chunked by compression")
    t.equal(c.ask("GET", "/missing").status, 404, "missing")
    t.equal(c.ask("GET", "/none").status, 204, "no content")
    r = c.ask("GET", "/moved")
    t.check(r.status == 301 and r.get("location"), "moved")


def test_nginx_closes_idle_connections(t):
    """nginx ends its connections after some requests; no client sees it."""
    with Nginx(t) as n:
        g = t.gateway(n, config={"workers": 1})
        c = t.client(g)
        for i in range(2500):
            r = c.ask("GET", "/none")
            t.check(r.status == 204, lambda: f"answer {i}: {r.status}")
        c.close()
        with Client(g.address) as other:
            t.equal(other.ask("GET", "/none").status, 204, "answer on another connection")
