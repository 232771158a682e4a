# SPDX-License-Identifier: GPL-2.0
"""What the tools show is what happens."""

import json
import subprocess

from . import paths
from .control import (EVENTS, SPIN, exit_status, heard, listen, migrate, nodes, radctl, see_each_other, shown,
                      start, stop, within)
from .context import each
from .remains import nothing_distributed, replicas
from .rivals import rivals, send

# What comes_home does, the reason that counts, and what explain says of it.
HABITS = (("shared", "shared_memory", "memory shared with other processes"),
          ("pinned", "memory_kind", "memory that cannot leave home (device, pinned, huge pages)"),
          ("exception", "exception", "a CPU exception"),
          ("fork", "syscall", "a system call that changes the task itself"))


def explain_says_why(context):
    """What brings a thread home is counted by its reason and said in words."""
    bed = context.bed

    def is_most_often(pid, reason):
        """Is it a habit by now? Whoever came early saw it start, for which it came home, too."""
        counts = shown(bed, "show", str(pid))["threads"][0]["returns_by_reason"]
        return counts.pop(reason, 0) > max([1, *counts.values()])
    subprocess.run(["gcc", "-O1", "-o", paths.SHARE / "comes_home",
                    paths.SELFTESTS / "programs/comes_home.c"], check=True)
    bed.run(1, "cp /share/comes_home /tmp")
    for habit, reason, words in HABITS:
        pid = start(bed, f"/tmp/comes_home {habit}")
        try:
            migrate(bed, pid)
            within(60 * context.slow, lambda pid=pid, reason=reason: is_most_often(pid, reason),
                   f"it returns for {reason}")
            # It comes and goes all the time: what was said before cannot be more than after.
            before = shown(bed, "explain", str(pid))
            text = radctl(bed, "explain", str(pid)).stdout
            after = shown(bed, "explain", str(pid))["threads"][0]
            thread = before["threads"][0]
            assert before["distributed"] and before["pid"] == pid, before
            for counted in thread, after:
                assert counted["returns"] == sum(counted["returns_by_reason"].values()), counted
            assert thread["returns_by_reason"][reason] <= after["returns_by_reason"][reason]
            for said in " ".join(thread["text"]), text:
                assert f"What brings it home most often: {words}" in said, said
            assert f"Process {pid}: " in text and f"Thread {pid}:" in text, text
        finally:
            stop(bed, pid)


def explain_of_a_resting_process(context):
    """One that nobody moved, and one that was only asked to."""
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        said = shown(bed, "explain", str(pid))
        assert not said["distributed"] and said["reason"] == "none", said
        migrate(bed, pid)
        text = radctl(bed, "explain", str(pid)).stdout
        assert "It runs on node 2." in text and "Nothing has brought it home" in text, text
        assert radctl(bed, "recall", str(pid)).returncode == 0
        thread = shown(bed, "show", str(pid))["threads"][0]
        assert (thread["returns"], thread["reason"]) == (1, "asked"), thread
        text = radctl(bed, "explain", str(pid)).stdout
        assert "It last came home for: asked for by a user" in text, text
    finally:
        stop(bed, pid)


def monitor_tells(context):
    """A move there and back: its events, in order, as lines of JSON and as text."""
    bed = context.bed
    for option in "-j", "":
        pid, monitor = start(bed, SPIN), listen(bed, option)
        try:
            migrate(bed, pid)
            assert radctl(bed, "recall", str(pid)).returncode == 0
            within(20 * context.slow, lambda: "returned" in bed.run(1, f"cat {EVENTS}"),
                   "it hears of the return")
            out = heard(bed, monitor)
        finally:
            stop(bed, pid)
            stop(bed, monitor)
        if not option:
            assert "migrated" in out and "returned" in out and str(pid) in out, out
            continue
        events = [json.loads(line) for line in out.splitlines()]
        assert all(e["time_ns"] > 0 for e in events), out
        mine = [(e["event"], e["node"], e["reason"]) for e in events if e["tid"] == pid]
        assert mine == [("migrated", 2, "none"), ("returned", 2, "asked")], out
        times = [e["time_ns"] for e in events]
        assert times == sorted(times), out


