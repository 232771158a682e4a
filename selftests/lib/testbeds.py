# SPDX-License-Identifier: GPL-2.0
"""The testbed's own tests, on the distribution's kernel only: no other makes a difference, but for
what the checkers of the debug kernel report."""

import contextlib
import json
import re
import subprocess

from . import build, interrupts, paths
from .context import Skip, each
from .control import within
from .tap import FAIL, SKIP, Result, parse
from .testbed import Testbed

SELFTEST = paths.TESTBED.parent / "selftest"
MACHINES = 4                # as many as there can be
END_SECONDS = 180           # for the selftest to take down what it has booted


def selftest(context, only):
    """What needs no module."""
    listed = subprocess.run([str(SELFTEST), "--list"], stdin=subprocess.DEVNULL, check=True,
                            capture_output=True, text=True)
    names = [name for name in listed.stdout.split() if only(name)]
    if not names:
        return
    command = [str(SELFTEST), "--name", f"{context.bed.name}-self", *names]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace", stderr=subprocess.STDOUT) as process:
        try:
            yield from results(process)
        except BaseException:
            # It takes its machines down, for which nobody would wait after Ctrl-C.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            raise


def results(process):
    """Results of the selftest as they come."""
    text, failed = "", None
    for line in process.stdout:
        text += line
        match = re.match(r"(?:not )?ok \d+ - testbed: (.*?)(?: # [\d.]+ s)?$", line)
        if not match:
            if failed:
                failed.reason += line.removeprefix("# ")
            continue
        if failed:
            yield failed
        result = parse(line)[0][0]
        result.name = match[1].replace(" ", "_")
        failed = result if result.outcome == FAIL else None
        if not failed:
            yield result
    if failed:
        yield failed
    _, complaint = parse(text, process.wait())
    if complaint:
        yield Result("selftest", FAIL, f"{complaint}\n{text[-2000:]}")


@contextlib.contextmanager
def ended(bed):
    """Its machines, afterwards; nothing is left of them unless something is wrong."""
    try:
        yield
    except BaseException:
        bed.call("down")
        raise
    bed.call("down", "--forget")


def four_machines_join(context):
    """Each sees all four up."""
    bed = Testbed(context.kernel, f"{context.bed.name}-four", nodes=MACHINES)
    everybody = range(1, MACHINES + 1)

    def seen(node):
        done = bed.call("exec", f"node{node}", "--timeout", 60, "--", "radctl", "-j", "node", "list")
        assert done.returncode == 0, f"node{node}: {done.stderr}"
        return {entry["id"]: entry["state"] for entry in json.loads(done.stdout)}
    with ended(bed):
        done = bed.call("up", "-n", MACHINES, timeout=300 * context.slow)
        assert done.returncode == 0, done.stderr[-1000:]
        # On a busy host one may be suspect for a moment.
        within(60, lambda: all(seen(node) == dict.fromkeys(everybody, "up") for node in everybody),
               "each sees four up")
        done = bed.call("verdict")
        assert done.returncode == 0, done.stdout + done.stderr


# What kernel/seeds.c does, and what is said of it. In an order in which none silences those that
# follow: lockdep's first report is its last, and it says nothing after one of KASAN's, of which
# there is one for each boot.
SEEDS = {
    "order": r"possible circular locking",
    "sleep": r"BUG: sleeping function called from invalid context",
    "shift": r"UBSAN: shift-out-of-bounds",
    "freed": r"BUG: KASAN: (slab-)?use-after-free in freed\b",
    "leak": r"unreferenced object 0x",
}


def checkers_are_heard(context):
    """What the checkers of the debug kernel report, each of them, is in a verdict, which was good
    before."""
    if not context.debug:
        raise Skip("this kernel has no checkers")
    module, limit = build.of_kernel(context, "seeds"), 60 * context.slow
    bed = Testbed(context.kernel, f"{context.bed.name}-seeds", nodes=1, module=False)

    def verdict(*options):
        done = bed.call("verdict", *options, timeout=900)
        return done.returncode, done.stdout + done.stderr
    with ended(bed):
        done = bed.call("up", "-n", 1, "--kernel", context.kernel, "--no-module", timeout=600)
        assert done.returncode == 0, done.stderr[-1000:]
        status, said = verdict()
        assert status == 0, f"of a healthy machine: {said}"
        for seed, pattern in SEEDS.items():
            # To look for leaks takes half a minute.
            options = [] if seed == "leak" else ["--no-scan"]
            assert not re.search(pattern, verdict("--no-scan")[1]), f"{seed}: before it was sown"
            done = bed.call("exec", "node1", "--timeout", limit, "--", "sh", "-c",
                            f"insmod {module} which={seed} && rmmod seeds", timeout=limit + 30)
            assert done.returncode == 0, f"{seed}: {done.stdout}{done.stderr}"
            status, said = verdict(*options)
            assert status == 1 and re.search(pattern, said), f"{seed}: status {status}\n{said}"


def run(context, only):
    """The suite "testbed"."""
    if context.debug:
        yield Result("selftest", SKIP, "the same as on the stock kernel")
        tests = [checkers_are_heard]
    else:
        yield from selftest(context, only)
        tests = [four_machines_join, checkers_are_heard, *interrupts.TESTS]
    yield from each(context, tests, only)
