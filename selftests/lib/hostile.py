# SPDX-License-Identifier: GPL-2.0
"""The suites "hostile" and "hostile_third": a node that has the key and breaks the protocol, which
selftests/hostile makes of the module. It loses its session, with what is away there, and does no
other harm."""

import contextlib
import time

from . import build, hoards, paths
from .context import Skip, each
from .control import (SPIN, all_see_all, exit_status, migrate, nodes, one_moves, radctl, rejoin, reload,
                      see_each_other, shown, start, stop, within)
from .ends import dead_seconds, patience
from .remains import WRITER, nothing_left, replicas
from .rivals import rivals, send
from .visitors import preempted

HOSTILE = 2             # node that loads it; node 1 is honest
PARAMETERS = "/sys/module/radium/parameters"
PARAMETER = f"{PARAMETERS}/hostile"
END_S = 10              # for a session to end and what was away to be killed


@contextlib.contextmanager
def loaded(context, *which):
    """These nodes have the module that can be hostile; afterwards the one that they had, and that
    works."""
    other = build.hostile_module(context)

    def load(node, module=""):
        reload(context, node, module)
        rejoin(context, node)
        all_see_all(context)
    try:
        for node in which:
            load(node, other)
        yield
    finally:
        for node in which:
            load(node)
            context.bed.run(node, f"[ ! -e {PARAMETER} ]")
    one_moves(context.bed)


def errors(context, what):
    """How often node 1 has said that the other breaks the protocol so."""
    return context.bed.console(1).count(f"node {HOSTILE} breaks the protocol: {what}")


def be(context, way, node=HOSTILE):
    context.bed.run(node, f"echo {way} >{PARAMETER}")


def count(bed, what, node=HOSTILE):
    """What a node that can be hostile has counted: see hostile.h of the patches."""
    return int(bed.run(node, f"cat {PARAMETERS}/{what}"))


@contextlib.contextmanager
def hostile(context, way):
    """Node 2 breaks the protocol this way, and does so once at least; afterwards it does not, both
    are there for each other, and processes of both can go to the other."""
    times = count(context.bed, "times")
    be(context, way)
    try:
        yield
        assert count(context.bed, "times") > times, f"there was no occasion for {way}"
    finally:
        be(context, "")
    see_each_other(context)
    one_moves(context.bed)
    other_moves(context)


def other_moves(context):
    """A process of node 2 goes to node 1."""
    bed = context.bed
    pid = start(bed, SPIN, HOSTILE)
    try:
        done = radctl(bed, "migrate", str(pid), "1", node=HOSTILE)
        assert done.returncode == 0, done.stderr
    finally:
        stop(bed, pid, HOSTILE)


def stat(bed, pid):
    """What is said of a process in its stat; nothing if there is none."""
    return bed.run(1, f"cat /proc/{pid}/stat 2>/dev/null || true").strip()


def ends_with_session(context, pid, before, what, seconds=END_S):
    """A process of node 1 that was away ends with the session, for that reason; whoever looks at
    it until then is not harmed."""
    bed = context.bed
    within(seconds * context.slow, lambda: not stat(bed, pid), "the process ends")
    assert errors(context, what) > before, f"node 1 does not say '{what}'"
    nothing_left(context)


def commit_does_not_wait(context):
    """COMMIT right behind PREPARE: what is not ready does not run, and the session ends. On one
    CPU it is seldom looked at in the midst, unless the kernel may be preempted."""
    bed, what = context.bed, "COMMIT: not prepared"
    before = errors(context, what)
    with hostile(context, "commit"), preempted(context, 1):
        for move in range(20):
            pid = start(bed, SPIN, HOSTILE)
            radctl(bed, "migrate", str(pid), "1", node=HOSTILE)
            stop(bed, pid, HOSTILE)
            if errors(context, what) > before:
                context.report.note(f"one came in the midst of move {move + 1}")
                break
            see_each_other(context)
        within(END_S * context.slow, lambda: not replicas(bed, 1), "no visitor is left")
    if errors(context, what) == before:
        raise Skip("none came in the midst of a move")


def time_of_a_call(context):
    """With a system call comes processor time that there has not been."""
    bed, what = context.bed, "SYSCALL: processor time"
    before = errors(context, what)
    pid = start(bed, WRITER)
    migrate(bed, pid)
    with hostile(context, "cputime"):
        ends_with_session(context, pid, before, what)


def time_of_a_return(context):
    """The same with a thread that comes home; each time for itself could be right."""
    bed, what = context.bed, "RETURN: processor time"
    before = errors(context, what)
    pid = start(bed, SPIN)
    migrate(bed, pid)
    # It would tell with a call of its own, of those that it makes before it computes.
    within(60 * context.slow, lambda: computes_only(bed, pid), "it makes no calls any more")
    with hostile(context, "hours"):
        radctl(bed, "recall", str(pid))
        ends_with_session(context, pid, before, what)


def computes_only(bed, pid):
    """Has it made no call for some seconds?"""
    def calls():
        return [row["syscalls"] for row in shown(bed, "ps") if row["pid"] == pid]
    before = calls()
    time.sleep(2 * bed.slow)
    return calls() == before


def pages_are_kept(context):
    """The node does not answer who asks for a page, but lives: it has three times as long as one
    that is silent."""
    bed, what = context.bed, "PAGE_REVOKE: not answered"
    before = errors(context, what)
    with patience(bed, 6):
        pid = start(bed, SPIN)
        migrate(bed, pid)
        with hostile(context, "keep"):
            bed.execute(1, "timeout", "5", "radctl", "recall", str(pid))
            ends_with_session(context, pid, before, what, 3 * dead_seconds(bed) + END_S)


