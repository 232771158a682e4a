# SPDX-License-Identifier: GPL-2.0
"""Bad moments: a node that is missing when others start, a module that is loaded half, a
machine that is shut down while somebody waits, or drained while others come."""

import time

from . import build, paths
from .control import (EPOLL_WAIT, SPIN, boot_again, child_of, join, migrate, module_file, one_moves,
                      radctl, refused, rejoin, reload, shown, start, stop, within)
from .context import each
from .differences import stop_visitor
from .ends import dead_seconds, patience
from .remains import nothing_distributed, nothing_left, replica


def node_missing_at_start(context):
    """A node starts while its peer is switched off: it is a cluster of one, says so to who
    wants to go there, and finds the other when that has come."""
    bed = context.bed
    assert bed.call("kill", "node2").returncode == 0
    try:
        reload(context, 1)
        begin = time.monotonic()
        bed.run(1, join(1, 2, options="--no-wait"), timeout=60 * context.slow)
        assert time.monotonic() - begin < 10 * context.slow, "joining waits for who is not there"
        pid = start(bed, SPIN)
        try:
            refused(context, ["migrate", str(pid), "2"], "node")
            bed.run(1, f"[ -e /proc/{pid}/exe ]")
        finally:
            stop(bed, pid)
    finally:
        boot_again(context, 2)
    one_moves(bed)


def load_on_both(context, module):
    """The two nodes leave, load another module, and are a cluster again."""
    for node in (1, 2):
        reload(context, node, module)
    context.bed.run(1, join(1, 2, options="--no-wait"), timeout=60 * context.slow)
    rejoin(context, 2)


def registers_from_the_reserve(context):
    """Registers travel in memory of the reserve, as they have to where they are large: there
    and back more often than there is memory in it, and nothing is left that would keep the
    module."""
    bed = context.bed
    load_on_both(context, build.other_module(context))
    try:
        pid = start(bed, SPIN)
        try:
            for _ in range(8):
                migrate(bed, pid)
                done = radctl(bed, "recall", str(pid), timeout=60 * context.slow)
                assert done.returncode == 0, done.stderr
        finally:
            stop(bed, pid)
            nothing_distributed(context)
    finally:
        load_on_both(context, module_file(context))


# Kills insmod at more and more of its way, and from early on again when it had got there; until
# both have happened, it was too late and it was not. Says how often it was too late, how often
# not, and how often insmod was begun.
INTERRUPTED = """
cp {module} /tmp/interrupted.ko
too_late=0 in_time=0 begun=0 delay={delay}
while [ $begun -lt {least} ] || [ $too_late -eq 0 ] || [ $in_time -eq 0 ]; do
    [ $begun -lt {most} ] || break
    begun=$((begun + 1))
    insmod /tmp/interrupted.ko 2>/tmp/interrupted.said & p=$!
    while read -r comm 2>/dev/null </proc/$p/comm && [ "$comm" != insmod ]; do :; done
    busybox usleep $delay
    kill -9 $p 2>/dev/null
    wait $p 2>/dev/null
    status=$?
    if grep -q '^radium ' /proc/modules; then
        too_late=$((too_late + 1)) delay=$((delay / 3))
        rmmod radium || exit 8
    elif [ $status -eq 137 ]; then
        in_time=$((in_time + 1)) delay=$((delay * 3 / 2 + 1000))
    else
        cat /tmp/interrupted.said
        exit 11
    fi
    ! grep -q '^radium ' /proc/modules || exit 9
    [ ! -e /dev/radium ] || exit 10
done
echo $too_late $in_time $begun
"""


def unload_after_interrupted_load(context):
    """insmod is killed at any moment: the module is there, and can be unloaded, or is not."""
    bed = context.bed
    assert radctl(bed, "node", "leave", timeout=60 * context.slow).returncode == 0
    try:
        bed.run(1, "rmmod radium", timeout=30 * context.slow)
        too_late, in_time, begun = map(int, bed.run(1, INTERRUPTED.format(
            least=12, most=40, module=module_file(context),
            delay=10000 * context.slow), timeout=300 * context.slow).split())
        context.report.note(f"loaded all the same {too_late} times of {begun}")
        assert too_late, f"each of {begun} loads was interrupted"
        assert in_time, f"none of {begun} loads was interrupted"
    finally:
        rejoin(context, 1)


