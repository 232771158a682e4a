# SPDX-License-Identifier: GPL-2.0
"""kill -9 of processes that are away, at home and where they are: both sides end in time."""

from . import paths
from .control import (AS_NOBODY, SPIN, child_of, exit_status, migrate, radctl, see_each_other, start,
                      within)
from .ends import LOOK, Clock, dead_seconds, ended, kill, patience, watch
from .remains import nothing_distributed, nothing_left, replica, replicas


def both_gone(context, pid):
    """kill -9 of a process that is away: within two seconds it is gone at home, and its
    replica on node 2, by the clocks of the two."""
    bed, limit = context.bed, 2 * context.slow
    clocks = {node: Clock(bed, node) for node in (1, 2)}
    watch(bed, 2, *replicas(bed))
    killed = clocks[1].host(kill(bed, pid, limit))
    took = clocks[2].host(ended(bed, 2, limit + 5 * context.slow, "its replica on node2 is gone")) - killed
    slack = LOOK + clocks[1].error + clocks[2].error
    assert took <= limit + slack, f"the replica was gone after {took:.1f} s"
    nothing_distributed(context)


def kill_away(context):
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    both_gone(context, pid)


def kill_during_moves(context):
    """At chosen and random moments before, in and after moves: each is gone on both nodes within
    two seconds, one of ten on a busy host within eight."""
    bed, rounds = context.bed, 20 if context.debug else 60
    nothing_left(context)
    bed.run(2, f"{paths.GUEST}/lookout </dev/null >/dev/null")
    try:
        done = bed.execute(1, f"{paths.GUEST}/killer", "-s", context.seed, "-t", context.slow,
                           "node2", rounds, timeout=900 * context.slow)
    finally:
        # It ends with the killer, if there has been one.
        bed.run(2, "pkill -9 -x lookout || true")
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(context)
    context.report.note(done.stdout.strip())


def kill_its_visitor(context, command, user=()):
    """kill -9 of a process' replica on node 2, both by or of that user: within two seconds it is
    gone at home."""
    bed, limit = context.bed, 2 * context.slow
    bed.run(1, "rm -f /tmp/status")
    shell = start(bed, f"sh -c '{' '.join((*user, command))} > /dev/null; echo $? > /tmp/status'")
    visitor = child_of(bed, shell, command)
    try:
        migrate(bed, visitor)
        clocks = {node: Clock(bed, node) for node in (1, 2)}
        watch(bed, 1, visitor)
        killed = clocks[2].host(kill(bed, replica(bed), limit, 2, user))
        took = clocks[1].host(ended(bed, 1, limit + 5 * context.slow, "its process at home is gone")) - killed
        slack = LOOK + clocks[1].error + clocks[2].error
        assert took <= limit + slack, f"the process was gone after {took:.1f} s"
        assert exit_status(bed) == 137
        nothing_distributed(context)
    finally:
        bed.run(1, f"kill -9 {visitor} 2>/dev/null || true")


def kill_visitor_on_its_node(context):
    """The owner of a machine may end what visits it: the process at home ends, too."""
    kill_its_visitor(context, SPIN)


def kill_sleeping_visitor_on_its_node(context):
    """At once, though what it sleeps in is a call that home makes for it."""
    kill_its_visitor(context, "sleep 1000")


def owner_kills_visitor_on_its_node(context):
    """So may who has its owner's number there."""
    kill_its_visitor(context, "sleep 1000", AS_NOBODY)


def kill_with_frozen_peer(context):
    """kill -9 while the visited machine does not answer ends within the dead time."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    assert bed.call("freeze", "node2").returncode == 0
    try:
        kill(bed, pid, dead_seconds(bed) + 2 * context.slow)
    finally:
        bed.call("thaw", "node2")
    see_each_other(context)
    # Node 2 has lost nothing of its own time: it hears of the end when it hears of node 1.
    nothing_left(context)


# One of its threads computes, and says which it is; the other one waits.
TWO_THREADS = r"""
import os, signal, threading
def work():
    with open("/tmp/core/tid.new", "w") as file:
        print(threading.get_native_id(), file=file)
    os.rename("/tmp/core/tid.new", "/tmp/core/tid")
    while True:
        pass
threading.Thread(target=work, daemon=True).start()
while True:
    signal.pause()
"""
# For the registers of a thread that does not answer a dump waits so long.
REGISTERS_S = 5


def core_with_frozen_peer(context):
    """A process dumps core at home while the node on which one of its threads runs does not answer:
    that begins, when the thread's registers have been waited for, and is cut short with the node's
    death; nothing of the process is left."""
    bed = context.bed
    bed.run(1, "rm -rf /tmp/core /tmp/status; mkdir /tmp/core; "
               f"cat > /tmp/core/two.py <<'END'\n{TWO_THREADS}\nEND")
    shell = start(bed, "sh -c 'ulimit -c unlimited; cd /tmp/core; python3 two.py; echo $? > /tmp/status'")
    pid = child_of(bed, shell, "python3 two.py")
    found = []

    def tid():
        found[:] = bed.run(1, "cat /tmp/core/tid 2>/dev/null || true").split()
        return found
    try:
        within(20 * context.slow, tid, "its thread computes")
        done = radctl(bed, "migrate", str(pid), "2", "--thread", found[0])
        assert done.returncode == 0, done.stderr
        watch(bed, 1, pid)
        # The dump is to have begun before the node is believed dead.
        with patience(bed, 10 * min(context.slow, 4), (1,)):
            limit = max(dead_seconds(bed), REGISTERS_S) + 4 * context.slow
            assert bed.call("freeze", "node2").returncode == 0
            try:
                begun = float(bed.run(1, f"cut -d' ' -f1 /proc/uptime; kill -SEGV {pid}"))
                took = ended(bed, 1, limit + 5 * context.slow, "it has ended") - begun
            finally:
                bed.call("thaw", "node2")
        assert took <= limit, f"it ended after {took:.1f} s"
        # As whom somebody kills in the midst of it: pages are wanted of the node.
        status = exit_status(bed)
        assert status == 128 + 9, f"it ended with {status}"
        head = bed.run(1, "head -c 4 /tmp/core/core* | od -An -c").split()
        assert head == ["177", "E", "L", "F"], head
    finally:
        bed.run(1, f"kill -9 {pid} 2>/dev/null; rm -rf /tmp/core")
    see_each_other(context)
    nothing_left(context)
