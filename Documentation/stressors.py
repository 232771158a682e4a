#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The table of stressors.rst, from what a run of the suite stressors has
recorded (build/stressors.json, or another FILE).
  stressors.py [FILE]          print it
  stressors.py --check         fail if stressors.rst has something else than rows of it, or
                               others than this machine's stress-ng
  stressors.py --write [FILE]  put its rows there"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "selftests"))
sys.dont_write_bytecode = True

from lib import pages, stressors  # noqa: E402

HOME, AWAY = 2, 3       # columns
WIDTH = 90              # of what stress-ng says


class Page(pages.Page):
    """The page; above its table is what comes of it all."""

    def table(self, rows):
        away = [cells[AWAY] for cells in rows.values()]

        def count(begin):
            return sum(cell.startswith(begin) for cell in away)
        fail = sum(cells[AWAY] == "not compared" and cells[HOME].startswith("fails")
                   for cells in rows.values())
        sums = f"{len(rows)} stressors: {count('same')} have the same verdict away as at home, of " \
            f"which {away.count(stressors.UNFINISHED)} have counted nothing in their time there.\n" \
            f"{count('differs')} differs; {count('not compared')} are not " \
            f"compared: {fail} of them fail at home, the others do not run there; not run yet: " \
            f"{count('not run')}.\n"
        return "\n" + sums + super().table(rows)


PAGE = Page("stressors.rst", ("stressor", "classes", "at home", "away", "went out",
                              "came home by itself"))


def rows(path=stressors.RECORD):
    """The rows of a record."""
    whole = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    found = {(name,): [name, " ".join(classes), "not run", "not run", "no", "no"]
             for name, classes in stressors.stressors().items() if (name,) not in PAGE.rows()}
    for name, entry in whole["stressors"].items():
        home = re.sub(r"\s+", " ", entry["home_verdict"])
        found[name,] = [name, " ".join(entry["classes"]), home[:WIDTH].strip(),
                        entry["away"].splitlines()[0][:WIDTH].strip(),
                        str(entry.get("gone_out", "no")),
                        pages.why(entry) if "came_home" in entry else "no"]
    return found


def check():
    """Each stressor has a row, with reasons that there are."""
    found = PAGE.check()
    said = re.search(r"stress-ng\s+(\d\S*\d)", PAGE.text()[0])[1]
    if said == stressors.version():
        there = {(name,) for name in stressors.stressors()}
        differ = there ^ set(found)
        assert not differ, "no row for, or no such stressor: " + " ".join(n for n, in differ)
    known = set(pages.reasons())
    for (name,), cells in found.items():
        used = set(re.findall(r"[A-Z_]{3,}", cells[-1]))
        assert used <= known, f"{name}: no reason {used - known}"


if __name__ == "__main__":
    pages.main(PAGE, rows, check)