def message_is_no_write(context):
    """A page comes in a message whose immediate data says that it has been written: it has not."""
    bed, what = context.bed, "wrong length"
    before = errors(context, what)
    pid = start(bed, WRITER)
    migrate(bed, pid)
    with hostile(context, "message"):
        bed.execute(1, "timeout", "20", "radctl", "recall", str(pid))
        ends_with_session(context, pid, before, what)


def glean(bed, what, home, node):
    """What it says."""
    return bed.run(home, f"{paths.GUEST}/glean {what} {home} {node}").split()


def nothing_is_written(context):
    """A page is said to have been written, and has not: nobody sees what its place has had in it
    of others, neither there nor at home, but a page of zeros."""
    bed = context.bed
    for home, node in ((1, HOSTILE), (HOSTILE, 1)):
        glean(bed, "leave", home, node)
        nothing_left(context, node)
    # The home is hostile, then the node that is visited.
    with hostile(context, "nothing"):
        there, _, empty = glean(bed, "look", HOSTILE, 1)
        assert there == "0", f"{there} pages of others were seen on node 1"
        assert empty == "0", f"{empty} pages have been lost by the way from node 1"
    with hostile(context, "nothing"):
        _, back, empty = glean(bed, "look", 1, HOSTILE)
        assert back == "0", f"{back} pages of others have come home"
        assert empty != "0", "all pages have been written"


@contextlib.contextmanager
def rivals_on(context, home, *places, how=""):
    """PID of a process whose first threads write to one page for ever, each on a node."""
    bed = context.bed
    pid, threads = rivals(bed, home, how=how)
    try:
        send(bed, pid, threads, places, home)
        yield pid
    finally:
        stop(bed, pid, home)


def pages_go_astray(context):
    """The home of a process says that a page is to be written to the other node, and not where:
    the session of the two that do so goes on, and even the process does."""
    bed, what = context.bed, "no landing place on node"

    def between():
        return [(nodes(bed, n)[m]["state"], nodes(bed, n)[m]["epoch"]) for n, m in ((1, 3), (3, 1))]

    def astray():
        return bed.console(1).count(what) + bed.console(3).count(what)
    said, innocent = astray(), start(bed, SPIN)
    try:
        migrate(bed, innocent, 3)
        before = between()
        with rivals_on(context, HOSTILE, 1, 3) as pid:
            be(context, "astray")
            within(30 * context.slow, lambda: astray() > said,
                   "the page goes astray")
            be(context, "")
            bed.run(1, "sleep 2")
            within(20 * context.slow, lambda: between() == before, f"{between()} is {before}")
            threads = shown(bed, "show", str(pid), node=HOSTILE)["threads"]
            assert sum(t["state"] == "away" for t in threads) == 2, threads
        thread = shown(bed, "show", str(innocent))["threads"][0]
        assert (thread["state"], thread["node"], thread["returns"]) == ("away", 3, 0), thread
    finally:
        be(context, "")
        stop(bed, innocent)


def arrives_early(context):
    """The node says that a page has come for which home has not asked its owner yet. The process
    that it executes may be lost, or find something else in its memory; nobody else is harmed."""
    bed = context.bed
    early = count(bed, "early", 1)
    innocent = start(bed, SPIN)
    try:
        migrate(bed, innocent, 3)
        with rivals_on(context, 1, 3, HOSTILE):
            # Slow for longer: home would ask the node for what it does not have yet.
            be(context, "slow", 1)
            be(context, "arrived")
            try:
                bed.run(1, f"sleep {5 * context.slow}", timeout=60 * context.slow)
            finally:
                be(context, "")
                be(context, "", 1)
            assert count(bed, "early", 1) > early, "none has come early"
        thread = shown(bed, "show", str(innocent))["threads"][0]
        assert (thread["state"], thread["node"], thread["returns"]) == ("away", 3, 0), thread
    finally:
        stop(bed, innocent)
    all_see_all(context)


def comes_late(context):
    """The node that is to send a page on does so when nobody waits for it any more: what has come
    to its place since is not written over."""
    bed, status, pages = context.bed, "/tmp/hoard.status", 512

    def between():
        return nodes(bed, HOSTILE)[3]["epoch"]
    pid = hoards.begin(bed, 4 * pages, status)
    try:
        # What is registered there together stays so: some of it is this one's.
        migrate(bed, pid, 3)
        times, before, dead = count(bed, "times"), between(), 3 * context.slow
        with patience(bed, dead, (1, HOSTILE, 3)):
            be(context, "late")
            with rivals_on(context, 1, HOSTILE, 3):
                within(20 * context.slow, lambda: count(bed, "times") > times, "it is to send one")
            within(10 * dead, lambda: len(replicas(bed, 3)) == 1, "nobody waits")
            # Such a place has been put away for five times that long, once.
            bed.run(3, f"sleep {5 * dead + 3}", timeout=10 * dead + 60)
            bed.run(1, f"touch {hoards.GO}")
            within(20 * context.slow, lambda: hoards.owned(bed, pid, 3) >= pages, "all came")
            be(context, "")
            bed.run(3, "sleep 2")
            bed.run(1, f"kill {pid}")
            assert exit_status(bed, status) == 0, "something was written over"
        assert between() == before, "the session between the two others has ended"
    finally:
        be(context, "")
        stop(bed, pid)
    all_see_all(context)


def run(context, only):
    """The suite "hostile"."""
    with loaded(context, HOSTILE):
        yield from each(context, [commit_does_not_wait, time_of_a_call, time_of_a_return,
                                  pages_are_kept, message_is_no_write,
                                  nothing_is_written], only)


def third(context, only):
    """The suite "hostile_third"."""
    with loaded(context, 1, HOSTILE):
        yield from each(context, [pages_go_astray, arrives_early, comes_late], only)
