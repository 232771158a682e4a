# SPDX-License-Identifier: GPL-2.0
"""The suite "deaths": a machine dies, or a process is killed, while threads of one process are on
three nodes and take a page from each other all the time."""

import contextlib
import time

from . import copies, hoards
from .control import (SPIN, boot_again, exit_status, nodes, one_moves, processes, radctl, shown,
                      start, stop, told_lost, within)
from .context import each
from .ends import LOOK, Clock, dead_seconds, ended, kill, patience, watch
from .remains import nothing_distributed, nothing_left, replica, replicas
from .rivals import rivals, send
from .spread import seen

HOME, SECOND, THIRD = 1, 2, 3
STATUS = "/tmp/deaths"      # where it is said how programs ended, each in a file
KIB = 64                    # that a hoard writes to
EXCHANGES = 10              # of a page, by each thread that fights for it, before anything happens


def counts(bed, pid):
    """What is counted for a distributed process."""
    found = [process for process in shown(bed, "ps") if process["pid"] == pid]
    assert found, f"process {pid} is not distributed"
    return found[0]


def goes_on(context, pid, tids):
    """Waits until each of these threads has taken the page some more times."""
    def taken():
        listed = {t["tid"]: t["faults"] for t in shown(context.bed, "show", str(pid))["threads"]}
        return [listed.get(tid, 0) for tid in tids]
    before = taken()
    within(60 * context.slow, lambda: all(now >= then + EXCHANGES for now, then
                                          in zip(taken(), before)), "all take the page")


def fighters(context, name, *places):
    """PID and threads of a process at home. On each of these nodes one of the threads writes to a
    page for ever, all to the same, and they have begun; a shell says in a file of that name how it
    ends."""
    bed = context.bed
    pid, threads = rivals(bed, count=len(places), loners=0, status=f"{STATUS}.{name}")
    tids = [tid for tid, _ in threads]
    try:
        send(bed, pid, threads, places)
        goes_on(context, pid, tids)
        there = seen(bed, pid, tids)
        assert there == list(places), f"on {there}, not {places}"
    except BaseException:
        stop(bed, pid)
        raise
    return pid, tids


@contextlib.contextmanager
def dead(context, node, watched, meanwhile=lambda: None):
    """A node's power is cut, and something is done while nobody knows it yet. What is watched,
    processes by their nodes, has ended within the dead time and two seconds; then comes the
    block. Afterwards that node is there again."""
    bed = context.bed
    limit = max(dead_seconds(bed, other) for other in watched) + 2 * context.slow
    clocks = {other: Clock(bed, other) for other in watched}
    for other, pids in watched.items():
        watch(bed, other, *pids)
    before = time.monotonic()
    assert bed.call("kill", f"node{node}").returncode == 0
    slack = time.monotonic() - before + LOOK
    try:
        meanwhile()
        for other, clock in clocks.items():
            what = f"what is watched on node{other} ends"
            took = clock.host(ended(bed, other, limit + 10, what)) - before
            assert took <= limit + slack + clock.error, \
                f"{what} after {took:.1f} s instead of {limit:.1f}"
        yield
    finally:
        boot_again(context, node)


def killed_for(context, pid, name, node):
    """It has ended with SIGKILL, and a line in home's log says which node it was on."""
    bed = context.bed
    status = exit_status(bed, f"{STATUS}.{name}")
    assert status == 137, f"{name} ended with {status}"
    told_lost(context, pid, node)


def kill_on_three(context):
    """kill -9 of a process with threads at home, on node 2 and on node 3: within two seconds it is
    gone at home, and its replicas on both, by the clocks of the three."""
    bed, limit = context.bed, 2 * context.slow
    pid, _ = fighters(context, "killed", HOME, SECOND, THIRD)
    try:
        clocks = {node: Clock(bed, node) for node in (HOME, SECOND, THIRD)}
        for node in SECOND, THIRD:
            watch(bed, node, *replicas(bed, node))
        killed = clocks[HOME].host(kill(bed, pid, limit))
        for node in SECOND, THIRD:
            what = f"its replica on node{node} is gone"
            took = clocks[node].host(ended(bed, node, limit + 5, what)) - killed
            slack = LOOK + clocks[HOME].error + clocks[node].error
            assert took <= limit + slack, f"{what} after {took:.1f} s"
    finally:
        stop(bed, pid)
    nothing_distributed(context)
    nothing_left(context, THIRD)


