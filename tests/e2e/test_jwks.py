# SPDX-License-Identifier: Apache-2.0
"""Key sets of issuers, as keys of a policy."""
import json
import re
import subprocess

from harness.place import Place
from harness.programs import gwtool
from harness.tokens import Pair, Secret, b64

ISSUER = "https://id.test/"


def public_jwk(pair, **more):
    """Of a key pair, its numbers out of what openssl prints."""
    form = ["openssl", "pkey", "-pubin", "-in", pair.file + ".pub", "-outform", "DER"]
    der = subprocess.run(form, check=True, capture_output=True, timeout=30).stdout
    if pair.alg == "ES256":
        jwk = {"kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]), "y": b64(der[-32:])}
    elif pair.alg == "EdDSA":
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(der[-32:])}
    else:  # A key of 2,048 bits, and the usual exponent behind it.
        jwk = {"kty": "RSA", "n": b64(der[-261:-5]), "e": "AQAB"}
    return dict(jwk, **({"kid": pair.kid} if pair.kid else {}), **more)


def write(t, keys, name="set"):
    path = t.path(name)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(keys if isinstance(keys, dict) else {"keys": keys}, f)
    return path


def convert(t, keys, *flags):
    """The list, and what was left out, as people are told of it."""
    code, out, err = gwtool(t, "--json", "jwks", write(t, keys), *flags)
    t.equal((code, err), (0, ""), f"exit code ({out})")
    doc = json.loads(out)
    t.equal((list(doc), doc["too_many"]), (["keys", "left_out", "too_many"], len(doc["keys"]) > 32),
            "the document")
    err = gwtool(t, "jwks", t.path("set"), *flags)[2]
    t.equal(re.findall(r"set: (keys\[\d+\])(?: \".*\")?: left out: (.*)\n", err),
            [(x["path"], x["message"]) for x in doc["left_out"]], "people are told the same")
    return doc["keys"], "".join(f"{x['path']}{quoted(x['kid'])}: left out: {x['message']}\n"
                                for x in doc["left_out"])


def quoted(kid):
    return f' "{kid}"' if kid else ""


def status_of(p, token):
    r = p.t.client(p.g).ask("GET", "/", [("Authorization", f"Bearer {token}")], host="h")
    return r.status if r.status == 200 else json.loads(r.body)["reason"]


def test_what_comes_out_is_taken_by_a_push(t):
    pairs = [Pair(t.folder, alg, alg.lower()) for alg in ("RS256", "ES256", "EdDSA")]
    keys = [public_jwk(k, use="sig", alg=k.alg, x5t="AA", d="cHJpdmF0ZQ", p="cA") for k in pairs]
    made, err = convert(t, keys, "--issuer", ISSUER)
    t.equal((err, [(k["kid"], k["alg"], k["issuer"]) for k in made]),
            ("", [(k.kid, k.alg, ISSUER) for k in pairs]), "keys")
    p = Place(t, [], state=False)
    p.write([("r", {}, "a", {"auth": "main"})], auth={"main": {"jwt": {"keys": made}}})
    p.push()
    for key in pairs:
        t.equal(status_of(p, key.token(iss=ISSUER)), 200, key.alg)
        t.equal(status_of(p, key.token(iss="https://evil.test/")), "jwt_issuer", "of another")
    t.equal(status_of(p, Pair(t.folder, "ES256", "other").token()), "jwt_kid", "another key")
    _, out, _ = gwtool(t, "jwks", write(t, keys))
    with open(p.file, "w", encoding="utf-8") as f:
        f.write("version: 1\nauth:\n  main:\n    jwt:\n      keys:\n"
                + "".join(f"        {line}\n" for line in out.splitlines()))
    t.equal(gwtool(t, "check-policy", p.file)[0], 0, "as YAML")


def test_private_parts_stay_where_they_are(t):
    key = Pair(t.folder, "ES256", "k")
    keys = [public_jwk(key, d="cHJpdmF0ZQ", k="c2VjcmV0", p="cA", oth=[{"d": "cHJpdmF0ZQ"}]),
            json.loads(Secret(b"z" * 32).as_key()["jwk"])]
    made, err = convert(t, keys)
    t.equal(sorted(json.loads(made[0]["jwk"])), ["crv", "kid", "kty", "x", "y"], "members")
    t.equal(len(made), 1, "the secret is left out")
    t.check("keys[1]: left out: kty: is a secret" in err and b64(b"z" * 32) not in err, err)
    made, err = convert(t, keys, "--secrets")
    t.equal((err, len(made), json.loads(made[1]["jwk"])["k"]), ("", 2, b64(b"z" * 32)), "asked for")


