# SPDX-License-Identifier: GPL-2.0
"""Threads that 'radctl run --policy spread' sends to the nodes as they are made, what
'radctl run' sends after what has made it, and all threads of a process at once, of the suite
"threads"."""

import json

from . import paths
from .control import (AS_NOBODY, EVENTS, SPIN, heard, join, listen, migrate, nodes, radctl, refused,
                      shown, start, stop, within)
from .ends import SHELL

ST = paths.GUEST
SAID = "/tmp/spread"
HOME = 1


# Two threads in calls that are left alone, the first among them, and one that can go.
STUCK = """import socket, struct, threading
def wait():
    ends = socket.socketpair()
    ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1000, 0))
    ends[0].recv(1)
threading.Thread(target=wait).start()
threading.Thread(target=threading.Event().wait).start()
wait()"""
RECVFROM, FUTEX = "45", "202"


def all_move_in_time(context):
    """All threads of a process are asked to go, though the first cannot: what is said is why
    it could not, and the time allowed is for all of them."""
    bed, limit = context.bed, 8 * context.slow
    pid = start(bed, f"python3 -c '{STUCK}'")

    def calls():
        return bed.run(1, f"cut -d' ' -f1 /proc/{pid}/task/*/syscall").split()
    try:
        within(60 * context.slow, lambda: sorted(calls()) == sorted([RECVFROM, RECVFROM, FUTEX]),
               "they wait")
        out = bed.run(1, f"{SHELL} t; a=$t; radctl migrate --all-threads --timeout {limit} {pid} 2 "
                         "2>&1 >/dev/null && exit 9; t; echo $((t - a))", timeout=limit * 4 + 60)
        said, took = out.rsplit("\n", 2)[:2]
        assert "must not be interrupted" in said, out
        assert limit * 100 <= int(took) < limit * 195, out
        within(20 * context.slow, lambda: ("away", 2) in [
            (t["state"], t["node"]) for t in shown(bed, "show", str(pid))["threads"]],
               "the third is away")
    finally:
        stop(bed, pid)


# So many threads asleep in futexes, and one in a read.
CROWD, LIMIT = 1000, 15
ASLEEP = f"""import os, threading
threading.stack_size(1 << 16)
for _ in range({CROWD}):
    threading.Thread(target=threading.Event().wait).start()
os.read(os.pipe()[0], 1)"""


def thousand_move_in_time(context):
    """A thousand threads that sleep in calls go out, and come home, in half of the time that a move has
    by default: they do not wait for each other's being woken."""
    bed, limit = context.bed, LIMIT * context.slow
    pid = start(bed, f"python3 -c '{ASLEEP}'")

    def away():
        return sum(t["state"] == "away" for t in shown(bed, "show", str(pid))["threads"])
    try:
        within(120 * context.slow, lambda: bed.run(
            1, f"cut -d' ' -f1 /proc/{pid}/task/*/syscall").split().count(FUTEX) == CROWD,
            "they sleep")
        done = radctl(bed, "migrate", "--all-threads", "--timeout", str(limit), str(pid), "2",
                      timeout=limit * 2)
        assert done.returncode == 0 and away() == CROWD + 1, f"{away()} are away: {done.stderr}"
        done = radctl(bed, "recall", "--timeout", str(limit), str(pid), timeout=limit * 2)
        assert done.returncode == 0 and not away(), f"{away()} are away: {done.stderr}"
    finally:
        stop(bed, pid)


def begin(bed, command, *options):
    """PID of a command whose threads are spread; it gets its command line from a shell, which
    it replaces."""
    bed.run(1, f"rm -f {SAID}*")
    return start(bed, f"radctl run --policy spread {' '.join(options)} -- {command}")


def crew(count, how="", said=SAID):
    """The command that makes so many threads."""
    return f"{ST}/spread {said} {count} {how}".strip()


