# SPDX-License-Identifier: Apache-2.0
"""Certificates for a test, made by the openssl program."""
import datetime
import functools
import hashlib
import os
import ssl
import subprocess
import tempfile

# The whole suite over TLS: each listener gets a certificate, each client trusts it.
EVERYWHERE = os.environ.get("GW_TLS") == "1"
NAME = "everywhere.test"


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True, timeout=30)


def alternative(san):
    """A name, another kind of one as "IP:...", "URI:..." or "email:...", or bytes that no
    configuration can say: a DNS name in DER.
    """
    return san if san.startswith(("IP:", "DER:", "URI:", "email:")) else f"DNS:{san}"


def der_name(raw):
    """A DNS name of any bytes, as an alternative."""
    inner = bytes([0x82, len(raw)]) + raw
    return "DER:" + (bytes([0x30, len(inner)]) + inner).hex(":")


def date(at):
    """As certificates are dated."""
    return at.strftime("%Y%m%d%H%M%SZ")


class Cert:
    """Files of a certificate and its key; signs others when it is an authority. 'days' below 0: it
    has expired so long ago.
    """

    def __init__(self, folder, name, sans=(), issuer=None, days=30):
        self.name = name
        self.cert = os.path.join(folder, f"{name}.pem")
        self.key = os.path.join(folder, f"{name}.key")
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.cert,
                "-days", "30", "-subj", f"/CN={name}"]
        extension = "subjectAltName=" + ",".join(alternative(s) for s in sans)
        if sans:
            argv += ["-addext", extension]
        if issuer:
            argv += ["-CA", issuer.cert, "-CAkey", issuer.key]
        run(*argv)
        if days < 0:
            self._sign_again(folder, issuer, extension, days)

    def _sign_again(self, folder, issuer, extension, days):
        """With dates that 'openssl req' does not take."""
        asked = os.path.join(folder, f"{self.name}.csr")
        config = os.path.join(folder, f"{self.name}.cnf")
        index = os.path.join(folder, f"{self.name}.index")
        now = datetime.datetime.now(datetime.timezone.utc)
        with open(index, "w", encoding="ascii"):
            pass
        with open(config, "w", encoding="ascii") as f:
            f.write(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {index}\nrand_serial = yes\n"
                    f"new_certs_dir = {folder}\ndefault_md = sha256\npolicy = any\n"
                    f"x509_extensions = ext\n[any]\ncommonName = supplied\n[ext]\n"
                    f"{extension}\n")
        run("openssl", "req", "-new", "-key", self.key, "-subj", f"/CN={self.name}", "-out", asked)
        run("openssl", "ca", "-batch", "-notext", "-config", config, "-in", asked, "-out",
            self.cert, "-cert", issuer.cert, "-keyfile", issuer.key,
            "-startdate", date(now + datetime.timedelta(days=days - 30)),
            "-enddate", date(now + datetime.timedelta(days=days)))

    def sha256(self):
        """Of its DER, in hexadecimal digits."""
        with open(self.cert, encoding="ascii") as f:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()

    def as_config(self):
        return {"cert": self.cert, "key": self.key}


def client_context(trusted, shown=None, most=None):
    """An ssl context that trusts one certificate, and may show another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trusted.cert)
    if shown:
        context.load_cert_chain(shown.cert, shown.key)
    if most:
        context.maximum_version = most
    return context


def origin_context(shown, clients=None, most=None, protocols=None):
    """An ssl context of an origin; 'clients': who vouches for those that it asks for a certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.cert, shown.key)
    if clients:
        context.load_verify_locations(clients.cert)
        context.verify_mode = ssl.CERT_REQUIRED
    if most:
        context.maximum_version = most
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


@functools.cache
def everywhere():
    """(certificate, context of clients), for this process and those that it forks."""
    folder = tempfile.mkdtemp(prefix="sluice-e2e-certs-")
    os.chmod(folder, 0o755)
    cert = Cert(folder, "everywhere", [NAME])
    os.chmod(cert.key, 0o644)  # For gateways that run as somebody else.
    return cert, client_context(cert)
