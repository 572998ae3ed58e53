# SPDX-License-Identifier: Apache-2.0
"""Certificates for a test, made by the openssl program."""
import functools
import os
import ssl
import subprocess
import tempfile

# The whole suite over TLS: each listener gets a certificate, each client trusts it.
EVERYWHERE = os.environ.get("GW_TLS") == "1"
NAME = "everywhere.test"


class Cert:
    """Files of a certificate and its key; signs others when it is an authority."""

    def __init__(self, folder, name, sans=(), issuer=None):
        self.name = name
        self.cert = os.path.join(folder, f"{name}.pem")
        self.key = os.path.join(folder, f"{name}.key")
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.cert,
                "-days", "30", "-subj", f"/CN={name}"]
        if sans:
            argv += ["-addext", "subjectAltName=" + ",".join(f"DNS:{s}" for s in sans)]
        if issuer:
            argv += ["-CA", issuer.cert, "-CAkey", issuer.key]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)

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


@functools.cache
def everywhere():
    """(certificate, context of clients), for this process and those that it forks."""
    folder = tempfile.mkdtemp(prefix="sluice-e2e-certs-")
    os.chmod(folder, 0o755)
    cert = Cert(folder, "everywhere", [NAME])
    os.chmod(cert.key, 0o644)  # For gateways that run as somebody else.
    return cert, client_context(cert)