def places(context, count, said=SAID):
    """Nodes that the first thread and so many others say they are on, in the order in which
    they were made; and who they are."""
    bed = context.bed
    within(60 * context.slow, lambda: bed.run(1, f"cat {said} 2>/dev/null || true").count("\n")
           == count + 1, f"{count} threads say where they are")
    lines = sorted(list(map(int, line.split())) for line in bed.run(1, f"cat {said}").splitlines())
    assert [number for number, _, _ in lines] == list(range(count + 1)), lines
    return [node or HOME for _, _, node in lines], [tid for _, tid, _ in lines]


def seen(bed, pid, tids):
    """Where they are as home shows it; it knows nothing of one that never was elsewhere."""
    at = {t["tid"]: t["node"] for t in shown(bed, "show", str(pid))["threads"]}
    return [at.get(tid, HOME) for tid in tids]


def expect(context, command, wanted, *options):
    """The threads of a command, the first one included, are on these nodes."""
    pid = begin(context.bed, command, *options)
    try:
        said, tids = places(context, len(wanted) - 1)
        assert said == wanted, f"on {said}, not {wanted}"
        assert seen(context.bed, tids[0], tids) == wanted, seen(context.bed, tids[0], tids)
    finally:
        stop(context.bed, pid)


def spread_over_all_nodes(context):
    """In turn, home first; two threads of a process with one each on two nodes."""
    expect(context, crew(5), [1, 2, 3, 1, 2, 3])
    expect(context, crew(1), [1, 2], "--node", "1,2")


def spread_from_away(context):
    """Each thread is made by the one before, from the node on which that runs."""
    expect(context, crew(6, "chain"), [1, 2, 3, 1, 2, 3, 1])


def spread_over_some(context):
    """Over the nodes that are named, and the first thread is on the first of them."""
    expect(context, crew(4), [2, 3, 2, 3, 2], "--node", "3,2")
    expect(context, crew(2), [3, 3, 3], "--node", "3")


def spread_follows_fork(context):
    """What the process forks is spread too, in a round of its own, by a shell and by
    posix_spawn(), whose child shares the memory of its parent at first."""
    bed = context.bed
    pid = begin(bed, f"sh -c '{crew(3)} & wait'")
    try:
        said, tids = places(context, 3)
        assert said == [1, 2, 3, 1] and seen(bed, tids[0], tids) == said, (said, tids)
    finally:
        bed.run(1, f"pkill -9 -s {pid} || true")
    pid = begin(bed, crew(2, "spawn"), "--node", "2,3")
    try:
        said, tids = places(context, 2)
        # The first thread goes when it has memory of its own, which may be after it has said so.
        within(30 * context.slow, lambda: seen(bed, tids[0], tids) == [2, 3, 2], "all are placed")
        assert said[1:] == [3, 2], said
    finally:
        bed.run(1, f"pkill -9 -s {pid} || true")


def spread_outlives_exec(context):
    """The thread that calls exec stays where it is; the round goes on."""
    bed = context.bed
    pid = begin(bed, crew(1, "exec"))
    try:
        assert places(context, 1)[0] == [1, 2]
        said, tids = places(context, 3, SAID + ".exec")
        assert tids[0] == pid and said == [2, 3, 1, 2], (pid, said, tids)
        assert seen(bed, pid, tids) == said
    finally:
        stop(bed, pid)


def spread_openmp(context):
    """A program of OpenMP gives what it gives on one node, and was on all three."""
    bed = context.bed
    command = f"{ST}/openmp {3 if context.debug else 8}"
    limit = 120 * context.slow
    alone = bed.run(1, command, timeout=limit)
    monitor = listen(bed, "-j")
    try:
        done = bed.execute(1, "sh", "-c", f"echo $$; OMP_WAIT_POLICY=passive exec radctl run "
                           f"--policy spread -- {command}", timeout=limit)
    finally:
        out = heard(bed, monitor)
    assert done.returncode == 0, (done.returncode, done.stderr)
    pid, _, result = done.stdout.partition("\n")
    assert result == alone, f"{result} instead of {alone}"
    events = [event for event in map(json.loads, out.splitlines()) if event["pid"] == int(pid)]
    first = {}
    for event in events:
        if event["event"] == "migrated":
            first.setdefault(event["tid"], event["node"])
    # Three threads besides the first, which stays.
    assert sorted(first.values()) == [2, 3] and int(pid) not in first, (pid, first)


