# SPDX-License-Identifier: GPL-2.0
"""Threads of one process on three machines, memory as on one: litmus tests and a sweep."""

from . import guest, paths
from .tap import FAIL, PASS, Result
from .testbed import Dead

MACHINES = 3
NODES = "1,2,3"
MOVE_MS = 100           # on average, between moves of threads


class Size:
    """How much of it."""

    def __init__(self, runs, limit, sweep, patience):
        self.runs = runs            # of each shape
        self.limit = limit          # fewer on a slow host rather than more seconds than that
        self.sweep = sweep          # seconds
        self.patience = patience    # seconds until the runs of a shape have to have ended


SHORT = Size(2304, 10, 10, 120)     # each kind of access and of place twice
FULL = Size(100000, 1000000, 600, 14400)


def play(context, name, timeout, program, *words):
    """One run of a program, which says itself what is wrong; what it prints is shown."""
    place = [] if context.native else ["-n", NODES, "-m", MOVE_MS]
    seed = context.random.randrange(1, 1 << 20)
    try:
        done = context.bed.execute(1, f"{paths.GUEST}/{program}", *place, "-s", seed, "-t",
                                   context.slow, *words, timeout=timeout * context.slow)
    except Dead as dead:
        context.bed.discard(f"coherence-{name}")
        return Result(name, FAIL, str(dead))
    notes = done.stdout.splitlines()
    if done.returncode:
        return Result(name, FAIL, f"seed {seed}: ended with {done.returncode} {done.stderr[-500:]}",
                      notes)
    return Result(name, PASS, notes=notes)


def tests(context, only, size):
    """Every shape, and the sweep."""
    if context.debug:
        size = Size(size.runs // 2, size.limit, size.sweep, size.patience)
    for shape in guest.cases("litmus"):
        if only(shape):
            yield play(context, shape, size.patience, "litmus", "-r", size.runs, "-d",
                       size.limit * context.slow, shape)
    if only("sweep"):
        yield play(context, "sweep", size.sweep + 60, "sweep", "-d", size.sweep)


def run(context, only):
    """The suite "coherence"."""
    if only("litmus_self_test"):
        done = context.bed.execute(1, f"{paths.GUEST}/litmus", "--self-test")
        yield Result("litmus_self_test", FAIL if done.returncode else PASS,
                     (done.stdout + done.stderr)[-2000:])
    yield from tests(context, only, SHORT)


def soak(context, only):
    """The suite "soak_coherence"."""
    yield from tests(context, only, FULL)
