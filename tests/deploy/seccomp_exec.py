#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a command under a container engine's seccomp profile, without an engine.

usage: seccomp_exec.py PROFILE COMMAND [ARGUMENT...]

Reads the JSON as runtimes do and loads it with libseccomp (which apt itself
depends on). Exit code 77 where that library is missing; otherwise the command's.
"""
import ctypes
import errno
import json
import os
import sys

NO_LIBRARY = 77
ALLOW = 0x7FFF0000
COMPARE = {'SCMP_CMP_EQ': 4, 'SCMP_CMP_MASKED_EQ': 7}
NATIVE = {'x86_64': 'SCMP_ARCH_X86_64', 'aarch64': 'SCMP_ARCH_AARCH64'}
PR_SET_NO_NEW_PRIVS = 38


class Argument(ctypes.Structure):
    """libseccomp's struct scmp_arg_cmp."""
    _fields_ = [('index', ctypes.c_uint), ('op', ctypes.c_int),
                ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]


def action(name, errno_value):
    return ALLOW if name == 'SCMP_ACT_ALLOW' else 0x00050000 | errno_value


def library():
    lib = ctypes.CDLL('libseccomp.so.2', use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Argument)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    return lib


def add_rule(lib, context, rule):
    arguments = [Argument(a['index'], COMPARE[a['op']], a['value'], a.get('valueTwo', 0))
                 for a in rule.get('args', ())]
    array = (Argument * max(1, len(arguments)))(*arguments)
    what = action(rule['action'], rule.get('errnoRet', errno.EPERM))
    for name in rule['names']:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # Not a call of this architecture, or newer than the library.
            continue
        result = lib.seccomp_rule_add_array(context, what, number, len(arguments), array)
        if result < 0:
            raise OSError(-result, f'rule for {name}')


def load(profile):
    if NATIVE[os.uname().machine] not in profile['architectures']:
        raise ValueError(f'{os.uname().machine} is not among the profile\'s architectures')
    lib = library()
    context = lib.seccomp_init(action(profile['defaultAction'], profile['defaultErrnoRet']))
    for rule in profile['syscalls']:
        add_rule(lib, context, rule)
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError('no_new_privs')
    result = lib.seccomp_load(context)
    if result < 0:
        raise OSError(-result, 'seccomp_load')


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        profile = json.load(file)
    try:
        load(profile)
    except OSError as error:
        if error.errno is None and 'libseccomp' in str(error):
            return NO_LIBRARY
        raise
    os.execvp(sys.argv[2], sys.argv[2:])
    return 1


if __name__ == '__main__':
    sys.exit(main())