def test_what_does_not_fit_is_named(t):
    es, rsa = Pair(t.folder, "ES256", "es"), Pair(t.folder, "RS256", "rsa")
    good = public_jwk(es)
    rows = [(public_jwk(es, use="enc"), 'keys[0] "es": left out: use:'),
            (public_jwk(es, use=1), "use:"), (public_jwk(es, key_ops=["sign"]), "key_ops:"),
            (public_jwk(es, alg="ES512"), "alg: ES512 does not fit"),
            (public_jwk(es, alg="ES256K"), "alg:"), (dict(good, kty="XX"), "kty"),
            (dict(good, kid=7), "kid: is no string"), (dict(good, x="AAAA"), "x, y:"),
            (dict(good, y=good["x"]), "numbers are wrong"), (7, "keys[0]: left out: is no object"),
            (public_jwk(rsa), "alg: is missing"), (dict(good, kid="k" * 9000), "too long")]
    for row, want in rows:
        code, out, err = gwtool(t, "jwks", write(t, [row]))
        t.equal((code, out), (78, ""), f"{row}: nothing came out")
        t.check(want in err and "no key came out" in err, f"{row}: {err}")
        code, out, err = gwtool(t, "--json", "jwks", write(t, [row]))
        errors = json.loads(out)["errors"]
        t.equal((code, err, [(e["code"], e["path"]) for e in errors]),
                (78, "", [("semantic", "keys"), ("semantic", "keys[0]")]), f"{row}: as JSON")
        t.check(want.partition("left out: ")[2] in errors[1]["message"], f"{row}: {errors}")
        made, err = convert(t, [row, public_jwk(es, use="sig", key_ops=["verify"])])
        t.equal((len(made), want in err), (1, True), f"{row}: the other one")
    made, _ = convert(t, [public_jwk(rsa), good], "--alg", "PS256")
    t.equal([k["alg"] for k in made], ["PS256", "ES256"], "the missing algorithm")
    made, _ = convert(t, [dict(good, kid="off")])
    t.equal(("kid" in made[0], json.loads(made[0]["jwk"])["kid"]), (False, "off"), "a word of ours")


def test_files_that_are_none(t):
    good = public_jwk(Pair(t.folder, "EdDSA"))
    for keys, want in ((good, "keys: is missing"),
                       ({"keys": good}, "keys: must be a list, not a map"),
                       ([good] * 1001, "keys: 1001 keys"), ([], "no key came out"),
                       ({"keys": [], "x": "y" * (1 << 20)}, "longer than the 1048576 bytes")):
        code, out, err = gwtool(t, "jwks", write(t, keys))
        t.equal((code, out, want in err), (78, "", True), f"{err[:200]}")
    made, _ = convert(t, [good] * 1000)
    err = gwtool(t, "jwks", t.path("set"))[2]
    t.check(len(made) == 1000 and "a policy takes 32" in err, err)
    with open(t.path("bad"), "w", encoding="ascii") as f:
        f.write("keys: []\n")
    code, _, err = gwtool(t, "jwks", t.path("bad"))
    t.check(code == 78 and f"{t.path('bad')}:1:" in err, err)
    for argv in ([], ["a", "b"], ["a", "--issuer", "off"], ["a", "--issuer", ""],
                 ["a", "--alg", "none"], ["a", "--issuer", "x" * 256], ["--nope"]):
        t.equal(gwtool(t, "jwks", *argv)[0], 2, f"{argv}")
    t.equal(gwtool(t, "jwks", t.path("none"))[0], 78, "no file")
    _, out, _ = gwtool(t, "jwks", "-", stdin=json.dumps({"keys": [good, 7]}).encode())
    t.check("alg: EdDSA" in out, f"from standard input: {out}")
    for text, want in ((b'{"keys": [7]}', "stdin: keys[0]: left out"), (b"keys: []", "stdin:1:")):
        code, out, err = gwtool(t, "jwks", "-", stdin=text)
        t.equal((code, out, want in err), (78, "", True), err)
