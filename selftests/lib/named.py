# SPDX-License-Identifier: GPL-2.0
"""Names of all tests, as --tests takes them, and the ones that a document names."""

import ast
import fnmatch
import inspect
import re
import textwrap

from . import coverage, guest, model, moved, paths, threaded, threads

TESTS = re.compile(r"\bTests?:\s+([^:]+)\.\s*\Z")
NAME = re.compile(r"[a-z_]+/[\w.*?]+\Z")
MENTION = re.compile(r"(?<![\w/.])([a-z_]+)/([\w.*?]*\w)")
HEADING = re.compile(r"([=\-~^*])\1{3,}\Z")
# Suites whose tests' names are made when they run: only all of one can be named.
MADE = ("leaks", "soak", "testbed", "tools")
UNIT = re.compile(r'\bTEST\("([^"]+)"')


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
    programs = dict(coverage.programs(), clock=["clock"], differences=["differences"],
                    threads=list(threads.PROGRAMS), coherence=["litmus"], coherence_four=["litmus"])
    for suite, names in programs.items():
        known[suite] |= {case for program in names for case in guest.cases(program)}
    known["clock"].add("clocks_differ")
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
    """The tests that an item names at its end."""
    match = TESTS.search(item)
    return match[1].replace(",", " ").split() if match else []


def unknown(page, suites):
    """Tests that a page mentions, wherever, and that do not exist."""
    known = tests(suites)
    found = MENTION.findall((paths.TOP / page).read_text(encoding="utf-8"))
    return [f"{page}: there is no test {suite}/{test}" for suite, test in found
            if suite in known and not exists(f"{suite}/{test}", known)]


def complaints(page, suites, free):
    """What is wrong with a page whose items all have to name their tests; where other text is
    allowed below the headings of free only."""
    known, section, items = tests(suites), "", 0
    for kind, block in blocks((paths.TOP / page).read_text(encoding="utf-8")):
        about = " ".join(block.split())[:60]
        if kind == "heading":
            section = block
        elif kind == "text" and section not in free:
            yield f"{section}: not an item: {about}"
        elif kind == "item":
            items += 1
            if not named(block):
                yield f"{section}: no test is named: {about}"
            for name in named(block):
                if not NAME.match(name) or not exists(name, known):
                    yield f"{section}: there is no test {name}: {about}"
    if items < 10:
        yield f"{page}: {items} items"
