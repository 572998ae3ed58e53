#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check-layers finds what it should in small trees made here, and nothing else."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, 'tools')
sys.path.insert(0, TOOLS)
import c_source  # noqa: E402  pylint: disable=wrong-import-position

GOOD = {
    'core/base/slice.h': '#pragma once\n#include <stddef.h>\n',
    'core/http/head.h': '#pragma once\n#include "core/base/slice.h"\n',
    'core/http/h1_parse.c': '#include "core/http/head.h"\n#include <llhttp.h>\n',
    'ring/ring.h': '#pragma once\n#include "core/base/slice.h"\n',
    'ring/ring.c': '#include "ring/ring.h"\n#include <liburing.h>\n#include <unistd.h>\n',
    'core/proxy/relay.c': '#include "core/http/head.h"\n#include "ring/ring.h"\n',
    'tests/unit/ring/test_ring.c': '#include "ring/ring.c"\n#include <liburing.h>\n'
                                   '#include "ring_test.h"\n',
    'tests/unit/ring/ring_test.h': '#pragma once\n',
}

# name of the case, the file that is added or replaced, its text, the error and its line
BAD = (
    ('upwards', 'core/http/h1_write.c', '#include <string.h>\n#include "ring/ring.h"\n',
     'core/http/h1_write.c:2: core/http may not include ring/: "ring/ring.h"'),
    ('base is a leaf', 'core/base/log.c', '#include "core/http/head.h"\n',
     'core/base/log.c:1: core/base may not include core/http/: "core/http/head.h"'),
    ('sideways', 'ring/ring_ops.c', '#include "core/http/head.h"\n',
     'ring/ring_ops.c:1: ring may not include core/http/: "core/http/head.h"'),
    ('not from the root', 'ring/ring_ops.c', '#include "ring.h"\n',
     'ring/ring_ops.c:1: "ring.h" is no path from the root of the tree'),
    ('does not exist', 'ring/ring_ops.c', '#include "ring/gone.h"\n',
     'ring/ring_ops.c:1: "ring/gone.h" is no path from the root of the tree'),
    ('ours in brackets', 'ring/ring_ops.c', '#include <ring/ring.h>\n',
     'ring/ring_ops.c:1: <ring/ring.h> is ours: write it in quotes'),
    ('a library elsewhere', 'core/proxy/pool.c', '\n\n#include <liburing.h>\n',
     'core/proxy/pool.c:3: <liburing.h> belongs in ring/ or perf/ only'),
    ('a second adapter', 'core/http/z.c', '#include <llhttp.h>\n',
     'core/http/z.c:1: <llhttp.h> has its adapter in core/http/h1_parse.c'),
    ('a descriptor above the ring', 'core/proxy/pool.c', '#include <unistd.h>\n',
     'core/proxy/pool.c:1: core/proxy may not include <unistd.h>: descriptors are the ring\'s'),
    ('a kernel program', 'bpf/shed.bpf.c', '#include "core/base/slice.h"\n',
     'bpf/shed.bpf.c:1: a BPF program may include only "bpf/shed_abi.h", '
     'not "core/base/slice.h"'),
    ('an unknown folder', 'misc/a.c', '',
     'misc/a.c:1: lies in no folder of the layer table in tools/check-layers'),
)


def check(tree):
    with tempfile.TemporaryDirectory() as root:
        for path, text in tree.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                file.write(text)
        result = subprocess.run([sys.executable, os.path.join(TOOLS, 'check-layers'), root],
                                capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout.splitlines()


class Layers(unittest.TestCase):
    def test_a_good_tree_passes(self):
        code, lines = check(GOOD)
        self.assertEqual((code, lines), (0, [f'{len(GOOD)} files, 0 errors']))

    def test_each_wrong_edge_is_named(self):
        for name, path, text, error in BAD:
            with self.subTest(name):
                code, lines = check({**GOOD, path: text})
                self.assertEqual(code, 1)
                self.assertIn(error, lines)
                self.assertTrue(lines[-1].endswith(' 1 errors'), lines)

    def test_a_commented_include_is_none(self):
        text = '/*\n#include "ring/ring.h"\n*/\n'
        self.assertEqual(check({**GOOD, 'core/http/target.c': text})[0], 0)

    def test_sizes_only_warn(self):
        body = 'int f(void)\n{\n' + '\tg();\n' * 71 + '}\n'
        tree = {**GOOD, 'ring/long.c': body, 'ring/long.h': '\n' * 151}
        code, lines = check(tree)
        self.assertEqual(code, 0)
        self.assertIn('ring/long.c:1: warning: f() has 71 lines, over 70', lines)
        self.assertIn('ring/long.h:1: warning: 151 lines, over 150', lines)


class Functions(unittest.TestCase):
    SOURCE = '''/* int not_one(int a)
{
} */
struct pair {
	int a, b;
};

static int add(const struct pair *p, int (*fn)(int, int),
	       int c)
{
	GW_ASSERT(p);
	for (;;)
		if (c == '{')
			while (c)
				c--;
	return "}"[0];
}

void none(void)
{
}
'''

    def test_what_is_measured(self):
        add, none = c_source.functions(self.SOURCE)
        self.assertEqual((add.name, add.line, add.n_lines, add.n_params), ('add', 8, 6, 3))
        self.assertEqual((add.static, add.n_checks, add.nesting), (True, 1, 3))
        self.assertEqual((none.name, none.n_lines, none.n_params), ('none', 0, 0))
        self.assertFalse(none.static)


if __name__ == '__main__':
    unittest.main()
