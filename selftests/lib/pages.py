# SPDX-License-Identifier: GPL-2.0
"""Pages of Documentation/ with a table of what runs have shown. The table is what is known:
a run that was of a part replaces the rows of that part."""

import re
import sys

from . import homecomings, paths

BEGIN, END = ".. begin generated\n", ".. end generated\n"
# What brings a thread home though nobody has asked for it; the page of homecomings says what each
# of them means.
HEADER = paths.TOP / "uapi/linux/radium.h"
CALLS = 3       # that are named in a cell


def reasons():
    """Names of all reasons that there are."""
    return re.findall(r"^\tX\((\w+), \"", HEADER.read_text(encoding="utf-8"), re.M)


def counted(counts):
    """{what: number} as it is in a cell, as [what number], the most frequent first."""
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{what} {count}" for what, count in order]


def why(report):
    """Why threads came home by themselves, and for which calls most often, as a cell."""
    calls = counted(report["home_for_calls"])
    told = f" ({', '.join(calls[:CALLS])}{', ...' if len(calls) > CALLS else ''})" if calls else ""
    return ", ".join(cell + (told if cell.startswith("SYSCALL ") else "")
                     for cell in counted(homecomings.own(report["came_home"]))) or "never"


class Page:
    """A page, whose table has these columns; the first ones, as many as keys says, tell its
    rows apart."""

    def __init__(self, name, columns, keys=1):
        self.path = paths.TOP / "Documentation" / name
        self.columns, self.keys = columns, keys

    def text(self):
        """The page: before the table, the table, after it."""
        text = self.path.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        table, end, after = rest.partition(END)
        assert begin and end, f"{self.path.name} has no place for a table"
        return before + begin, table, end + after

    def rows(self):
        """The rows of the page, each a list of cells, by their keys."""
        lines = self.text()[1].splitlines()
        rules = [n for n, line in enumerate(lines) if re.fullmatch(r"=+( +=+)*", line)]
        if not rules:
            return {}
        assert len(rules) == 3, f"{self.path.name}: {len(rules)} rules in its table"
        starts = [match.start() for match in re.finditer("=+", lines[rules[0]])]
        found = {}
        for line in lines[rules[1] + 1:rules[2]]:
            cells = [line[a:b].strip() for a, b in zip(starts, starts[1:] + [None])]
            found[tuple(cells[:self.keys])] = cells
        return found

    def table(self, rows):
        """The text of a table."""
        cells = [list(self.columns)] + [rows[key] for key in sorted(rows)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        rule = "  ".join("=" * width for width in widths)
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                 for row in cells]
        return "\n" + "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n\n"

    def write(self, rows):
        """The page with these rows."""
        before, _, after = self.text()
        self.path.write_text(before + self.table(rows) + after, encoding="utf-8")

    def check(self):
        """Nobody has written into the table by hand; its rows."""
        rows = self.rows()
        assert self.text()[1] == (self.table(rows) if rows else "\n"), \
            f"{self.path.name}: its table is not what its script makes"
        return rows


def main(page, rows_of, check):
    """What a script of Documentation/ does with its words."""
    words = sys.argv[1:]
    if words[:1] == ["--write"]:
        page.write({**page.rows(), **rows_of(*words[1:])})
    elif words == ["--check"]:
        try:
            check()
        except AssertionError as wrong:
            sys.exit(str(wrong))
    else:
        print(page.table(rows_of(*words)).strip())
