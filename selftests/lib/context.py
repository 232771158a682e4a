# SPDX-License-Identifier: GPL-2.0
"""What a suite needs to know about the run it is part of."""

import fnmatch
import random

from . import paths
from .homecomings import Record
from .testbed import Testbed
from .tap import FAIL, PASS, SKIP, Result


class Only:
    """The tests asked for: patterns 'suite' or 'suite/test'."""

    def __init__(self, patterns):
        self.patterns = [p.partition("/")[::2] for p in patterns.replace(",", " ").split()]

    def suite(self, name, default):
        """Whether a suite runs at all."""
        if not self.patterns:
            return default
        # What the machines run has to be built, whatever is asked for.
        return name == "build" or any(fnmatch.fnmatch(name, s) for s, _ in self.patterns)

    def within(self, suite):
        """A filter for the names of a suite's tests."""
        wanted = [t or "*" for s, t in self.patterns if fnmatch.fnmatch(suite, s)] or ["*"]
        return lambda name: any(fnmatch.fnmatch(name, w) for w in wanted)

    def met_nothing(self, names):
        """Patterns that none of these names, 'suite/test' or 'suite/test.how', has met."""
        names = set(names) | {name.rpartition(".")[0] for name in names}
        return [f"{suite}/{test}" if test else suite for suite, test in self.patterns
                if not any(fnmatch.fnmatch(name, f"{suite}/{test or '*'}") for name in names)]


class Context:
    """One run of the tests."""

    def __init__(self, args, report, keep=None):
        self.report = report
        self.kernel = args.kernel
        self.native = args.native
        self.thorough = bool(args.tests)    # what was asked for by name is done in full
        self.seed = args.seed
        self.moves = args.moves
        self.runs = args.runs
        self.random = random.Random(args.seed)
        self.homecomings = Record(args.kernel, args.seed, keep)
        self.bed = Testbed(args.kernel, args.name, module=not args.native, keep=args.keep,
                           smp=args.smp, append=args.append)
        # Several at once have less of the host each.
        self.bed.slow *= args.jobs
        self.bed.crowded = args.jobs
        self.slow = self.bed.slow
        self.built = False
        self.complained = False

    @property
    def debug(self):
        """Whether the machines run the kernel with the checkers."""
        return self.kernel != "stock"

    def ready(self):
        """Whether there is something to boot; says once that there is not."""
        if self.built and paths.TESTBED.exists():
            return True
        if not self.complained:
            why = "not built" if not self.built else f"no {paths.TESTBED.name}"
            self.report.add("testbed", Result("ready", FAIL, why))
            self.complained = True
        return False


class Skip(Exception):
    """Raised by a test that cannot run here."""


def each(context, tests, only):
    """Results of plain functions: one that returns passes, AssertionError fails
    it, Skip skips it; whatever else they raise is the suite's concern."""
    for test in tests:
        name = test.__name__
        if not only(name):
            continue
        try:
            test(context)
            yield Result(name, PASS)
        except AssertionError as wrong:
            yield Result(name, FAIL, str(wrong) or "assertion failed")
        except Skip as skip:
            yield Result(name, SKIP, str(skip))
