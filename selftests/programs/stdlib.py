# SPDX-License-Identifier: GPL-2.0
"""Python's own tests: a line with the verdict of each, the reasons on standard error.
Arguments: names of modules, classes or tests of the package test; -NAME leaves out what has
that in its name."""

import os
import sys
import tempfile
import unittest

from test import support

names = ["test." + word for word in sys.argv[1:] if not word.startswith("-")]
without = [word[1:] for word in sys.argv[1:] if word.startswith("-")]
del sys.argv[1:]            # tests look at it
support.use_resources = []
support.verbose = 0
# A machine may be slow.
for limit in ("LOOPBACK_TIMEOUT", "SHORT_TIMEOUT", "LONG_TIMEOUT"):
    setattr(support, limit, 8 * getattr(support, limit))


class Verdicts(unittest.TestResult):
    """Prints each as it comes."""

    def say(self, test, verdict, why=""):
        print(f"{test.id()}: {verdict}", flush=True)
        print(why, end="", file=sys.stderr, flush=True)

    def addSuccess(self, test):
        self.say(test, "ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say(test, "skipped")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say(test, "FAILED", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.say(test, "ERROR", self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.say(subtest, "FAILED", self.failures[-1][1] if self.failures else "")


def chosen(suite):
    """The tests of a suite that are not left out."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept = unittest.TestSuite(chosen(test))
            if kept.countTestCases():
                yield kept
        elif not any(word in test.id() for word in without):
            yield test


os.chdir(tempfile.mkdtemp(dir="."))
tests = unittest.TestSuite(chosen(unittest.defaultTestLoader.loadTestsFromNames(names)))
verdicts = Verdicts()
tests.run(verdicts)
print(verdicts.testsRun, "tests,", len(verdicts.failures) + len(verdicts.errors), "failed")
sys.exit(0 if verdicts.wasSuccessful() and verdicts.testsRun else 1)
