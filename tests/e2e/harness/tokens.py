# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens, made by hand: good ones, and what an attacker would send."""
import base64
import hashlib
import hmac
import json
import os
import time

from .certs import run


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**more):
    now = int(time.time())
    return {k: v for k, v in dict({"sub": "alice", "exp": now + 300, "iat": now}, **more).items()
            if v is not None}


class Secret:
    """HS256."""

    def __init__(self, secret=b"s" * 32, kid=None):
        self.secret = secret
        self.kid = kid

    def as_key(self):
        jwk = {"kty": "oct", "alg": "HS256", "k": b64(self.secret)}
        return dict({"jwk": json.dumps(jwk)}, **({"kid": self.kid} if self.kid else {}))

    def sign(self, text):
        return hmac.new(self.secret, text, hashlib.sha256).digest()

    def token(self, header=None, **more):
        head = dict({"alg": "HS256", "typ": "JWT"}, **({"kid": self.kid} if self.kid else {}))
        head.update(header or {})
        text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims(**more)).encode())}"
        return f"{text}.{b64(self.sign(text.encode()))}"


KINDS = {"RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
         "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "EdDSA": ["-algorithm", "ED25519"]}


def raw_signature(der):
    """ECDSA: r and s in 32 bytes each, out of their DER."""
    def number(at):
        n = der[at + 1]
        return der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0"), at + 2 + n

    r, at = number(2)
    return r + number(at)[0]


class Pair(Secret):
    """A private key in a file; signs by the openssl program."""

    def __init__(self, folder, alg, kid=None):
        super().__init__(kid=kid)
        self.alg = alg
        self.file = os.path.join(folder, f"{alg}-{kid}.key")
        self.folder = folder
        run("openssl", "genpkey", *KINDS[alg], "-out", self.file)
        run("openssl", "pkey", "-in", self.file, "-pubout", "-out", self.file + ".pub")
        with open(self.file + ".pub", encoding="ascii") as f:
            self.pem = f.read()

    def as_key(self):
        return dict({"pem": self.pem, "alg": self.alg}, **({"kid": self.kid} if self.kid else {}))

    def sign(self, text):
        data, out = self.file + ".in", self.file + ".out"
        with open(data, "wb") as f:
            f.write(text)
        if self.alg == "EdDSA":
            run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", data, "-out", out)
        else:
            run("openssl", "dgst", "-sha256", "-sign", self.file, "-out", out, data)
        with open(out, "rb") as f:
            made = f.read()
        return raw_signature(made) if self.alg == "ES256" else made

    def token(self, header=None, **more):
        return super().token(dict({"alg": self.alg}, **(header or {})), **more)
