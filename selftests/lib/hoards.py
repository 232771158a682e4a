# SPDX-License-Identifier: GPL-2.0
"""guest/hoard: a process that writes to its memory where it is told to, and keeps it there."""

from . import paths
from .control import child_of, migrate, radctl, shown, start, stop, within

GO = "/tmp/hoard.go"        # it writes when this is there


def begin(bed, kib, status, node=1):
    """PID of one of so much memory that waits. A shell says in a file how it ends."""
    command = f"{paths.GUEST}/hoard {kib}"
    bed.run(node, f"rm -f {GO} {status}")
    shell = start(bed, f"sh -c '{command}; echo $? >{status}'", node)
    return child_of(bed, shell, command, node)


def owned(bed, pid, node=2):
    """How many pages of a process a node may write to."""
    return sum(row["owned"] for row in shown(bed, "show", str(pid))["pages_by_node"]
               if row["node"] == node)


def left_behind(context, kib, status):
    """PID of one that has been on node 2, has written to memory there and come home. The memory is
    there still; the process looks at it when it gets SIGTERM."""
    bed, pages = context.bed, kib // 4
    pid = begin(bed, kib, status)
    try:
        migrate(bed, pid)
        bed.run(1, f"touch {GO}")
        within(20 * context.slow, lambda: owned(bed, pid) >= pages, "it has written")
        done = radctl(bed, "recall", str(pid))
        assert done.returncode == 0, done.stderr
        away = [p["threads_away"] for p in shown(bed, "ps") if p["pid"] == pid]
        assert away == [0] and owned(bed, pid) >= pages, (away, owned(bed, pid))
    except BaseException:
        stop(bed, pid)
        raise
    return pid
