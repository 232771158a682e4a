# SPDX-License-Identifier: GPL-2.0
"""guest/rivals: a process whose threads write for ever, the first of them to the same page."""

from . import paths
from .control import child_of, radctl, start, stop, within


def rivals(bed, node=1, count=2, loners=2, status="", how=""):
    """Its PID, and its threads: [(tid, address of the page of its word)], so many that share
    one, and those that do not; the tests end it. How it ends a shell says in a file, if that
    is named. How: "checked"."""
    command = f"{paths.GUEST}/rivals /tmp/rivals {count} {loners} {how}".strip()
    bed.run(node, f"rm -f /tmp/rivals {status}")
    if status:
        shell = start(bed, f"sh -c '{command}; echo $? >{status}'", node)
        pid = child_of(bed, shell, command, node)
    else:
        pid = start(bed, command, node)
    try:
        within(20 * bed.slow, lambda: bed.run(
            node, "cat /tmp/rivals 2>/dev/null || true").count("\n") == count + loners,
               f"{count + loners} threads count")
        lines = [map(int, line.split()) for line in bed.run(node, "cat /tmp/rivals").splitlines()]
    except BaseException:
        stop(bed, pid, node)
        raise
    return pid, [(tid, word & -4096) for tid, word in lines]


def send(bed, pid, threads, places, home=1):
    """The first threads of a process, each to a node; those that stay at home are there."""
    for (tid, _), place in zip(threads, places):
        if place == home:
            continue
        done = radctl(bed, "migrate", "--thread", str(tid), str(pid), str(place), node=home)
        assert done.returncode == 0, done.stderr
