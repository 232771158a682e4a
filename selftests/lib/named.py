# SPDX-License-Identifier: GPL-2.0
"""Names of all tests, as --tests takes them, and the ones that a document names."""

import ast
import fnmatch
import inspect
import re
import textwrap

from . import coverage, differences, guest, model, moved, paths, spread, threaded, threads

TESTS = re.compile(r"\bTests?:\s+([^:]+)\.\s*\Z")
NAME = re.compile(r"[a-z_]+/[\w.*?]+\Z")
MENTION = re.compile(r"(?<![\w/.])([a-z_]+)/([\w.*?]*\w)")
HEADING = re.compile(r"([=\-~^*])\1{3,}\Z")
# Suites whose tests' names are made when they run: only all of one can be named.
MADE = ("leaks", "soak", "testbed", "tools")
UNIT = re.compile(r'\bTEST\("([^"]+)"')
# Behind a test that "make check" does not run.
BY_NAME = " (by name only)"
# What it runs of those suites of which it does not run all.
CHOICES = {"threads": spread.SHORT.union(*threads.PROGRAMS.values()), "threaded": threaded.SHORT}


def functions(generator):
    """The functions that a suite's generator has in a list, its own or another module's."""
    module = inspect.getmodule(generator)
    found = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(generator)))):
        if isinstance(node, ast.List):
            found |= {item.id for item in node.elts if isinstance(item, ast.Name)
                      and inspect.isfunction(getattr(module, item.id, None))}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            value = getattr(getattr(module, node.value.id, None), node.attr, None)
            if isinstance(value, list):
                found |= {item.__name__ for item in value if inspect.isfunction(item)}
    return found


def tests(suites):
    """For each suite the names of its tests."""
    known = {suite.name: functions(suite.run) for suite in suites}
    programs = dict(coverage.programs(), clock=["clock"], differences=differences.PROGRAMS,
                    threads=list(threads.PROGRAMS), coherence=["litmus"], coherence_four=["litmus"])
    for suite, names in programs.items():
        known[suite] |= {case for program in names for case in guest.cases(program)}
    known["clock"] |= {"clocks_differ", "long_stay_fast", "long_stay_slow"}
    known["coherence"] |= {"sweep", "litmus_self_test"}
    known["coherence_four"].add("sweep")
    known["model"] |= {f"{name}.{part}" for name, part, _ in model.HOLDS}
    known["model"] |= {f"{name}.finds_{part.lower()}" for name, part, _ in model.MISTAKES}
    known["programs"] |= {program.name for program in moved.PROGRAMS}
    known["threaded"] |= {f"{program.name}.{nodes}" for program in threaded.PROGRAMS
                          for nodes in threaded.SPREADS}
    known["unit"] |= {f"{path.stem}.{name}" for path in (paths.SELFTESTS / "unit").glob("*.c")
                      for name in UNIT.findall(path.read_text(encoding="utf-8"))}
    for suite in MADE:
        known[suite].add("*")
    return known


def run_by_check(suites, known):
    """Those of the tests that a run without --tests has."""
    return {suite.name: known[suite.name] & CHOICES.get(suite.name, known[suite.name])
            for suite in suites if suite.default}


def exists(name, known):
    """Is there such a test? With * and ?, as for --tests: one at least."""
    suite, _, test = name.partition("/")
    return any(fnmatch.fnmatch(one, test) for one in known.get(suite, ()))


def blocks(text):
    """What a page in reStructuredText consists of, one after the other: ("heading", ...),
    ("item", ...) for those of a list that is not part of anything else, and ("text", ...)."""
    lines = text.splitlines() + [""]
    kind, block = None, []
    for number, line in enumerate(lines):
        ruled = number + 1 < len(lines) and HEADING.match(lines[number + 1])
        if kind == "item" and (line.startswith("  ") or not line):
            block.append(line)
            continue
        if not kind or not line or line.startswith("* ") or ruled or kind == "heading":
            if block:
                yield kind, "\n".join(block).strip()
            kind, block = None, []
        if not line or HEADING.match(line) or line.startswith("..") or line.startswith("  "):
            continue
        if not kind:
            kind = "item" if line.startswith("* ") else "heading" if ruled else "text"
        block.append(line)


def named(item):
    """The tests that an item names at its end, and whether it says of each that it is run by name
    only."""
    # An asterisk behind a slash begins an emphasis, unless there is a backslash before it.
    match = TESTS.search(" ".join(item.replace("\\*", "*").split()))
    return [(name.removesuffix(BY_NAME), name.endswith(BY_NAME))
            for name in (match[1].split(", ") if match else [])]


def wrong_name(name, by_name, known, run):
    """What is wrong with a test that a page names, or nothing."""
    if not NAME.match(name) or not exists(name, known):
        return f"there is no test {name}"
    if exists(name, run) == by_name:
        return f"{name} is run by make check" if by_name else f"{name} is run by name only"
    return ""


def unknown(page, suites):
    """What is wrong with the tests that a page mentions, wherever."""
    known = tests(suites)
    run = run_by_check(suites, known)
    text = " ".join(page.read_text(encoding="utf-8").split())
    for match in MENTION.finditer(text):
        # build/ is a directory.
        if match[1] in known and match[1] != "build":
            wrong = wrong_name(match[0], text.startswith(BY_NAME, match.end()), known, run)
            if wrong:
                yield f"{page.name}: {wrong}"


def complaints(page, suites, free):
    """What is wrong with a page whose items all have to name their tests; where other text is
    allowed below the headings of free only."""
    known, section, items = tests(suites), "", 0
    run = run_by_check(suites, known)
    for kind, block in blocks(page.read_text(encoding="utf-8")):
        about = " ".join(block.split())[:60]
        if kind == "heading":
            section = block
        elif kind == "text" and section not in free:
            yield f"{section}: not an item: {about}"
        elif kind == "item":
            items += 1
            if not named(block):
                yield f"{section}: no test is named: {about}"
            for wrong in (wrong_name(*name, known, run) for name in named(block)):
                if wrong:
                    yield f"{section}: {wrong}: {about}"
    if items < 10:
        yield f"{page.name}: {items} items"
