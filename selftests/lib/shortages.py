# SPDX-License-Identifier: GPL-2.0
"""Memory that is lacking: a pool that visitors have filled, allocations that fail."""

from . import hoards
from .control import (SPIN, exit_status, migrate, radctl, rejoin, reload, shown, start, stop,
                      within)
from .context import Skip
from .remains import nothing_distributed, nothing_left

# Memory that is written away and looked at when told to.
KEEPER = r"""
use strict;
my ($last, @kept) = ($ARGV[0] - 1);
sub await { select(undef, undef, undef, 0.1) until -e "/tmp/keeper.$_[0]"; }
sub mark { open(my $f, ">", "/tmp/keeper.$_[0]") or die; }
$kept[$_] = "$_ " x 2000 for 0 .. $last;
mark("ready");
await("write");
$kept[$_] = "@{[$_ + 1]} " x 2000 for 0 .. $last;
mark("written");
await("check");
my $wrong = grep { $kept[$_] ne "@{[$_ + 1]} " x 2000 } 0 .. $last;
mark($wrong ? "wrong" : "right");
await("never");
"""


def keeper(context, what):
    """Waits until it says so."""
    within(30 * context.slow,
           lambda: context.bed.run(1, f"ls /tmp/keeper.{what} 2>/dev/null || true"), what)


def visitors_fill_the_pool(context):
    """Visitors may take all memory that a node gives for what comes over the network, but
    what its own processes need to get their pages home."""
    bed, pids = context.bed, {}
    nothing_distributed(context)
    reload(context, 1, parameters="pool_mib=1")
    try:
        rejoin(context, 1)
        bed.run(1, f"rm -f /tmp/keeper.*; cat > /tmp/keeper.pl <<'END'\n{KEEPER}\nEND")
        pids[1] = start(bed, "perl /tmp/keeper.pl 75")
        keeper(context, "ready")
        migrate(bed, pids[1])
        bed.run(1, "touch /tmp/keeper.write")
        keeper(context, "written")

        pids[2] = hoards.begin(bed, 2048, "/tmp/hoard.status", node=2)
        done = radctl(bed, "migrate", str(pids[2]), "1", node=2)
        assert done.returncode == 0, done.stderr
        bed.run(2, f"touch {hoards.GO}")
        within(20 * context.slow, lambda: "no_memory" in shown(
            bed, "show", str(pids[2]), node=2)["threads"][0]["returns_by_reason"],
               "the pool is full")
        bed.run(1, f"sleep {3 * context.slow}")

        done = radctl(bed, "recall", "--timeout", str(30 * context.slow), str(pids[1]))
        assert done.returncode == 0, done.stderr
        bed.run(1, "touch /tmp/keeper.check")
        keeper(context, "right")
        # Nor is the visitor's own memory any worse for it.
        bed.run(2, f"kill {pids[2]}")
        assert exit_status(bed, "/tmp/hoard.status", 2) == 0
    finally:
        for node in sorted(pids, reverse=True):     # the visitor first: it gives memory back
            stop(bed, pids[node], node)
        nothing_left(context, 1)
        nothing_left(context, 2)
        reload(context, 1)
        rejoin(context, 1)


FAILING = """
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
cd /sys/kernel/debug/failslab || exit 77
echo N > ignore-gfp-wait; echo 0 > verbose; echo 1 > interval; echo Y > task-filter
echo -1 > times; echo %d > probability
"""


def allocations_fail(context):
    """One in ten allocations fails in the task of a process, that is, in its deputy, while it
    is moved there and back: it goes on or is ended, nothing hangs, nothing is left. The
    program is a static one in memory: 9p forgets to tell the host of files that are closed
    without memory, and opens no others afterwards. (So is not the replica: it is spared.)"""
    bed = context.bed
    if not context.debug:
        raise Skip("this kernel cannot make allocations fail")
    counts = {"moved": 0, "not moved": 0, "ended": 0}
    try:
        bed.run(1, "cp /bin/busybox /tmp; cd /; " + FAILING % 10)
        for number in range(4):
            work = "i=$((i + 1))" if number % 2 else "echo x"
            bed.run(1, "rm -f /tmp/at_work")
            pid = start(bed, f"/tmp/busybox sh -c ': > /tmp/at_work; while :; do {work}; done'")
            within(20 * context.slow, lambda: bed.run(
                1, "ls /tmp/at_work 2>/dev/null || true").strip(), "the program begins")
            bed.run(1, f"echo 1 > /proc/{pid}/make-it-fail")
            for _ in range(4):
                done = radctl(bed, "migrate", str(pid), "2", timeout=60 * context.slow)
                counts["not moved" if done.returncode else "moved"] += 1
                bed.run(1, "sleep 0.3")
                radctl(bed, "recall", "--all", str(pid), timeout=60 * context.slow)
                if not bed.run(1, f"[ -e /proc/{pid}/exe ] && echo there || true"):
                    counts["ended"] += 1
                    break
            stop(bed, pid)
    finally:
        bed.run(1, FAILING % 0)
    context.report.note(", ".join(f"{value} {name}" for name, value in counts.items()))
    nothing_left(context)
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
    finally:
        stop(bed, pid)