def unload_beside_a_sleeping_fault(context):
    """A process that has nothing to do with the module sleeps in a fault of a kind that is hooked, for as
    long as it likes: the module goes meanwhile."""
    bed, said = context.bed, "/tmp/sleeper.said"
    bed.run(1, f"rm -f {said}")
    pid = start(bed, f"sh -c 'exec {paths.GUEST}/sleeper >{said} 2>&1'")
    try:
        within(20 * context.slow, lambda: "sleeps" in bed.run(1, f"cat {said} || true") and
               "handle_userfault" in bed.run(1, f"cat /proc/{pid}/stack"), "it sleeps in the fault")
        assert radctl(bed, "node", "leave", timeout=60 * context.slow).returncode == 0
        bed.run(1, "rmmod radium", timeout=30 * context.slow)
        assert "handle_userfault" in bed.run(1, f"cat /proc/{pid}/stack"), "it has gone on"
    finally:
        stop(bed, pid)
        rejoin(context, 1)


def awaits_a_page(bed, pid):
    """Where a process at home, or a child of it, sleeps in the module; nothing, if none does."""
    return bed.run(1, f"for p in {pid} $(cat /proc/{pid}/task/*/children); do "
                      r"grep -s '\[radium\]' /proc/$p/stack; done; true").strip()


def shutdown_while_a_page_is_awaited(context):
    """A thread at home waits for a page of a node that does not answer, and home is switched
    off in order: it does so, and is not kept by who waits."""
    bed = context.bed
    # Its thread on node 2 writes all the time; a reader at home wants the page. Its parent
    # stays: it looks at that too.
    writer = f"{paths.GUEST}/selfcheck 1000000"
    pid = child_of(bed, start(bed, f"sh -c '{writer}; exit'"), writer)
    migrate(bed, pid)
    within(20 * context.slow, lambda: [p["pages_away"] for p in shown(bed, "ps")
                                       if p["pid"] == pid][0] >= 8, "its pages are away")
    # Until the reader is seen to wait nobody is to be believed dead.
    seconds = 20 * min(context.slow, 2)
    with patience(bed, seconds, (1,)):
        limit = dead_seconds(bed) + 30 * context.slow
        off = False
        assert bed.call("freeze", "node2").returncode == 0
        try:
            # Waits for memory that node 2 has: frames may be some pages below the top of the stack.
            reader = start(bed, f"sh -c 'cat /proc/{pid}/cmdline /proc/{pid}/environ; "
                                f"top=$(sed -n \"/stack/s/.*-\\([0-9a-f]*\\) .*/\\1/p\" "
                                f"/proc/{pid}/maps); "
                                f"dd if=/proc/{pid}/mem bs=4096 skip=$((0x$top / 4096 - 8)) count=8'")
            within(seconds, lambda: awaits_a_page(bed, reader), "a reader waits for a page")
            begin = time.monotonic()
            off = True
            stopped = bed.call("stop", "node1", timeout=limit + 1500)
            took = time.monotonic() - begin
            assert stopped.returncode == 0, stopped.stderr
            assert took <= limit, f"it took {took:.0f} s to be switched off"
        finally:
            bed.call("thaw", "node2")
            if off:
                boot_again(context, 1)
    one_moves(bed)


def refused_move(context, pid, to, by):
    """A move that is refused because a node is drained."""
    done = radctl(context.bed, "migrate", str(pid), str(to), node=by)
    assert done.returncode == 1 and "being drained" in done.stderr, done
    context.bed.run(by, f"[ -e /proc/{pid}/exe ]")


