# SPDX-License-Identifier: GPL-2.0
"""The C programs with cases (guest/)."""

import subprocess

from . import paths
from .tap import FAIL, PASS, SKIP, Result, parse
from .testbed import Dead

# Above the harness' own longest deadline: it is the one to judge, while it lives.
CASE_SECONDS = 400
SPOILED = 4

# Programs of which cases may be skipped away though they pass at home, and what they say then.
SKIPPED_AWAY = (
    # A node's clocks are read there only if its clock source is the TSC; in KVM it may not be.
    ("local_clocks", "clock source: "),
    # It may leave a range alone of which much is away. At home nobody looks whether it does.
    ("pages", "khugepaged does not try"),
)


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


def skipped_rightly(program, result):
    """May a case be skipped away for what it says?"""
    return any(program == name and result.reason.startswith(reason) for name, reason in SKIPPED_AWAY)


def skipped(context, program, case, result):
    """The result of a case that was skipped away. It has to be so at home as well: else what it is
    about has not happened, because it was away. What chance has not brought about it may bring
    about the second time."""
    if skipped_rightly(program, result):
        return result
    native = run_case(context, program, "native", case)
    if native.outcome == PASS:
        again = run_case(context, program, "away", case)
        if again.outcome == SKIP and not skipped_rightly(program, again):
            again.outcome = FAIL
            again.reason = f"skipped away, but passes at home: {again.reason}"
        return again
    result.notes.append("without moves: " + native.outcome)
    return result


def run(context, program, only):
    """All cases of a program, moved; one that fails is tried at home as well, to tell a wrong test
    from a wrong module, and so is one that is skipped."""
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
        elif result.outcome == SKIP:
            result = skipped(context, program, case, result)
        yield result
