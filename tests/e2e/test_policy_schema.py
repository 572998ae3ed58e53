# SPDX-License-Identifier: Apache-2.0
"""gwtool schema policy: an editor that validates by it takes what is taken, and marks what is not."""
import json
import re

from harness.programs import gwtool
from test_cookbook import recipes

# Taken, though there is a plainer way to say each.
ODD = [
    "version: 1\nservices:\nroutes: ~",
    "version: 1\nservices: {s: , t: {endpoints: ~, protocol: ~, timeouts: ~, pool: ~}}",
    "version: 1\nservices: {s: {pool: {max_requests: off, max_idle: 0}}}",
    "version: 1\nrate_limit: off\nenabled: ~\nlimits: {l: {rate: 5/m, burst: rate, key: ~}}",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, max_body: 0, upgrades: websocket, "
    "match: ~, cookies: ~, cors: {max_age: ~, origins: ~}}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, upgrades: [none, websocket], "
    "max_body: off, match: {hosts: [\"*.A-b_c.test\", \"[::1]\", 10.0.0.1], path: \"/%20/a:b;c/\", "
    "methods: [M-SEARCH], headers: {x: \"1\"}}}]",
    "version: 1\nroutes: [{name: r, redirect: {to: /x, status: 301}}, "
    "{name: q, match: {path: /}, redirect: {to: /x, status: \"302\"}}]",
]

# Not taken, and it can be said in a schema.
BROKEN = [
    "{}", "version: 2", "version: ~", "version: 1\nservice: {}", "version: 1\nservices: [s]",
    "version: 1\nservices: {\"a b\": }", "version: 1\nservices: {s: {protocol: ftp}}",
    "version: 1\nservices: {s: {timeouts: {connect: 2}}}",
    "version: 1\nservices: {s: {timeouts: {connect: 0}}}",
    "version: 1\nservices: {s: {timeouts: {connect: 2 s}}}",
    "version: 1\nservices: {s: {endpoints: [~]}}", "version: 1\nservices: {s: {endpoints: [{}]}}",
    "version: 1\nlimits: {l: {rate: 100}}", "version: 1\nlimits: {l: {rate: 100/w}}",
    "version: 1\nlimits: {l: }",
    "version: 1\nroutes: [{name: r/1, service: s}]", "version: 1\nroutes: [{name: ~}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, match: {path: x}}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, match: {path: \"/a b\"}}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, match: {hosts: [\"::1\"]}}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, match: {hosts: 5}}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, match: {methods: [\"GET \"]}}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, max_body: 5}]",
    "version: 1\nservices: {s: }\nroutes: [{name: r, service: s, upgrades: []}]",
    "version: 1\nroutes: [{name: r, redirect: {to: /x, status: 304}}]",
    "version: 1\nroutes: [{name: r, respond: {status: \"200\"}}]",
]


def reader(yaml):
    """YAML as the gateway reads it: 'off' is a text."""
    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}

    for kind, pattern, first in (("bool", "true|false", "tf"), ("int", "-?[0-9]+", "-0123456789"),
                                 ("null", "~|null|", ["~", "n", ""])):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), first)
    return lambda text: yaml.load(text, Loader)


def tools(t):
    """(reading YAML, a validator by the schema that gwtool prints)"""
    try:
        import jsonschema  # pylint: disable=import-outside-toplevel
        import yaml  # pylint: disable=import-outside-toplevel
    except ImportError as e:
        t.skip(f"{e}")
    code, out, err = gwtool(t, "schema", "policy")
    t.equal((code, err), (0, ""), "gwtool schema policy")
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    return reader(yaml), jsonschema.Draft202012Validator(schema)


def is_taken(t, text):
    path = t.path("policy.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    code, _, err = gwtool(t, "check-policy", path)
    t.check(code in (0, 78), f"check-policy: {code} {err}")
    return code == 0, err


def check(t, text, want, what):
    read, validator = tools(t)
    taken, why = is_taken(t, text)
    errors = [e.message[:200] for e in validator.iter_errors(read(text))]
    t.equal((taken, not errors), (want, want), f"{what}: {text}: {why}: {errors}")


def test_what_is_taken_is_valid(t):
    for recipe in recipes(t):
        for policy in recipe.policies:
            check(t, policy, True, recipe.heading)
    for policy in ODD:
        check(t, policy, True, "odd")


def test_what_is_broken_is_not_valid(t):
    for policy in BROKEN:
        check(t, policy, False, "broken")
