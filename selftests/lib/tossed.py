# SPDX-License-Identifier: GPL-2.0
"""A node is lost while processes are moved there and back without a pause: some in each phase
of a move (guest/tossed.c)."""

import random
import re
import time

from . import paths
from .control import boot_again, one_moves, processes, see_each_other, start, within
from .ends import LOOK, Clock, dead_seconds, ended, watch
from .remains import nothing_left

PROCESSES = 10
SAID = "/tmp/tossed"


def toss(context):
    """PID of a program that moves processes between here and node 2, as soon as they are."""
    bed = context.bed
    pid = start(bed, f"sh -c 'exec {paths.GUEST}/tossed -t {60 * context.slow} 2 {PROCESSES} "
                     f">{SAID} 2>&1'")
    within(30 * context.slow, lambda: len(processes(bed)) >= PROCESSES // 2, "they are moved")
    # In whatever phase they are then.
    time.sleep(random.Random(context.seed).uniform(0, 1))
    return pid


def said(context, since, limit, slack):
    """What it has said, and that all was over in time by the clock of the machine."""
    bed = context.bed
    clock = Clock(bed, 1)
    over = clock.host(ended(bed, 1, limit + 60 * context.slow, "all have ended, or are at home"))
    text = bed.run(1, f"cat {SAID}").strip()
    took = over - since
    context.report.note(f"{text}, after {took:.1f} s")
    assert "ended:" in text and not re.search("not ended|not moved|ended with", text), text
    assert took <= limit + slack + LOOK + clock.error, \
        f"all was over after {took:.1f} s instead of {limit:.1f}: {text}"


def power_lost_in_moves(context):
    """The other machine dies in the midst of moves: who is lost with it is ended by SIGKILL, who
    is not is at home and works, within the dead time and two seconds; nobody is in between."""
    bed = context.bed
    watch(bed, 1, toss(context))
    limit = dead_seconds(bed) + 2 * context.slow
    before = time.monotonic()
    assert bed.call("kill", "node2").returncode == 0
    try:
        said(context, before, limit, time.monotonic() - before)
    finally:
        bed.run(1, "pkill -9 tossed; pkill -9 passenger; true")
        boot_again(context, 2)
    one_moves(bed)
    nothing_left(context)


def kill_in_moves_with_frozen_peer(context):
    """kill -9 in the midst of moves, while the other machine does not answer: all is gone within
    the dead time and two seconds, there as soon as it goes on."""
    bed = context.bed
    pid = toss(context)
    watch(bed, 1, pid)
    limit = dead_seconds(bed) + 2 * context.slow
    assert bed.call("freeze", "node2").returncode == 0
    try:
        before = time.monotonic()
        bed.run(1, f"kill -USR1 {pid}")
        said(context, before, limit, time.monotonic() - before)
    finally:
        bed.call("thaw", "node2")
        bed.run(1, "pkill -9 tossed; pkill -9 passenger; true")
    see_each_other(context)
    nothing_left(context)
    one_moves(bed)
