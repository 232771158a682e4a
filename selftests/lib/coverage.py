# SPDX-License-Identifier: GPL-2.0
"""Which test exercises which system call (calls.txt)."""

import re
import subprocess

from . import paths

TABLE = paths.SELFTESTS / "lib" / "calls.txt"
NONE = "-"                      # no test makes it

COMMENT = "#"


def numbers():
    """Names of this machine's system calls by number."""
    done = subprocess.run(["gcc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"],
                          capture_output=True, text=True, check=True)
    found = re.findall(r"^#define __NR_(\w+) (\d+)$", done.stdout, re.M)
    return {name: int(number) for name, number in sorted(found, key=lambda f: int(f[1]))}


def programs():
    """The suites that are programs of guest/, and for each its programs."""
    text = (paths.SELFTESTS / "lib" / "suites.py").read_text(encoding="utf-8")
    found = re.findall(r'^    program\(((?:[^()"]|"[^"]*")*)\)', text, re.M)
    words = [re.findall(r'"([^"]*)"', arguments) for arguments in found]
    return {name: [name, *others] for name, _, *others in words}


def classes():
    """The rows of kmod/syscall_table.h: call, class."""
    text = (paths.TOP / "kmod/syscall_table.h").read_text(encoding="utf-8")
    found = re.findall(r'^\tX\((\w+),\s+([A-Z]+),\s+"[^"]+"\)', text, re.M)
    rows = dict(found)
    assert len(rows) == len(found), "two rows for one call in syscall_table.h"
    return rows


def table():
    """The rows: call, list of tests."""
    rows = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(COMMENT):
            name, *tests = line.split()
            assert name not in rows, f"two rows for {name}"
            rows[name] = tests
    return rows


def head():
    """The comment above the rows."""
    lines = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith(COMMENT):
            break
        lines.append(line)
    return "\n".join(lines) + "\n"
