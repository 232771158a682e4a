# SPDX-License-Identifier: GPL-2.0
"""Checks of the sources as text."""

import ast
import os
import pathlib
import re
import subprocess

from . import coverage, guest, named, paths
from .build import kernel_dir, make
from .context import Only, Skip, each

CODE = {".c", ".h", ".S", ".py", ".sh"}


def tracked():
    """Files of the repository, also those not yet added, as paths."""
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=paths.TOP,
                          capture_output=True, text=True, check=False)
    if done.returncode == 0:
        names = done.stdout.splitlines()
    else:   # an unpacked archive
        names = [str(p.relative_to(paths.TOP)) for p in paths.TOP.rglob("*")
                 if not {".git", "build"} & set(p.relative_to(paths.TOP).parts)]
    return [paths.TOP / n for n in names if (paths.TOP / n).is_file()]


def first_line(path):
    with open(path, "rb") as file:
        return file.readline(200).decode(errors="replace")


def scripts(language):
    """Files in one language, by their first line or suffix."""
    suffix = {"python": ".py", "sh": ".sh"}[language]
    return [p for p in tracked() if p.suffix == suffix
            or re.match(rf"#!.*\b(ba)?{language}", first_line(p))]


def sparse(context):
    """Sparse has nothing to say about our sources (it has about the kernel's)."""
    output = make("sparse", "STRICT=1", f"KERNEL={context.kernel}",
                  f"KDIR={kernel_dir(context.kernel)}")
    found = [line for line in output.splitlines()
             if re.search(r"(kmod|uapi)/\S+:\d+:\d+:", line)]
    assert not found, "\n".join(found[:40])


