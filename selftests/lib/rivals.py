# SPDX-License-Identifier: GPL-2.0
"""guest/rivals: a process whose four threads write for ever, some of them to the same page."""

from . import paths
from .control import start, stop, within


def rivals(bed, node=1):
    """Its PID, and its threads: [(tid, address of the page of its word)]; the tests end it."""
    bed.run(node, "rm -f /tmp/rivals")
    pid = start(bed, f"{paths.GUEST}/rivals /tmp/rivals", node)
    try:
        within(20 * bed.slow, lambda: bed.run(
            node, "cat /tmp/rivals 2>/dev/null || true").count("\n") == 4, "four threads count")
        lines = [map(int, line.split()) for line in bed.run(node, "cat /tmp/rivals").splitlines()]
    except BaseException:
        stop(bed, pid, node)
        raise
    return pid, [(tid, word & -4096) for tid, word in lines]
