# SPDX-License-Identifier: Apache-2.0
"""What tools/check-layers and tools/sizes need to know about our C files.

The style guide makes this easy: the body of a function is what stands between
a '{' and a '}' in the first column, and no other brace stands there.
"""
import os
import re
import subprocess
from dataclasses import dataclass

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
NAME = re.compile(r'(\w+)\s*\(')
NOT_A_NAME = {'__attribute__', '_Alignas'}
SOURCE = ('.c', '.h', '.def')


@dataclass
class Include:
    line: int
    path: str
    system: bool


@dataclass
class Function:
    line: int
    name: str
    n_lines: int
    n_params: int
    nesting: int
    static: bool
    n_checks: int


def files(root):
    """Source files below root, as paths from it: what git knows or could know."""
    args = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z']
    try:
        out = subprocess.run(args, cwd=root, check=True, capture_output=True).stdout.decode()
        found = out.split('\0')
    except (OSError, subprocess.CalledProcessError):  # A tarball has no git.
        found = [os.path.relpath(os.path.join(folder, name), root)
                 for folder, _, names in os.walk(root) for name in names]
    return sorted(path for path in found if path.endswith(SOURCE)
                  and not path.startswith(('build/', '.'))
                  and os.path.isfile(os.path.join(root, path)))


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8', errors='replace') as file:
        return file.read()


def blank(text):
    """The same text with comments, strings and characters emptied; lines stay where they are."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

    def empty(match):
        found = match.group()
        return found[0] * 2 if found[0] in '"\'' else re.sub(r'[^\n]', '', found)

    return token.sub(empty, text)


def includes(text):
    """All includes; a commented-out one does not count, a path is kept as written."""
    found = []
    kept = blank(text).split('\n')
    for number, line in enumerate(text.split('\n'), 1):
        match = INCLUDE.match(line)
        if match and '#' in kept[number - 1]:
            found.append(Include(number, match.group(2), match.group(1) == '<'))
    return found


def _signature(lines, brace):
    """The text from the first line of the function's head to the line before '{'."""
    first = brace
    while first > 0 and lines[first - 1].strip() and lines[first - 1][0] not in '}#' \
            and not lines[first - 1].rstrip().endswith((';', '\\')):
        first -= 1
    return ' '.join(lines[first:brace]), first


def _n_params(signature, name):
    inner = signature[signature.index(name) + len(name):].strip()
    depth, n_commas = 0, 0
    for char in inner:
        depth += (char == '(') - (char == ')')
        n_commas += char == ',' and depth == 1
        if depth == 0:
            break
    return 0 if re.match(r'\(\s*(void)?\s*\)', inner) else n_commas + 1


def _nesting(body):
    """How deep blocks stand in each other, by the tabs in front of what they hold."""
    deepest = 0
    for line in body:
        match = re.match(r'(\t+)(?:if|for|while|switch|do)\b', line)
        if match:
            deepest = max(deepest, len(match.group(1)))
    return deepest


def functions(text):
    lines = blank(text).split('\n')
    found = []
    start = None
    for number, line in enumerate(lines):
        if line.rstrip() == '{':
            start = number
        elif start is not None and re.match(r'\}\s*$', line):
            signature, first = _signature(lines, start)
            names = [n for n in NAME.findall(signature) if n not in NOT_A_NAME]
            if names:
                body = lines[start + 1:number]
                checks = sum(1 for each in body
                             if re.search(r'\b(GW_ASSERT|GW_UNREACHABLE|\w+_check)\s*\(', each))
                found.append(Function(first + 1, names[0], len(body),
                                      _n_params(signature, names[0]), _nesting(body),
                                      bool(re.search(r'\bstatic\b', signature)), checks))
            start = None
    return found