def third_dies(context):
    """Node 3 dies, which has one thread of three: the process ends with SIGKILL and a line in the
    log, and its replica on node 2 is gone, too. Others may go to node 2 meanwhile, and to node 3
    when it is back."""
    bed = context.bed
    pid, _ = fighters(context, "third", HOME, SECOND, THIRD)
    try:
        with dead(context, THIRD, {HOME: [pid], SECOND: replicas(bed)}):
            killed_for(context, pid, "third", THIRD)
            within(20 * context.slow, lambda: nodes(bed)[SECOND]["state"] == "up", "node 2 is up")
            one_moves(bed)
    finally:
        stop(bed, pid)
    one_moves(bed, THIRD)
    nothing_left(context)
    nothing_left(context, THIRD)


def owner_dies(context):
    """Node 2 dies, while a page goes from it to node 3 and back all the time: everything of that
    process is gone, at home and on node 3. So are two whose threads are all at home and whose
    pages it had: the one that looks at them waits, and is killed; so is the one that does not.
    One of which it had copies goes on, and one that is on node 3 and at home."""
    bed = context.bed
    with contextlib.ExitStack() as stack:
        copied = copies.elsewhere(bed)
        stack.callback(stop, bed, copied)
        looks = hoards.left_behind(context, KIB, f"{STATUS}.looks")
        stack.callback(stop, bed, looks)
        rests = hoards.left_behind(context, KIB, f"{STATUS}.rests")
        stack.callback(stop, bed, rests)
        bed.run(HOME, f"kill -STOP {rests}")
        neighbour, tids = fighters(context, "neighbour", HOME, THIRD)
        stack.callback(stop, bed, neighbour)
        doomed, _ = fighters(context, "doomed", SECOND, THIRD)
        stack.callback(stop, bed, doomed)
        within(20 * context.slow, lambda: counts(bed, doomed)["pages_forwarded"] >= EXCHANGES,
               "the page goes from node to node")
        stack.enter_context(patience(bed, 20 * min(context.slow, 2), (HOME, THIRD)))
        unknown = dead_seconds(bed) - 2

        def look():
            bed.run(HOME, f"kill -TERM {looks}")
            within(unknown, lambda: bed.run(
                HOME, f"cut -d' ' -f3 /proc/{looks}/stat").strip() == "D", "it waits for a page")
        # Of those on node 3 it has the replica that was made last.
        with dead(context, SECOND, {HOME: [doomed, looks, rests], THIRD: [replica(bed, THIRD)]},
                  look):
            for pid, name in (doomed, "doomed"), (looks, "looks"), (rests, "rests"):
                killed_for(context, pid, name, SECOND)
            within(10 * context.slow, lambda: not {doomed, looks, rests} & set(processes(bed)),
                   "they are not distributed any more")
            within(20 * context.slow, lambda: nodes(bed)[THIRD]["state"] == "up", "node 3 is up")
            goes_on(context, neighbour, tids)
            assert len(replicas(bed, THIRD)) == 1, replicas(bed, THIRD)
            threads = shown(bed, "show", str(neighbour))["threads"]
            assert [(t["node"], t["returns"]) for t in threads if t["state"] == "away"] == \
                [(THIRD, 0)], threads
            bed.run(HOME, f"[ -e /proc/{copied}/exe ]")
    nothing_left(context)
    nothing_left(context, THIRD)


def home_dies(context):
    """Home dies: the replicas of its process on nodes 2 and 3 are gone, with their visitors. What
    node 2 has on node 3 goes on."""
    bed = context.bed

    def visitors():
        return [shown(bed, node=node)["visitors"] for node in (SECOND, THIRD)]
    other = start(bed, SPIN, SECOND)
    try:
        done = radctl(bed, "migrate", str(other), str(THIRD), node=SECOND)
        assert done.returncode == 0, done.stderr
        fighters(context, "home", HOME, SECOND, THIRD)
        assert visitors() == [1, 2], visitors()
        # On node 3 its replica is the second.
        watched = {node: [replica(bed, node)] for node in (SECOND, THIRD)}
        with dead(context, HOME, watched):
            within(10 * context.slow, lambda: visitors() == [0, 1], "its visitors are gone")
            assert len(replicas(bed, THIRD)) == 1, replicas(bed, THIRD)
            thread = shown(bed, "show", str(other), node=SECOND)["threads"][0]
            assert (thread["state"], thread["node"], thread["returns"]) == \
                ("away", THIRD, 0), thread
    finally:
        stop(bed, other, SECOND)
    one_moves(bed)
    one_moves(bed, THIRD)


def run(context, only):
    """The suite "deaths"."""
    yield from each(context, [kill_on_three, third_dies, owner_dies, home_dies], only)
