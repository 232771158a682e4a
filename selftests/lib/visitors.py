# SPDX-License-Identifier: GPL-2.0
"""Visitors that are not as others: one that may not have a replica, one that has an exception
while it is asked home."""

import contextlib

from . import guest, paths
from .control import AS_NOBODY, becomes, rejoin, shown, start, stop, within
from .context import Skip
from .ends import SHELL
from .joins import left
from .remains import nothing_distributed, nothing_left
from .rivals import rivals


def replica_that_cannot_attach(context):
    """A user who may not open the device on a node cannot have a replica there; nobody
    else waits for that."""
    bed = context.bed
    mode = bed.run(2, "stat -c %a /dev/radium; chmod 600 /dev/radium").strip()
    pids = [start(bed, " ".join(AS_NOBODY) + " sleep 1000"), start(bed, "sleep 1000")]
    try:
        becomes(bed, pids[0], "sleep")
        out = bed.run(1, f"{SHELL} radctl migrate {pids[0]} 2 >/dev/null 2>/tmp/refused & first=$!\n"
                      f"until radctl show {pids[0]} 2>/dev/null | grep -q preparing; do "
                      "kill -0 $first 2>/dev/null || break; sleep 0.05; done; "
                      f"t; a=$t; radctl migrate {pids[1]} 2 >/dev/null || exit 9; t; "
                      "wait $first && exit 7; echo $((t - a))", timeout=120 * context.slow)
        # What it must not wait for takes ten.
        assert int(out) <= min(800 * context.slow, 950), f"the other's move took {int(out) / 100} s"
        assert shown(bed, "show", str(pids[1]))["threads"][0]["node"] == 2
        assert "replica" in bed.run(1, "cat /tmp/refused"), bed.run(1, "cat /tmp/refused")
    finally:
        bed.run(2, f"chmod {mode} /dev/radium")
        for pid in pids:
            stop(bed, pid)
    nothing_left(context)


SLOWLY = r"""#!/bin/sh
# The same process becomes the program, later.
sleep 8
exec %s/radium-replica "$@"
"""


# Both threads' moves are begun; as soon as both wait for the program their process is killed.
BOTH_WAIT = """
for tid in %(tids)s; do
    radctl migrate --thread $tid %(pid)d 2 >/dev/null 2>&1 & last=$!
done
until [ "$(radctl show %(pid)d 2>/dev/null | grep -c preparing)" -eq 2 ]; do
    kill -0 $last 2>/dev/null || exit 77
done
kill -9 %(pid)d
"""


def killed_before_its_replica(context):
    """kill -9 at home when the replica's program has been started and has not attached yet, and
    more threads wait for it: nothing of it stays, and the module can go."""
    bed, limit, slowly = context.bed, 20 * context.slow, "/run/radium-replica"
    place = bed.run(2, "dirname $(command -v radctl)").strip()
    pid, threads = rivals(bed)
    try:
        with left(context, f"rm -f {slowly}"):
            bed.run(2, f"cat >{slowly} <<'END'\n{SLOWLY % place}END\nchmod 755 {slowly}")
            rejoin(context, 2, f"--replica {slowly}")
            users = int(bed.run(2, "cat /sys/module/radium/refcnt"))
            both = {"pid": pid, "tids": " ".join(str(tid) for tid, _ in threads[-2:])}
            done = bed.execute(1, "sh", "-c", BOTH_WAIT % both, timeout=3 * limit)
            if done.returncode == 77:
                raise Skip("the second thread did not ask before the program was given up")
            assert done.returncode == 0, done.stdout + done.stderr
            within(limit, lambda: int(bed.run(2, "cat /sys/module/radium/refcnt")) <= users,
                   "nothing uses the module")
    finally:
        stop(bed, pid)
    nothing_distributed(context)


PREEMPT = """
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
cd /sys/kernel/debug/sched && [ -w preempt ] || exit 77
tr ' ' '\n' < preempt | sed -n 's/[()]//gp'
echo %s > preempt
"""


@contextlib.contextmanager
def preempted(context, *which):
    """The kernels of these nodes may be preempted wherever that is possible."""
    bed, before = context.bed, {}
    try:
        for node in which:
            done = bed.execute(node, "sh", "-c", PREEMPT % "full")
            if done.returncode == 77:
                raise Skip("this kernel's preemption cannot be changed")
            assert done.returncode == 0, done.stderr
            before[node] = done.stdout.strip()
        yield
    finally:
        for node, mode in before.items():
            bed.run(node, PREEMPT % mode)


def traps_while_preempted(context):
    """An exception of a visitor that is asked home in the middle of it is not lost. On one
    CPU there is no such moment, unless the kernel may be preempted."""
    bed = context.bed
    with preempted(context, 1, 2):
        done = bed.execute(1, f"{paths.GUEST}/signals", "-t", context.slow, "away",
                           "traps_while_moving", timeout=guest.CASE_SECONDS * context.slow)
        assert done.returncode == 0, done.stdout + done.stderr