def spread_passes_over(context):
    """Nodes that nobody knows, that are down or being drained."""
    bed = context.bed
    expect(context, crew(3), [1, 2, 1, 2], "--node", "1,2,9")
    refused(context, ["run", "--policy", "spread", "--node", "9", "true"], "no such node")
    pid = begin(bed, crew(2))
    try:
        assert places(context, 2)[0] == [1, 2, 3]
        done = radctl(bed, "node", "drain", node=3, timeout=60 * context.slow)
        assert done.returncode == 0, done.stderr
        for count in 3, 4, 5:
            bed.run(1, f"kill -USR1 {pid}")
            said = places(context, count)[0]
        assert said[3:] == [1, 2, 1], said
    finally:
        stop(bed, pid)
    done = radctl(bed, "node", "leave", node=3)
    assert done.returncode == 0, done.stderr
    try:
        within(20 * context.slow, lambda: nodes(bed)[3]["state"] != "up", "node 3 is down")
        expect(context, crew(3), [1, 2, 1, 2])
        refused(context, ["run", "--policy", "spread", "--node", "3", "true"], "is down")
    finally:
        bed.run(3, join(3, 1, 2), timeout=60 * context.slow)
        within(60 * context.slow, lambda: nodes(bed)[3]["state"] == "up", "node 3 is up")
    expect(context, crew(2), [1, 2, 3])


def spread_refused(context):
    """A thread that its node does not take goes on at home, and it is said why."""
    bed = context.bed
    bed.run(3, "chmod 600 /dev/radium")
    bed.run(1, f"rm -f {SAID}*; touch {SAID}; chmod 666 {SAID}; "
               f"rm -rf /tmp/user; mkdir /tmp/user; cp {ST}/spread /tmp/user; chmod 755 /tmp/user")
    pid = start(bed, "setpriv --reuid 65534 --regid 65534 --clear-groups "
                f"radctl run --policy spread -- /tmp/user/spread {SAID} 3")
    try:
        said, tids = places(context, 3)
        assert said == [1, 2, 1, 1], said
        told = {t["tid"]: t for t in shown(bed, "explain", str(pid))["threads"]}[tids[2]]
        assert (told["state"], told["wanted"], told["reason"]) == ("home", 0, "replica"), told
        assert "could not create the replica" in " ".join(told["text"]), told
    finally:
        stop(bed, pid)
        bed.run(3, "chmod 666 /dev/radium")


def spread_is_shown(context):
    """Over which nodes, of those that there are, in text and JSON; not of a process that was
    only moved."""
    bed = context.bed

    def told(pid):
        """What show, explain and ps have, and the lines of show and explain that say it."""
        lists = [shown(bed, what, str(pid))["spread_nodes"] for what in ("show", "explain")]
        lists += [p["spread_nodes"] for p in shown(bed, "ps") if p["pid"] == pid]
        text = "".join(radctl(bed, what, str(pid)).stdout for what in ("show", "explain"))
        return lists, [line.split("nodes")[1].strip() for line in text.splitlines()
                       if "spread over nodes" in line]
    for options, listed in (((), [1, 2, 3]), (("--node", "2,1,9"), [1, 2])):
        pid = begin(bed, crew(2), *options)
        try:
            places(context, 2)
            numbers = list(map(str, listed))
            assert told(pid) == ([listed] * 3, [",".join(numbers), ", ".join(numbers)
                                 + "; a recall of the process ends that."]), told(pid)
        finally:
            stop(bed, pid)
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        assert told(pid) == ([[]] * 3, ["-"]), told(pid)
    finally:
        stop(bed, pid)