def status_and_show(context):
    """The status of a node, and one process in detail, as JSON and as text."""
    bed = context.bed
    nothing_distributed(context)
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        see_each_other(context)
        for node, distributed, visitors in ((1, 1, 0), (2, 0, 1)):
            status = shown(bed, node=node)
            assert (status["node"], status["nodes"], status["nodes_up"], status["processes"],
                    status["visitors"]) == (node, 2, 2, distributed, visitors), status
        text = radctl(bed).stdout
        assert "distributed processes" in text and "nodes up" in text, text
        detail = shown(bed, "show", str(pid))
        assert (detail["pid"], detail["comm"], detail["threads_away"], detail["nodes"]) == \
            (pid, "sh", 1, [2]), detail

        def of_nodes():
            """What the process has in all, and what its nodes have."""
            detail = shown(bed, "show", str(pid))
            return ([detail["pages_away"], detail["pages_copied"]],
                    [[n["node"], n["owned"], n["copied"]] for n in detail["pages_by_node"]])

        def agree():
            (away, copied), counts = of_nodes()
            return away and copied and counts == [[2, away, copied]]
        within(20 * context.slow, agree, f"the counts agree: {of_nodes()}")
        lines = [line.split() for line in radctl(bed, "show", str(pid)).stdout.splitlines()]
        assert ["process", str(pid)] in lines and ["command", "sh"] in lines, lines
        assert [str(pid), "away", "2", "2", "1", "0"] in [words[:6] for words in lines], lines
    finally:
        stop(bed, pid)


def false_sharing_is_named(context):
    """The page that two threads on two nodes fight for is the hottest, with who they are and
    where; pages that one thread each has to itself are not there. Both are seen to fault and
    to wait, the visitor and the one that was never away."""
    bed = context.bed
    pid, ((here, fought), (there, same), (_, own), (away, other)) = rivals(bed)

    def first():
        pages = shown(bed, "show", str(pid))["hottest_pages"]
        return pages[0] if pages else {"address": 0, "moves": 0, "threads": []}

    def of_thread(tid):
        return [t for t in shown(bed, "show", str(pid))["threads"] if t["tid"] == tid][0]
    try:
        assert fought == same and len({fought, own, other}) == 3
        for tid in there, away:
            done = radctl(bed, "migrate", "--thread", str(tid), str(pid), "2")
            assert done.returncode == 0, done.stderr
        within(20 * context.slow, lambda: first()["address"] == fought and
               first()["moves"] >= 10, "the page is the hottest")
        before, page, at_home = of_thread(there), first(), of_thread(here)
        within(20 * context.slow, lambda: first()["moves"] >= page["moves"] + 10, "it goes on")
        after, page = of_thread(there), first()
        assert {(t["tid"], t["node"]) for t in page["threads"]} == {(here, 1), (there, 2)}, page
        assert page["nodes"] == [1, 2] and page["mapping"] == "[heap]", page
        for key in "faults", "bytes", "waited_ns":
            assert after[key] > before[key] > 0, (key, before[key], after[key])
        assert after["bytes"] <= after["faults"] * 4096, after
        for key in "faults", "waited_ns":
            assert of_thread(here)[key] > at_home[key] > 0, (key, at_home, of_thread(here))
        assert (at_home["state"], at_home["migrations"], at_home["bytes"]) == ("home", 0, 0), at_home
        hot = {p["address"] for p in shown(bed, "show", str(pid))["hottest_pages"]}
        assert not hot & {own, other}, hot
        idle = of_thread(away)["faults"]
        assert idle < after["faults"], (idle, after)

        text = radctl(bed, "show", str(pid)).stdout
        line = [words.split() for words in text.partition("HOTTEST PAGES\n")[2].splitlines()][1]
        assert line[:2] == [hex(fought), "[heap]"], text
        assert {f"{here}@1", f"{there}@2"} == set(line[4:]), text
        views = radctl(bed, "-j", "top", str(pid), "--count", "2", "--interval",
                       str(10 * context.slow), timeout=120 * context.slow).stdout.splitlines()
        view = json.loads(views[1])
        rates = {t["tid"]: t for t in view["threads"]}
        assert view["hottest_pages"][0]["address"] == fought, view
        assert view["hottest_pages"][0]["moves_per_s"] > 0, view
        assert 0 < rates[there]["waiting_percent"] <= 100 and rates[there]["faults_per_s"] > 0, view
        assert rates[there]["bytes_per_s"] > 0 == rates[away]["faults_per_s"], view
        assert 0 < rates[here]["waiting_percent"] <= 100 and rates[here]["faults_per_s"] > 0, view
        assert "MOVES/S" in radctl(bed, "top", str(pid)).stdout
    finally:
        stop(bed, pid)


