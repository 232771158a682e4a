# SPDX-License-Identifier: GPL-2.0
"""The testbed's own tests, on the distribution's kernel only: no other makes a difference."""

import contextlib
import json
import re
import subprocess

from . import interrupts, paths
from .context import each
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


def four_machines_join(context):
    """Each sees all four up."""
    bed = Testbed(context.kernel, f"{context.bed.name}-four", nodes=MACHINES)
    everybody = range(1, MACHINES + 1)

    def seen(node):
        done = bed.call("exec", f"node{node}", "--timeout", 60, "--", "radctl", "-j", "node", "list")
        assert done.returncode == 0, f"node{node}: {done.stderr}"
        return {entry["id"]: entry["state"] for entry in json.loads(done.stdout)}
    try:
        done = bed.call("up", "-n", MACHINES, timeout=300)
        assert done.returncode == 0, done.stderr[-1000:]
        # On a busy host one may be suspect for a moment.
        within(60, lambda: all(seen(node) == dict.fromkeys(everybody, "up") for node in everybody),
               "each sees four up")
        done = bed.call("verdict")
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        bed.call("down")


def run(context, only):
    """The suite "testbed"."""
    if context.debug:
        yield Result("selftest", SKIP, "the same as on the stock kernel")
        return
    yield from selftest(context, only)
    yield from each(context, [four_machines_join, *interrupts.TESTS], only)
