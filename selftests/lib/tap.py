# SPDX-License-Identifier: GPL-2.0
"""TAP: what the programs say, and what the runner prints.

A program's output is read with parse(), which trusts nothing: a program that
ends without a plan, gives fewer results than planned, or ends with a status
that its results do not explain, has failed.
"""

import re
import sys
import time

PASS, FAIL, SKIP = "ok", "not ok", "skip"

RESULT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*(.*?)\s*(?:#\s*(SKIP|TODO)\b\s*(.*))?$", re.I)
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\b\s*(.*))?$", re.I)


class Result:
    """One test's outcome."""

    def __init__(self, name, outcome, reason="", notes=()):
        self.name = name
        self.outcome = outcome
        self.reason = reason
        self.notes = list(notes)


def parse(text, status=0):
    """Results of one program's output and exit status, and what is wrong with
    the output as a whole, as (results, complaint or None)."""
    results, notes, plan = [], [], None
    for line in text.splitlines():
        match = PLAN.match(line)
        if match:
            plan = int(match.group(1))
            if plan == 0:
                results.append(Result("all", SKIP, match.group(2) or "nothing to do"))
            continue
        match = RESULT.match(line)
        if not match:
            if line.strip():
                notes.append(line.rstrip())
            continue
        bad, _, name, directive, reason = match.groups()
        outcome = FAIL if bad else PASS
        if directive and directive.upper() == "SKIP":
            outcome = SKIP
        results.append(Result(name or str(len(results) + 1), outcome, reason or "", notes))
        notes = []
    ran = [r for r in results if r.name != "all" or plan != 0]
    complaint = None
    if plan is None:
        complaint = "ended without a plan"
    elif plan and len(ran) != plan:
        complaint = f"planned {plan}, ran {len(ran)}"
    elif status not in (0, 1, 4):
        complaint = f"ended with status {status}"
    elif status == 1 and not any(r.outcome == FAIL for r in results):
        complaint = "ended with status 1 though nothing failed"
    if complaint and notes:
        complaint += ": " + notes[-1][:200]
    return results, complaint


class Report:
    """Prints results as they come, counts them, and keeps the failures."""

    def __init__(self, stream=sys.stdout):
        self.stream = stream
        self.count = {PASS: 0, FAIL: 0, SKIP: 0}
        self.failed = []
        self.names = []
        self.start = time.monotonic()
        self.say("TAP version 13")

    def say(self, line):
        """A line of its own."""
        print(line, file=self.stream, flush=True)

    def note(self, text):
        """Diagnostics."""
        for line in str(text).splitlines():
            self.say("# " + line.removeprefix("# "))

    def add(self, suite, result, seconds=None):
        """One result, under its suite's name."""
        name = f"{suite}/{result.name}"
        self.count[result.outcome] += 1
        self.names.append(name)
        number = sum(self.count.values())
        line = f"{'not ok' if result.outcome == FAIL else 'ok'} {number} - {name}"
        if result.outcome == SKIP:
            line += f" # SKIP {result.reason}"
        elif seconds is not None and seconds >= 0.1:
            line += f" # {seconds:.1f} s"
        self.note("\n".join(result.notes))
        self.say(line)
        if result.outcome == FAIL:
            self.failed.append(name)
            if result.reason:
                self.note(result.reason)

    def finish(self):
        """The plan, the failures again, and the last line; gives the exit status."""
        total = sum(self.count.values())
        self.say(f"1..{total}")
        self.note(f"{time.monotonic() - self.start:.0f} s")
        for name in self.failed:
            self.note(f"failed: {name}")
        passed, failed, skipped = (self.count[k] for k in (PASS, FAIL, SKIP))
        self.say(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if failed or not passed else 0
