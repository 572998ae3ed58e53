#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile and the unit file, as far as they can be checked without an engine."""
import configparser
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The package of the image's release that holds a shared library of ours.
PACKAGE = {'libcares.so.2': 'libcares2', 'libjansson.so.4': 'libjansson4',
           'libyaml-0.so.2': 'libyaml-0-2', 'libssl.so.3': 'libssl3t64',
           'libcrypto.so.3': 'libssl3t64'}
DRAIN_SECONDS = 30  # The default of timeouts.drain.
IN_EVERY_IMAGE = re.compile(r'(libc|libm|ld-linux.*|libgcc_s|lib[au]bsan|libasan)\.so')


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as file:
        return file.read()


def instructions(text):
    joined = re.sub(r'\\\n', ' ', re.sub(r'(?m)^#.*\n', '', text))
    return [line.split(None, 1) for line in joined.splitlines() if line.strip()]


class Image(unittest.TestCase):
    def setUp(self):
        self.lines = instructions(read('Dockerfile'))
        starts = [i for i, (word, _) in enumerate(self.lines) if word == 'FROM']
        self.assertEqual(len(starts), 2, 'one stage builds, one runs')
        self.final = {word: rest for word, rest in self.lines[starts[1]:]}

    def test_it_runs_without_rights_and_can_be_told_to_drain(self):
        uid = self.final['USER'].split(':')[0]
        self.assertTrue(uid.isdigit() and int(uid) > 0)
        self.assertEqual(self.final['STOPSIGNAL'], 'SIGTERM')
        self.assertIn('HEALTHCHECK', self.final)

    def test_only_the_two_programs_are_taken_over(self):
        sources = re.sub(r'--\S+', '', self.final['COPY']).split()[:-1]
        self.assertEqual(sorted(map(os.path.basename, sources)), ['gwtool', 'sluice'])

    def test_it_holds_every_shared_library(self):
        program = os.environ.get('SLUICE') or os.path.join(ROOT, 'build', 'release', 'sluice')
        if not os.access(program, os.X_OK):
            self.skipTest('no program built')
        dynamic = subprocess.run(['readelf', '-d', program], check=True, capture_output=True,
                                 text=True, timeout=60).stdout
        needed = re.findall(r'\(NEEDED\).*\[(.+?)\]', dynamic)
        self.assertTrue(needed)
        for name in needed:
            if not IN_EVERY_IMAGE.match(name):
                self.assertIn(name, PACKAGE, 'a library that the image does not have')
                self.assertIn(PACKAGE[name], self.final['RUN'])


class Unit(unittest.TestCase):
    def test_it_is_confined_and_drains(self):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str
        unit.read_string(read('deploy', 'sluice.service'))
        service = unit['Service']
        for name in ('DynamicUser', 'NoNewPrivileges', 'PrivateTmp', 'ProtectHome'):
            self.assertEqual(service[name], 'yes', name)
        for call in ('io_uring_setup', 'io_uring_enter', 'io_uring_register'):
            self.assertIn(call, service['SystemCallFilter'].split())
        self.assertGreater(int(service['TimeoutStopSec']), DRAIN_SECONDS)


if __name__ == '__main__':
    unittest.main()
