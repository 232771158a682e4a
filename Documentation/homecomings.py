#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The table of homecomings.rst, from what a run of the tests has recorded
(build/homecomings.json, or another FILE).
  homecomings.py [FILE]          print it
  homecomings.py --check         fail if homecomings.rst has something else than rows of it
  homecomings.py --write [FILE]  put its rows there"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "selftests"))
sys.dont_write_bytecode = True

from lib import homecomings, pages, suites  # noqa: E402
from lib.tap import PASS  # noqa: E402

PAGE = pages.Page("homecomings.rst", ("suite", "program", "went out", "came home by itself",
                                      "why"), keys=2)


def rows(path=homecomings.RECORD):
    """The rows of a record."""
    whole = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    found = {}
    for entry in whole["programs"]:
        key = entry["suite"], entry["program"]
        if entry["outcome"] == PASS:
            found[key] = [*key, str(entry["gone_out"]),
                          str(sum(homecomings.own(entry["came_home"]).values())), pages.why(entry)]
    return found


def check():
    """Suites and reasons are those that there are, and each reason is explained."""
    known = set(pages.reasons())
    names = {suite.name for suite in suites.ALL}
    explained = set(re.findall(r"^([A-Z_]+)$", PAGE.path.read_text(encoding="utf-8"), re.M))
    for (suite, program), cells in PAGE.check().items():
        assert suite in names, f"{program}: no suite {suite}"
        used = set(re.findall(r"[A-Z_]{3,}", cells[-1]))
        assert used <= known, f"{program}: no reason {used - known}"
        assert used <= explained, f"{PAGE.path.name} does not explain {used - explained}"


if __name__ == "__main__":
    pages.main(PAGE, rows, check)