def shellcheck(_context):
    """No shell script with a finding."""
    files = [str(p) for p in scripts("sh")]
    done = subprocess.run(["shellcheck", "-x", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def python(_context):
    """Every Python file is one."""
    for path in scripts("python"):
        try:
            ast.parse(path.read_text(encoding="utf-8"), str(path))
        except SyntaxError as error:
            raise AssertionError(f"{path}: {error}") from error


def pylint(_context):
    """No error and no warning of pylint's about the tests; what it calls conventions is not asked."""
    files = [p for p in scripts("python")
             if p.relative_to(paths.TOP).parts[0] in ("selftests", "Documentation")]
    done = subprocess.run(["/usr/bin/python3", "-m", "pylint", f"-j{os.cpu_count()}", "--persistent=n",
                           "--score=n", "--disable=R,C,redefined-outer-name,global-statement", *files],
                          env=os.environ | {"PYTHONPATH": str(paths.SELFTESTS)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def spdx(_context):
    """Every source says its licence in its first lines."""
    missing = []
    for path in tracked():
        if path.suffix in CODE or path.name in ("Makefile", "Kbuild") or \
                first_line(path).startswith("#!"):
            with open(path, encoding="utf-8", errors="replace") as file:
                if "SPDX-License-Identifier" not in file.read(300):
                    missing.append(str(path.relative_to(paths.TOP)))
    assert not missing, "no SPDX line in " + " ".join(missing)


def no_bug(_context):
    """Nothing in the module kills the machine on purpose."""
    found = []
    for path in tracked():
        if path.parent.name == "kmod" and path.suffix in (".c", ".h"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if re.search(r"\b(?!BUILD_)(\w+_)?BUG(_ON\w*)?\(|\bpanic\(", line):
                    found.append(f"{path.name}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def check_knows_the_symbols(_context):
    """radctl check looks for every name that the module looks up when it is loaded."""
    def text(name):
        return (paths.TOP / name).read_text(encoding="utf-8")
    wanted = set(re.findall(r"^\tHOOK\((\w+)\),", text("kmod/hook.c"), re.M))
    wanted |= set(re.findall(r"^\t\{ \"(\w+)\",\s+\(void \*\*\)&rad_ksym", text("kmod/ksym.c"), re.M))
    for path in (paths.TOP / "kmod").glob("*.c"):
        probes = re.findall(r"struct rad_probe \w+ = \{(.*?)\};", text(path), re.S)
        wanted |= {"__tracepoint_" + re.search(r"\.name = \"(\w+)\"", p)[1] for p in probes}
    assert len(wanted) >= 12, wanted
    missing = wanted - set(re.findall(r"\"(\w+)\"", text("userspace-tools/check.c")))
    assert not missing, "userspace-tools/check.c lacks " + " ".join(sorted(missing))


def calls_have_tests(context):
    """Every system call has a class, and a row that names its tests, and those exist."""
    rows, numbers, classes = coverage.table(), coverage.numbers(), coverage.classes()
    assert len(numbers) > 350, f"{len(numbers)} system calls"
    assert list(classes) == list(numbers), "syscall_table.h has not all calls in their order: " \
        + " ".join(sorted(set(classes) ^ set(numbers)))
    missing, surplus = set(numbers) - set(rows), set(rows) - set(numbers)
    assert not missing, "no row for " + " ".join(sorted(missing))
    assert not surplus, "no such call: " + " ".join(sorted(surplus))
    if not context.built:
        raise Skip("not built")
    known = {suite: {case for program in programs for case in guest.cases(program)}
             for suite, programs in coverage.programs().items()}
    for call, tests in rows.items():
        assert tests, f"an empty row: {call}"
        for test in tests if tests != [coverage.NONE] else []:
            suite, _, case = test.partition("/")
            assert case in known.get(suite, ()), f"{call}: there is no test {test}"
    bare = [call for call, tests in rows.items() if tests == [coverage.NONE]]
    swept = [call for call, tests in rows.items() if tests[0].startswith("calls/")]
    context.report.note(f"{len(rows)} system calls: {len(rows) - len(bare) - len(swept)} have "
                        f"tests of their own, {len(swept)} are compared only, none: {bare}")


def guarantees_have_tests(context):
    """Each guarantee and each difference names the tests that show it; those exist, and it is said
    which are run by name only. So it is with the tests that the other documents mention."""
    if not context.built:
        raise Skip("not built")
    from . import suites
    guarantees = paths.TOP / "Documentation" / "guarantees.rst"
    wrong = list(named.complaints(guarantees, suites.ALL, ("Guarantees", "Reading this page")))
    for page in sorted(set(guarantees.parent.glob("*.rst")) - {guarantees}):
        wrong += named.unknown(page, suites.ALL)
    assert not wrong, "\n".join(wrong)


def only_the_pool_is_exposed(_context):
    """Memory is registered for others to write to in one place, queue pairs may do so from
    one other; nowhere to read from, or for all of it at once."""
    found = set()
    for path in (paths.TOP / "kmod").glob("*.[ch]"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"IB_PD_UNSAFE_GLOBAL_RKEY|IB_ACCESS_REMOTE_(READ|ATOMIC)|"
                             r"IB_ACCESS_MW_BIND", text), path.name
        found |= {path.name} if "IB_ACCESS_REMOTE_WRITE" in text else set()
    assert found == {"link_chunk.c", "link_queue.c"}, found


def documents(_context):
    """Manual pages and documents without a finding; what they point to exists."""
    done = subprocess.run([str(paths.SELFTESTS / "check-docs")], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def kernel_doc(_context):
    """The kernel's own tool finds every parameter and member described."""
    tools = sorted(pathlib.Path("/usr/src").glob("linux-headers-6.1*-common/scripts/kernel-doc"))
    if not tools:
        raise Skip("the kernel's headers are not Debian's")
    files = sorted((paths.TOP / "kmod").glob("*.[ch]")) + [paths.TOP / "uapi/linux/radium.h"]
    done = subprocess.run(["perl", str(tools[-1]), "-none", *map(str, files)], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def wrong_names_are_noticed(_context):
    """A name that no test has is not taken for one that has passed."""
    only = Only("static, threads/ex* leaks/none,no?hing threads/exec.native")
    assert only.met_nothing(["static/python", "threads/exec.away"]) == \
        ["leaks/none", "no?hing", "threads/exec.native"]


def run(context, only):
    """The suite "static"."""
    tests = [shellcheck, python, pylint, spdx, no_bug, check_knows_the_symbols, calls_have_tests,
             guarantees_have_tests, only_the_pool_is_exposed, documents,
             kernel_doc, wrong_names_are_noticed]
    if context.built and not context.native:
        tests.insert(0, sparse)
    yield from each(context, tests, only)
