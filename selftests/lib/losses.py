# SPDX-License-Identifier: GPL-2.0
"""What is lost with a machine that dies, or with a replica; and what is not."""

import time

from . import copies, paths
from .control import (SPIN, boot_again, child_of, exit_status, migrate, processes, refused, shown, start,
                      stop, told_lost, within)
from .ends import LOOK, Clock, dead_seconds, ended, watch
from .remains import nothing_left, replica, replicas


def lost_pages_are_not_read(context):
    """A process is lost with its replica; another one, which has the same memory, lives on: what
    was away gives SIGBUS, also after KSM has waited for it, and not what it held once. So it does to
    who is forked then, when nobody else is left who has that memory."""
    bed = context.bed
    bed.run(1, "rm -f /tmp/heir*")
    pid = start(bed, f"{paths.GUEST}/heir /tmp/heir")
    heir = 0
    try:
        within(20 * context.slow, lambda: not bed.execute(1, "test", "-s", "/tmp/heir").returncode,
               "there is an heir")
        heir = int(bed.run(1, "cat /tmp/heir").split()[1])
        migrate(bed, pid)
        within(20 * context.slow, lambda: [p["pages_away"] for p in shown(bed, "ps")
                                           if p["pid"] == pid][0] >= 8, "its pages are away")
        bed.run(2, f"kill -9 {replica(bed)}")
        within(20 * context.slow, lambda: bed.run(
            1, f"cut -d' ' -f3 /proc/{pid}/stat 2>/dev/null || echo Z").strip() == "Z", "it ends")
        bed.run(1, "touch /tmp/heir.go")
        within(20 * context.slow,
               lambda: not bed.execute(1, "test", "-s", "/tmp/heir.said").returncode, "the heir reads")
        said = bed.run(1, "cat /tmp/heir.said").split()
        assert said == ["0", "8"], f"{said[0]} pages could be read, {said[1]} gave SIGBUS"
        within(20 * context.slow, lambda: pid not in processes(bed), "nobody has its memory")
        bed.run(1, "touch /tmp/heir.then")
        within(20 * context.slow,
               lambda: not bed.execute(1, "test", "-s", "/tmp/heir.child").returncode,
               "the child reads")
        said = bed.run(1, "cat /tmp/heir.child").split()
        assert said == ["0", "8"], f"the child could read {said[0]}, {said[1]} gave SIGBUS"
    finally:
        bed.run(1, "touch /tmp/heir.go /tmp/heir.then")
        stop(bed, pid)
        if heir:
            stop(bed, heir)
    nothing_left(context)


def power_loss(context):
    """The machine that is visited dies: its visitor ends with SIGKILL and a line
    in the log, others go on, those that it had copies of among them; the machine boots
    and joins again."""
    bed = context.bed
    copied = copies.elsewhere(bed)
    bed.run(1, "rm -f /tmp/status")
    visitor = child_of(bed, start(bed, f"sh -c '{SPIN} > /dev/null; echo $? > /tmp/status'"), SPIN)
    other = start(bed, SPIN)
    migrate(bed, visitor)
    limit, clock = dead_seconds(bed) + 2 * context.slow, Clock(bed, 1)
    watch(bed, 1, visitor)
    before = time.monotonic()
    assert bed.call("kill", "node2").returncode == 0
    slack = time.monotonic() - before + LOOK + clock.error
    try:
        took = clock.host(ended(bed, 1, limit + 10, "the visitor's process ends")) - before
        assert took <= limit + slack, f"it ended after {took:.1f} s instead of {limit:.1f}"
        assert exit_status(bed) == 137
        told_lost(context, visitor, 2)
        refused(context, ["migrate", str(other), "2"], "node is down")
        bed.run(1, f"[ -e /proc/{other}/exe ] && [ -e /proc/{copied}/exe ]")
    finally:
        stop(bed, other)
        stop(bed, copied)
        boot_again(context, 2)
    pid = start(bed, SPIN)
    migrate(bed, pid)
    stop(bed, pid)
    nothing_left(context)


def home_loss(context):
    """The home machine dies: its visitors elsewhere are ended."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    limit, clock = dead_seconds(bed, 2) + 2 * context.slow, Clock(bed, 2)
    assert len(replicas(bed)) == 1, "no visitor"
    watch(bed, 2, *replicas(bed))
    before = time.monotonic()
    assert bed.call("kill", "node1").returncode == 0
    slack = time.monotonic() - before + LOOK + clock.error
    try:
        took = clock.host(ended(bed, 2, limit + 10, "the visitor ends")) - before
        assert took <= limit + slack, f"it ended after {took:.1f} s instead of {limit:.1f}"
    finally:
        boot_again(context, 1)
