#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The probes in the program are those of core/base/probes.def, with three arguments each."""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP = 77


def listed():
    with open(os.path.join(ROOT, "core/base/probes.def"), encoding="utf-8") as f:
        return set(re.findall(r"^X\((\w+),", f.read(), re.M))


def built(program):
    """Names of our probes to the numbers of their arguments, at every place."""
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True,
                           check=True).stdout
    found = re.findall(r"Provider: sluice\s+Name: (\w+)\s+Location:.*\s+Arguments: (.*)", notes)
    return {name: {len(args.split()) for n, args in found if n == name} for name, _ in found}


def main():
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not shutil.which("readelf") or not compiler or subprocess.run(
            [compiler, "-E", "-"], input="#include <sys/sdt.h>\n", text=True,
            capture_output=True, check=False).returncode != 0:
        print("readelf or sys/sdt.h is not here")
        return SKIP
    probes = built(os.environ["SLUICE"])
    wrong = [f"{name} is not in probes.def" for name in sorted(set(probes) - listed())]
    wrong += [f"{name} is not in the program" for name in sorted(listed() - set(probes))]
    wrong += [f"{name} has {n} arguments" for name, n in sorted(probes.items()) if n != {3}]
    print("\n".join(wrong) or f"{len(probes)} probes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
