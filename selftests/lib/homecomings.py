# SPDX-License-Identifier: GPL-2.0
"""How often programs went out and came home, and why: what the mover and the shuttle count, said
in a test's notes, and kept for a run in build/homecomings.json, of which
Documentation/homecomings.rst is made."""

import json

from . import paths

RECORD = paths.BUILD / "homecomings.json"
# The reasons that are somebody's wish: a home that another has asked for.
WISHES = {"ASKED", "DRAIN"}
# What is counted in a report: numbers, and numbers by reason, call or name.
COUNTS = "gone_out", "came_home", "home_for_calls", "by_name", "not_gone", "events_lost"


def add_up(sums, report):
    """Adds the numbers of one report to those of others."""
    for key, value in report.items():
        if isinstance(value, dict):
            add_up(sums.setdefault(key, {}), value)
        elif isinstance(value, int):
            sums[key] = sums.get(key, 0) + value


def own(counts):
    """Of the returns by reason those that nobody has asked for."""
    return {reason: count for reason, count in counts.items() if reason not in WISHES}


def lines(report):
    """How often processes came home by themselves, and why."""
    calls = ", ".join(f"{name} {count}" for name, count in report["home_for_calls"].items())
    said = [f"came home {count} times: {reason}" + (f" ({calls})" if reason == "SYSCALL" else "")
            for reason, count in own(report["came_home"]).items()]
    said += [f"{name} went out {counts['away']} times, came home by itself "
             f"{counts['home_by_itself']} times" for name, counts in report["by_name"].items()]
    lost = report["events_lost"]
    return said + ([f"{lost} events were not read in time"] if lost else [])


class Record:
    """The file of one run, as complete as the run is."""

    def __init__(self, kernel, seed, keep=None, path=RECORD):
        self.path = path
        self.whole = {"kernel": kernel, "seed": seed, "programs": []}
        self.sums = {}          # of the test that runs
        self.keep = keep or self.keep       # who has the file

    def tell(self, report):
        """One more report of the test that runs; what it says, as lines for people."""
        add_up(self.sums, {key: report[key] for key in COUNTS})
        return lines(report)

    def add(self, suite, result):
        """The test that has this result has run: a row, if it has told something."""
        sums, self.sums = self.sums, {}
        if not sums:
            return
        self.keep({"suite": suite, "program": result.name, "outcome": result.outcome, **sums})

    def keep(self, row):    # pylint: disable=method-hidden
        """One more row of the file."""
        self.whole["programs"].append(row)
        save(self.path, self.whole)


def save(path, whole):
    """What is known, as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
