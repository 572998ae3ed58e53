#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/seccomp.json: well-formed as engines read it, and it does what it says."""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROFILE = os.path.join(ROOT, 'deploy', 'seccomp.json')
RULE_KEYS = {'comment', 'names', 'action', 'errnoRet', 'args'}
NEVER = {'ptrace', 'mount', 'umount2', 'bpf', 'kexec_load', 'init_module', 'unshare', 'setns',
         'process_vm_writev', 'keyctl', 'userfaultfd', 'perf_event_open', 'reboot', 'chroot'}

with open(PROFILE, encoding='utf-8') as file:
    profile = json.load(file)


def confined(*command):
    result = subprocess.run([sys.executable, os.path.join(HERE, 'seccomp_exec.py'), PROFILE,
                             *command], capture_output=True, text=True, timeout=60, check=False)
    if result.returncode == 77:
        raise unittest.SkipTest('libseccomp.so.2 is not here')
    return result


def syscall(number_x86, number_arm, arguments):
    """Source of a program that makes one call and prints its errno, 0 for none."""
    number = {'x86_64': number_x86, 'aarch64': number_arm}[os.uname().machine]
    return ('import ctypes; libc = ctypes.CDLL(None, use_errno=True); '
            f'r = libc.syscall({number}, {arguments}); print(ctypes.get_errno() if r < 0 else 0)')


class Shape(unittest.TestCase):
    def test_refuses_by_default(self):
        self.assertEqual(profile['defaultAction'], 'SCMP_ACT_ERRNO')
        self.assertEqual(profile['defaultErrnoRet'], 1)

    def test_rules_are_what_engines_read(self):
        self.assertTrue(profile['syscalls'])
        for rule in profile['syscalls']:
            self.assertLessEqual(set(rule), RULE_KEYS, rule)
            self.assertTrue(rule['names'])
            self.assertEqual(rule['names'], sorted(rule['names']), 'keep the names sorted')
            self.assertIn(rule['action'], ('SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO'))

    def test_no_name_twice_without_arguments(self):
        names = [n for rule in profile['syscalls'] if 'args' not in rule for n in rule['names']]
        self.assertEqual(len(names), len(set(names)))

    def test_allows_the_ring_and_nothing_for_breaking_out(self):
        allowed = {n for rule in profile['syscalls'] if rule['action'] == 'SCMP_ACT_ALLOW'
                   for n in rule['names']}
        self.assertLessEqual({'io_uring_setup', 'io_uring_enter', 'io_uring_register'}, allowed)
        self.assertFalse(allowed & NEVER)


class Effect(unittest.TestCase):
    def run_python(self, source):
        result = confined(sys.executable, '-c', source)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def test_threads_start(self):
        source = ('import threading; t = threading.Thread(target=print, args=("ran",)); '
                  't.start(); t.join()')
        self.assertEqual(self.run_python(source), 'ran')

    def test_a_ring_may_be_asked_for(self):
        # Two entries and no parameters: EFAULT comes from the ring, EPERM would be the filter's.
        self.assertEqual(self.run_python(syscall(425, 425, '2, None')), '14')

    def test_namespaces_are_refused(self):
        self.assertEqual(self.run_python(syscall(272, 97, '0x10000000')), '1')

    def test_strange_sockets_are_refused(self):
        source = ('import socket; socket.socket(socket.AF_INET).close(); '
                  'socket.socket(socket.AF_UNIX).close()\n'
                  'try: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n'
                  'except PermissionError: print("refused")')
        self.assertEqual(self.run_python(source), 'refused')

    def test_the_daemon_runs_under_it(self):
        sluice = os.environ.get('SLUICE') or os.path.join(ROOT, 'build', 'release', 'sluice')
        if not os.access(sluice, os.X_OK):
            self.skipTest('no program built')
        os.environ['ASAN_OPTIONS'] = 'detect_leaks=0'  # It would want ptrace.
        plain = subprocess.run([sluice, '--check-env'], capture_output=True, timeout=60, check=False)
        result = confined(sluice, '--check-env')
        self.assertEqual(result.returncode, plain.returncode, result.stdout + result.stderr)


if __name__ == '__main__':
    unittest.main()
