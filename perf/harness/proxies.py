# SPDX-License-Identifier: Apache-2.0
"""What is compared: how each proxy is started, and its version."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess

from . import h2, process

PERF = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
START_TIMEOUT_S = 10
ORIGIN_BODY_LEN = 128
MAX_CONNECTIONS = 8600  # The most that HAProxy takes with 20,000 descriptors.
# HAProxy with its default buffers, and with those that suit long bodies best (peers/README.md).
PEERS = ("nginx", "haproxy", "haproxy-64k")
FLOORS = ("floor-copy", "floor-splice")
# nginx speaks HTTP/1 alone to what is behind it.
H2_UPWARDS = ("sluice", "sluice-log", "sluice-against", "haproxy", "haproxy-64k")
ALL = ("sluice", "sluice-log", "sluice-against", *PEERS, *FLOORS, "go")


class Setup:
    """Programs, ports and the scratch folder of one invocation."""

    def __init__(self, build, port, folder, against=None):
        self.build = build
        self.against = against  # Another build of sluice to compare with, or None.
        self.port = port
        self.folder = folder
        self.origin_port = port + 1
        self.origin_h2_port = port + 2  # Where nginx as the origin speaks HTTP/2 in clear.
        self.up = None  # None: perf/origin; or nginx, asked in "h1" or "h2".
        self.tls = False  # Whether clients speak TLS to the proxy.
        self.h2 = False  # Whether they speak HTTP/2: by ALPN, or in clear by prior knowledge.

    def speak(self, tls, h2, up=None):
        """What the next proxy's clients speak, and what it speaks to which origin."""
        self.tls, self.h2, self.up = tls, h2, up

    @property
    def asked_port(self):
        """The origin's, as the proxies ask it."""
        return self.origin_h2_port if self.up == "h2" else self.origin_port

    def program(self, name):
        return os.path.join(self.build, "perf", name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def certificate(self):
        """(certificate with its key behind it, key): made once, P-256."""
        cert, key = self.path("site.pem"), self.path("site.key")
        if not os.path.exists(cert):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                            "-days", "2", "-subj", "/CN=bench"], check=True, timeout=30,
                           capture_output=True)
            with open(key, encoding="ascii") as text, open(cert, "a", encoding="ascii") as both:
                both.write(text.read())
            os.chmod(key, 0o644)
        return cert, key

    def _nginx_listen(self):
        """The end of the line 'listen', and the lines that belong to it."""
        words = (" ssl" if self.tls else "") + (" http2" if self.h2 else "")
        if not self.tls:
            return words
        cert, key = self.certificate()
        return (f"{words};\n\t\tssl_certificate {cert};\n"
                f"\t\tssl_certificate_key {key};\n"
                "\t\tssl_session_cache shared:tls:10m;\n"
                "\t\tssl_protocols TLSv1.2 TLSv1.3")

    def _haproxy_bind(self):
        if not self.tls:
            return " proto h2" if self.h2 else ""
        cert, _ = self.certificate()
        alpn = "h2,http/1.1" if self.h2 else "http/1.1"
        return f" ssl crt {cert} alpn {alpn} ssl-min-ver TLSv1.2"

    def fill(self, peer_file, buffer_size=16384):
        """A peer's configuration with its places filled in; returns its path."""
        with open(os.path.join(PERF, "peers", peer_file), encoding="utf-8") as template:
            text = template.read()
        places = {"PORT": self.port, "ORIGIN": self.origin_port, "FOLDER": self.folder,
                  "ORIGIN_H2": self.origin_h2_port, "BODY": "x" * ORIGIN_BODY_LEN,
                  "ASKED": self.asked_port,
                  "HAPROXY_SERVER": " proto h2" if self.up == "h2" else "",
                  "CONNECTIONS": MAX_CONNECTIONS if peer_file == "haproxy.cfg" else 18000,
                  "FILES": 20000, "BUFSIZE": buffer_size,
                  "NGINX_LISTEN": self._nginx_listen(), "HAPROXY_BIND": self._haproxy_bind()}
        for name, value in places.items():
            text = text.replace(f"@{name}@", str(value))
        with open(self.path(peer_file), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(peer_file)


def _sluice_listener(setup):
    listener = {"address": f"127.0.0.1:{setup.port}"}
    if setup.tls:
        cert, key = setup.certificate()
        listener["tls"] = {"certificates": [{"cert": cert, "key": key}]}
    if setup.h2:
        listener["protocols"] = ["h2", "http/1.1"]
    return listener


def _sluice(setup, build=None):
    listen = ["--listen", f"127.0.0.1:{setup.port}"]
    if setup.tls or setup.h2:
        listen = ["-c", setup.path("listener.yaml")]
        with open(listen[1], "w", encoding="utf-8") as config:
            json.dump({"listeners": [_sluice_listener(setup)]}, config)
    scheme = "h2c" if setup.up == "h2" else "http"
    return [os.path.join(build or setup.build, "sluice"), *listen,
            "--upstream", f"{scheme}://127.0.0.1:{setup.asked_port}", "--workers", "1",
            "--admin", "127.0.0.1:0", "--control", setup.path("control.sock")]


def _sluice_log(setup):
    """With an access log; the scratch folder of --log lies in memory."""
    with open(setup.path("sluice.yaml"), "w", encoding="utf-8") as config:
        config.write(f"access_log: {{path: {setup.path('access.log')}, sample: 1}}\n")
    return [*_sluice(setup), "-c", setup.path("sluice.yaml")]


def _sluice_against(setup):
    return _sluice(setup, setup.against)


def _nginx(setup):
    return ["nginx", "-p", setup.folder, "-c", setup.fill("nginx.conf")]


def _haproxy(buffer_size):
    def command(setup):
        return ["haproxy", "-db", "-f", setup.fill("haproxy.cfg", buffer_size)]
    return command


def _floor(way):
    def command(setup):
        return [setup.program("floor"), way, str(setup.port), str(setup.origin_port)]
    return command


def _go(setup):
    """The article's Go gateway, where somebody has built it."""
    return ["env", f"LISTEN_ADDR=127.0.0.1:{setup.port}", "GOMAXPROCS=1",
            f"UPSTREAM_URL=http://127.0.0.1:{setup.origin_port}", os.environ["GO_GATEWAY"]]


COMMANDS = {
    "sluice": _sluice,
    "sluice-log": _sluice_log,
    "sluice-against": _sluice_against,
    "nginx": _nginx,
    "haproxy": _haproxy(16384),
    "haproxy-64k": _haproxy(65536),
    "floor-copy": _floor("copy"),
    "floor-splice": _floor("splice"),
    "go": _go,
}


def missing(name, setup):
    """Why this proxy cannot be measured here, or None."""
    if name == "go":
        return None if os.environ.get("GO_GATEWAY") else (
            "go: skipped, GO_GATEWAY does not name the article's gateway")
    if name == "sluice-against" and not setup.against:
        return "sluice-against: skipped, --against does not name a build"
    if name in PEERS:
        program = name.split("-")[0]
        return None if shutil.which(program) else f"{program}: not installed, see --install"
    program = COMMANDS[name](setup)[0]
    return None if os.access(program, os.X_OK) else f"{name}: skipped, {program} is not built"


def version(name, setup):
    flags = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"],
             "sluice": [os.path.join(setup.build, "sluice"), "-V"]}
    if name not in flags:
        return None
    done = subprocess.run(flags[name], capture_output=True, text=True, timeout=10, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].split(" - ")[0] if lines else name


