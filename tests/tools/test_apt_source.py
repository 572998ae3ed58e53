#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/apt-source reads both forms of apt's source lists."""
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

STANZAS = '''# The first two do not count: sources of source packages, and one switched off.
Types: deb-src
URIs: http://source.invalid/debian
Suites: bookworm

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: bookworm

Types: deb deb-src
# in the middle
URIs: http://one.invalid/debian http://two.invalid/debian
Suites: bookworm-updates
 bookworm
Signed-By: {key}
'''
INLINE_KEY = '''Types: deb
URIs: http://inline.invalid/debian
Suites: bookworm
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 bm90IGEga2V5
'''
LINES = '''# deb http://comment.invalid/debian bookworm main
deb-src http://source.invalid/debian bookworm main
deb [arch=amd64 signed-by={key}] http://line.invalid/debian bookworm main contrib
deb http://second.invalid/debian bookworm main
'''

# name, file, its text, the URI wanted or None
CASES = (
    ('stanzas', 'sources.list.d/a.sources', STANZAS, 'http://one.invalid/debian'),
    ('one line each', 'sources.list', LINES, 'http://line.invalid/debian'),
    ('a list in the folder', 'sources.list.d/x.list', LINES, 'http://line.invalid/debian'),
    ('another suite only', 'sources.list', LINES.replace('bookworm', 'bullseye'), None),
    ('a suite of a longer name', 'sources.list', LINES.replace('bookworm', 'bookworm-x'), None),
    ('nothing', 'sources.list', '', None),
)


def run(path, text):
    with tempfile.TemporaryDirectory() as etc:
        os.mkdir(os.path.join(etc, 'sources.list.d'))
        key = os.path.join(etc, 'key.gpg')
        for name, content in ((path, text.replace('{key}', key)), ('key.gpg', '')):
            with open(os.path.join(etc, name), 'w', encoding='utf-8') as file:
                file.write(content)
        result = subprocess.run([os.path.join(ROOT, 'tools', 'apt-source'), 'bookworm', etc],
                                capture_output=True, text=True, timeout=60, check=False)
    return result, key


class AptSource(unittest.TestCase):
    def test_cases(self):
        for name, path, text, uri in CASES:
            with self.subTest(name):
                result, key = run(path, text)
                if uri is None:
                    self.assertEqual(result.returncode, 1)
                    self.assertIn('no source for bookworm', result.stderr)
                else:
                    self.assertEqual(result.stdout, f'{uri} {key}\n', result.stderr)

    def test_a_key_in_the_file_leaves_the_usual_keyring(self):
        result, _ = run('sources.list.d/a.sources', INLINE_KEY)
        self.assertIn('debian-archive-keyring.gpg', result.stdout + result.stderr)


if __name__ == '__main__':
    unittest.main()