def spread_ends_with_recall(context):
    """Threads that are made after the process was recalled stay at home."""
    bed = context.bed
    pid = begin(bed, crew(2))
    try:
        assert places(context, 2)[0] == [1, 2, 3]
        assert shown(bed, "show", str(pid))["spread_nodes"] == [1, 2, 3]
        assert radctl(bed, "recall", str(pid)).returncode == 0
        for count in 3, 4:
            bed.run(1, f"kill -USR1 {pid}")
            said, tids = places(context, count)
        assert said[3:] == [1, 1] and seen(bed, pid, tids) == [1] * 5, said
        # It may be distributed still, or no more.
        assert shown(bed, "explain", str(pid))["spread_nodes"] == []
    finally:
        stop(bed, pid)


def follow_ends_with_recall(context):
    """What is to follow and has not gone yet stays if it is recalled: a traced program, which
    goes as soon as nobody traces it any more."""
    bed = context.bed

    def traced(recalled):
        """The program that strace has started away from home, and waits for; it ends."""
        tracer = start(bed, f"radctl run --node 2 -- strace -o /dev/null {SPIN}")
        found = []

        def begun():
            found[:] = bed.run(1, f"pgrep -P {tracer} -x sh || true").split()
            return found and not bed.execute(1, "grep", "-qx", f"TracerPid:\t{tracer}",
                                             f"/proc/{found[0]}/status").returncode
        within(30 * context.slow, begun, "it is traced")
        if recalled:
            done = radctl(bed, "recall", found[0])
            assert done.returncode == 0, done.stderr
        stop(bed, tracer)
        return int(found[0])

    def away(pid):
        return any(p["pid"] == pid and p["threads_away"] for p in shown(bed, "ps"))
    pid = traced(False)
    try:
        within(60 * context.slow, lambda: away(pid), "it follows")
    finally:
        stop(bed, pid)
    pid = traced(True)
    try:
        # More than the second after which what has been refused is tried again.
        bed.run(1, f"sleep {3 * context.slow}")
        assert not away(pid), "it has gone"
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


def follow_not_after_refusal(context):
    """Where a program was refused its children are not tried, one by one."""
    bed = context.bed
    count = 5
    bed.run(1, f"rm -f {SAID}*; touch {SAID}; chmod 666 {SAID} /dev/radium; "
               f"rm -rf /tmp/user; mkdir /tmp/user; cp {ST}/spread /tmp/user; chmod 755 /tmp/user")
    monitor = listen(bed, "-j")
    bed.run(2, "chmod 600 /dev/radium")
    pid = start(bed, " ".join(AS_NOBODY) +
                f" radctl run --node 2 -- /tmp/user/spread {SAID} {count} fork")
    try:
        said = places(context, count)[0]
        assert said == [HOME] * (count + 1), said
        within(20 * context.slow, lambda: "refused" in bed.run(1, f"cat {EVENTS}"), "it is told")
        told = [(event["pid"], event["reason"])
                for event in map(json.loads, heard(bed, monitor).splitlines())
                if event["event"] == "refused"]
        assert told == [(pid, "replica")], told
    finally:
        bed.run(1, f"pkill -9 -s {pid}; kill {monitor} 2>/dev/null || true")
        bed.run(2, "chmod 666 /dev/radium")


TESTS = [spread_over_all_nodes, spread_from_away, spread_over_some, spread_follows_fork,
         spread_outlives_exec, spread_openmp, spread_passes_over, spread_refused,
         spread_is_shown, spread_ends_with_recall, follow_ends_with_recall,
         follow_not_after_refusal, all_move_in_time, thousand_move_in_time]
# Of a run that nobody asked for by name.
SHORT = {"spread_over_all_nodes", "spread_from_away", "spread_outlives_exec", "spread_passes_over",
         "spread_is_shown", "follow_ends_with_recall", "follow_not_after_refusal",
         "all_move_in_time", "thousand_move_in_time"}