def trusting(protocol="http/1.1"):
    """What is asked is our own process; its certificate was made a moment ago."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


def _get(port, path, timeout_s=5, tls=False):
    """One GET on a connection of its own: (status, body)."""
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s,
                                                 context=trusting())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _h2_status(setup, path, timeout_s):
    """The same over HTTP/2; only the status."""
    with socket.create_connection(("127.0.0.1", setup.port), timeout_s) as sock:
        if setup.tls:
            sock = trusting("h2").wrap_socket(sock)
            if sock.selected_alpn_protocol() != "h2":
                return None
        sock.sendall(h2.request(path.encode(), setup.tls))
        answer = h2.Answer()
        while not answer.is_whole:
            data = sock.recv(65536)
            if not data:
                return None
            sock.sendall(answer.feed(data))
        return answer.status


def answers(setup):
    try:
        if setup.h2:
            return _h2_status(setup, "/128", 1) == 200
        return _get(setup.port, "/128", 1, setup.tls)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _origin_answers(setup):
    try:
        return _get(setup.origin_port, "/128", 1)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def origin_stats(setup):
    """What the origin has counted, this question included: at least "accepted" and "requests"."""
    text = _get(setup.origin_port, "/stats")[1]
    if not setup.up:
        return json.loads(text)
    accepted, _, requests = re.search(rb"(\d+) (\d+) (\d+)", text).groups()
    return {"accepted": int(accepted), "requests": int(requests)}


def origin(setup):
    command = [setup.program("origin"), str(setup.origin_port)]
    if setup.up:
        command = ["nginx", "-p", setup.folder, "-c", setup.fill("origin.conf")]
    return process.Child(command, process.LOAD_CPU, setup.path("origin.log"))


def proxy(name, setup):
    return process.Child(COMMANDS[name](setup), process.PROXY_CPU, setup.path(f"{name}.log"))


def _wait(child, is_ready):
    process.wait_until(lambda: child.has_ended() or is_ready(), START_TIMEOUT_S)
    if child.has_ended():
        raise process.Failure(f"did not start: {child.last_line()}")
    if not is_ready():
        raise process.Failure(f"does not answer: {child.last_line()}")


def wait_origin(child, setup):
    _wait(child, lambda: _origin_answers(setup))


def wait_proxy(child, setup):
    _wait(child, lambda: answers(setup))