def visitors_are_counted(context):
    """By both sides, and only while one is there."""
    bed = context.bed

    def seen():
        return [nodes(bed, by)[of]["visitors"] for by in (1, 2) for of in (1, 2)]
    nothing_distributed(context)
    assert seen() == [0, 0, 0, 0], seen()
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        assert seen() == [0, 1, 0, 1], seen()
        assert radctl(bed, "recall", str(pid)).returncode == 0
        assert seen() == [0, 0, 0, 0], seen()
    finally:
        stop(bed, pid)


def threads_share_a_replica(context):
    """Threads of a process that are on one node are in one replica there, each as a task of it; and
    another process is in another."""
    bed, pids = context.bed, []
    nothing_distributed(context)

    def visitors():
        return shown(bed, node=2)["visitors"]
    try:
        pid, threads = rivals(bed)
        pids.append(pid)
        send(bed, pid, threads[:1], [2])
        first = replicas(bed)
        assert len(first) == visitors() == 1, (first, visitors())
        send(bed, pid, threads[1:2], [2])
        assert replicas(bed) == first, (replicas(bed), first)
        # One makes the others.
        tasks = bed.run(2, f"ls /proc/{first[0]}/task").split()
        assert len(tasks) - 1 == visitors() == 2, (tasks, visitors())
        process = [process for process in shown(bed, "ps") if process["pid"] == pid][0]
        assert (process["threads_away"], process["nodes"]) == (2, [2]), process
        away = {t["tid"]: t["node"] for t in shown(bed, "show", str(pid))["threads"]
                if t["state"] == "away"}
        assert away == {tid: 2 for tid, _ in threads[:2]}, away
        pids.append(start(bed, SPIN))
        migrate(bed, pids[-1])
        assert len(replicas(bed)) == 2 and visitors() == 3, (replicas(bed), visitors())
    finally:
        for pid in pids:
            stop(bed, pid)


def top_sees_the_end(context):
    """Who watches a process until it ends has had what was asked for: no failure."""
    bed, said = context.bed, "/tmp/top"
    bed.run(1, f"rm -f {said}.*")
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        bed.run(1, f"setsid sh -c 'radctl top --count 1000000 --interval 0.1 {pid} >{said}.out 2>&1; "
                   f"echo $? >{said}.end' </dev/null >/dev/null 2>&1 &")
        within(20 * context.slow, lambda: not bed.execute(1, "test", "-s", f"{said}.out").returncode,
               "a view is shown")
    finally:
        stop(bed, pid)
    assert exit_status(bed, f"{said}.end") == 0, bed.run(1, f"tail -3 {said}.out")


def one_comes_home(context):
    """One of two threads that are away is called home, the other one stays there."""
    bed = context.bed
    pid, threads = rivals(bed)
    first, second = (tid for tid, _ in threads[:2])

    def places():
        at = {t["tid"]: t["node"] for t in shown(bed, "show", str(pid))["threads"]}
        return at[first], at[second]
    try:
        send(bed, pid, threads, (2, 2))
        within(60 * context.slow, lambda: places() == (2, 2), "both are away")
        done = radctl(bed, "recall", "--thread", str(second), str(pid))
        assert done.returncode == 0, done.stderr
        assert places() == (2, 1), places()
    finally:
        stop(bed, pid)


def run(context, only):
    """The suite "shows"."""
    yield from each(context, [explain_says_why, explain_of_a_resting_process, monitor_tells,
                              status_and_show, false_sharing_is_named,
                              visitors_are_counted, threads_share_a_replica, top_sees_the_end,
                              one_comes_home], only)