def drain_takes_nobody_in(context):
    """While a node is drained no thread comes to it, and none leaves it: one that has to be
    waited for keeps the drain at work meanwhile."""
    bed, limit = context.bed, 60 * context.slow
    stays, comes, leaves = start(bed, SPIN), start(bed, SPIN), start(bed, SPIN, 2)
    try:
        migrate(bed, stays)
        visitor = replica(bed)
        stop_visitor(bed, visitor)
        bed.run(2, "rm -f /tmp/drained; setsid sh -c 'radctl node drain "
                   f"--timeout {limit} 2>/tmp/drain.said; echo $? >/tmp/drained' "
                   "</dev/null >/dev/null 2>&1 &")
        # The thread is asked home: so the drain is at work.
        within(20 * context.slow, lambda: shown(bed, "show", str(stays))["threads"][0]["wanted"]
               in (0, 1), "the drain has begun")
        refused_move(context, comes, 2, 1)
        refused_move(context, leaves, 1, 2)
        assert not bed.run(2, "cat /tmp/drained 2>/dev/null || true"), bed.run(2, "cat /tmp/drain.said")
        bed.run(2, f"kill -CONT {visitor}")
        within(limit, lambda: bed.run(2, "cat /tmp/drained 2>/dev/null || true").strip(),
               "the drain ends")
        assert bed.run(2, "cat /tmp/drained; cat /tmp/drain.said").split() == ["0"]
        bed.run(1, f"[ -e /proc/{stays}/exe ]")
        migrate(bed, comes)
        done = radctl(bed, "migrate", str(leaves), "1", node=2)
        assert done.returncode == 0, done.stderr
    finally:
        bed.run(2, "pkill -CONT radium-replica || true")
        stop(bed, stays)
        stop(bed, comes)
        stop(bed, leaves, 2)
    nothing_left(context)


# Threads that sleep until a file is there, and then wait in a call that is not begun anew.
WAITERS = r"""
import os, select, threading, time
def wait(number):
    with open("/tmp/waiters", "a") as file:
        print(threading.get_native_id(), file=file)
    while not os.path.exists("/tmp/waiters.go"):
        time.sleep(0.05)
    select.epoll().poll()
for number in range(4):
    threading.Thread(target=wait, args=(number,)).start()
"""


def drain_waits_once_for_all(context):
    """Four threads are away in calls that only what they wait for ends: who drains their home
    waits for all of them at once, and pages come home all the same."""
    bed, limit = context.bed, 8 * context.slow
    bed.run(1, f"rm -f /tmp/waiters*; cat >/tmp/waiters.py <<'END'\n{WAITERS}\nEND")
    pid = start(bed, "python3 /tmp/waiters.py")

    def tids():
        return bed.run(1, "cat /tmp/waiters 2>/dev/null || true").split()

    def pages():
        return [p["pages_away"] for p in shown(bed, "ps") if p["pid"] == pid][0]
    try:
        within(30 * context.slow, lambda: len(tids()) == 4, "four threads sleep")
        for tid in tids():
            done = radctl(bed, "migrate", "--thread", tid, str(pid), "2")
            assert done.returncode == 0, done.stderr
        bed.run(1, "touch /tmp/waiters.go")
        within(30 * context.slow, lambda: all(bed.run(
            1, f"cut -d' ' -f1 /proc/{pid}/task/{tid}/syscall").strip() == EPOLL_WAIT
                                              for tid in tids()), "they wait")
        before = pages()
        assert before, "no page is away"
        begin = time.monotonic()
        done = radctl(bed, "node", "drain", "--timeout", str(limit), timeout=limit * 4 + 60)
        took = time.monotonic() - begin
        assert done.returncode == 1, "they have come home"
        assert took < limit * 3, f"it took {took:.0f} s, with a time limit of {limit} s"
        within(20 * context.slow, lambda: pages() < before, "pages come home")
        away = [t for t in shown(bed, "show", str(pid))["threads"] if t["state"] == "away"]
        assert len(away) == 4, away
    finally:
        stop(bed, pid)
    nothing_left(context)


def run(context, only):
    """The suite "moments"."""
    yield from each(context, [drain_takes_nobody_in, drain_waits_once_for_all,
                              unload_after_interrupted_load, unload_beside_a_sleeping_fault,
                              registers_from_the_reserve, node_missing_at_start,
                              shutdown_while_a_page_is_awaited], only)
