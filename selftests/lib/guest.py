# SPDX-License-Identifier: GPL-2.0
"""The C programs with cases (guest/)."""

import subprocess

from . import paths
from .tap import FAIL, Result, parse
from .testbed import Dead

# Above the harness' own longest deadline: it is the one to judge, while it lives.
CASE_SECONDS = 400
SPOILED = 4


def cases(program):
    """Names of a program's cases."""
    done = subprocess.run([str(paths.PROGRAMS / program), "--list"], capture_output=True,
                          text=True, check=False)
    if done.returncode or not done.stdout:
        raise AssertionError(f"{program} --list: {done.stderr}")
    return done.stdout.split()


def run_case(context, program, mode, case):
    """One case in one mode."""
    name = f"{case}.{mode}"
    try:
        done = context.bed.execute(1, f"{paths.GUEST}/{program}", "-t", context.slow, mode, case,
                                   timeout=CASE_SECONDS * context.slow)
    except Dead as dead:
        context.bed.discard(f"{program}-{name}")
        return Result(name, FAIL, str(dead))
    results, complaint = parse(done.stdout, done.returncode)
    result = results[0] if results else Result(name, FAIL, "no result")
    result.name = name
    if complaint:
        result.outcome = FAIL
        result.reason = f"{complaint}; {done.stderr.strip()[-300:]}"
    if done.returncode == SPOILED:
        context.bed.discard(f"{program}-{name}")
    return result


def run(context, program, only):
    """All cases of a program, moved; one that fails is tried at home as well, to
    tell a wrong test from a wrong module."""
    for case in cases(program):
        if not only(case):
            continue
        if context.native:
            yield run_case(context, program, "native", case)
            continue
        result = run_case(context, program, "away", case)
        if result.outcome == FAIL:
            native = run_case(context, program, "native", case)
            result.notes.append("without moves: " + native.outcome)
        yield result
