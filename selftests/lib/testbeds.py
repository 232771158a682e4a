# SPDX-License-Identifier: GPL-2.0
"""The testbed's own tests, on the distribution's kernel only: no other makes a difference."""

import re
import subprocess

from . import paths
from .tap import FAIL, SKIP, Result, parse

SELFTEST = paths.TESTBED.parent / "selftest"


def run(context, only):
    """The suite "testbed"."""
    if context.debug:
        yield Result("selftest", SKIP, "the same as on the stock kernel")
        return
    listed = subprocess.run([str(SELFTEST), "--list"], stdin=subprocess.DEVNULL, check=True,
                            capture_output=True, text=True)
    names = [name for name in listed.stdout.split() if only(name)]
    if not names:
        return
    command = [str(SELFTEST), "--name", f"{context.bed.name}-self", *names]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace", stderr=subprocess.STDOUT) as process:
        text, failed = "", None
        for line in process.stdout:
            text += line
            match = re.match(r"(?:not )?ok \d+ - testbed: (.*?)(?: # [\d.]+ s)?$", line)
            if not match:
                if failed:
                    failed.reason += line.removeprefix("# ")
                continue
            if failed:
                yield failed
            result = parse(line)[0][0]
            result.name = match[1].replace(" ", "_")
            failed = result if result.outcome == FAIL else None
            if not failed:
                yield result
        if failed:
            yield failed
    _, complaint = parse(text, process.returncode)
    if complaint:
        yield Result("selftest", FAIL, f"{complaint}\n{text[-2000:]}")
