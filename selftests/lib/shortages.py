# SPDX-License-Identifier: GPL-2.0
"""Memory that is lacking: a pool that visitors have filled, allocations that fail."""

from . import hoards, paths
from .control import (SPIN, child_of, exit_status, migrate, radctl, rejoin, reload, shown, start,
                      stop, within)
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

        bed.run(2, "rm -f /tmp/hoard.*")
        shell = start(bed, f"sh -c '{paths.GUEST}/hoard 2048; echo $? > /tmp/hoard.status'", 2)
        pids[2] = child_of(bed, shell, f"{paths.GUEST}/hoard 2048", 2)
        done = radctl(bed, "migrate", str(pids[2]), "1", node=2)
        assert done.returncode == 0, done.stderr
        bed.run(2, "touch /tmp/hoard.go")
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


# Allocations of the size of a page's record fail for a while, where Radium's threads make them. Says
# how long that took, and how long they have computed meanwhile, in seconds.
FAIL_FOR_RECORDS = """
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
cd /sys/kernel/debug/failslab || exit 77
set -- $(grep -lx "radium-rx.*" /proc/[0-9]*/comm | sed 's,/comm,,')
[ $# -gt 0 ] || exit 1
flag() {{ for task in "$@"; do echo $how >$task/make-it-fail; done; }}
slabs() {{ for s in /sys/kernel/slab/kmalloc*-192 /sys/kernel/slab/kmalloc*-256; do
    echo $1 >$s/failslab
done; }}
ran() {{ for task in "$@"; do cat $task/schedstat; done | awk '{{ n += $1 }} END {{ print n / 1e9 }}'; }}
slabs 1; how=1; flag "$@"
echo Y >cache-filter; echo N >ignore-gfp-wait; echo 0 >verbose; echo 1 >interval; echo Y >task-filter
before=$(ran "$@"); begin=$(cut -d' ' -f1 /proc/uptime)
echo {times} >times; echo 100 >probability
touch {go}
i=0; while [ $(cat times) -gt 0 ] && [ $i -lt {seconds} ]; do sleep 1; i=$((i + 1)); done
left=$(cat times); echo 0 >probability; echo N >cache-filter; slabs 0; how=0; flag "$@"
echo $left $begin $(cut -d' ' -f1 /proc/uptime) $before $(ran "$@")
"""


def no_memory_for_a_record(context):
    """Home has no memory to write down that a page is taken: who asks waits for it, and home's thread
    leaves its CPU, which is wanted to free some, to others."""
    bed, status = context.bed, "/tmp/hoard.status"
    if not context.debug:
        raise Skip("this kernel cannot make allocations fail")
    pid = hoards.begin(bed, 1024, status)
    try:
        migrate(bed, pid)
        left, begin, end, before, after = map(float, bed.run(1, FAIL_FOR_RECORDS.format(
            times=1000, go=hoards.GO, seconds=60 * context.slow),
            timeout=120 * context.slow).split())
        ran, took = after - before, end - begin
        context.report.note(f"{ran:.1f} s of {took:.1f} s, {left:.0f} to fail")
        assert not left, "not all have failed"
        assert ran < took / 2, f"{ran} s of {took} s"
        within(60 * context.slow, lambda: hoards.owned(bed, pid) >= 256, "it has written")
        bed.run(1, f"kill {pid}")
        assert exit_status(bed, status) == 0
    finally:
        stop(bed, pid)
    nothing_left(context)
