# SPDX-License-Identifier: GPL-2.0
"""Ends: kill -9, rmmod, drain, power loss; and what is left behind."""

import re
import time

from . import build, copies, paths
from .control import (AS_NOBODY, SPIN, becomes, boot_again, child_of, exit_status, migrate,
                      module_file, nodes, processes, radctl, refused, rejoin, see_each_other, shown,
                      start, stop, within)
from .context import Skip, each
from .ends import LOOK, SHELL, Clock, dead_seconds, ended, kill, watch
from .tap import FAIL, PASS, Result


def replicas(bed, node=2):
    """Replica processes in a machine."""
    return [int(pid) for pid in bed.run(node, "pgrep radium-replica || true").split()]


def replica(bed, node=2):
    """That of the process that has come last: of one that ended just now there may be one yet."""
    return int(bed.run(node, "pgrep -n radium-replica"))


def nothing_left(context, node=2, seconds=2):
    """Two seconds after the end of a process its replica is gone too: from now on, as a
    command reaches the machine."""
    done = context.bed.execute(node, "sh", "-c", SHELL + f"""
t; a=$t
while pgrep radium-replica >/dev/null; do
    t
    [ $((t - a)) -le {int(seconds * context.slow * 100)} ] || {{ pgrep -a radium; exit 9; }}
    sleep 0.05
done""", timeout=seconds * context.slow + 30)
    assert done.returncode == 0, f"replicas on node{node}: {done.stdout}{done.stderr}"


def nothing_distributed(context):
    """As soon as what its replica had is settled, the process that has ended does not count
    any more at home, and does not keep the module."""
    nothing_left(context)
    within(10 * context.slow, lambda: not processes(context.bed), "no process is distributed")


def both_gone(context, pid):
    """kill -9 of a process that is away: within two seconds it is gone at home, and its
    replica on node 2, by the clocks of the two."""
    bed, limit = context.bed, 2 * context.slow
    clocks = {node: Clock(bed, node) for node in (1, 2)}
    watch(bed, 2, *replicas(bed))
    killed = clocks[1].host(kill(bed, pid, limit))
    took = clocks[2].host(ended(bed, 2, limit + 5, "its replica on node2 is gone")) - killed
    slack = LOOK + clocks[1].error + clocks[2].error
    assert took <= limit + slack, f"the replica was gone after {took:.1f} s"
    nothing_distributed(context)


def exit_leaves_nothing(context):
    bed = context.bed
    bed.run(1, f"{paths.GUEST}/mover -m 1 -l -i 20 {paths.GUEST}/selfcheck 20", timeout=60 * context.slow)
    nothing_distributed(context)


def kill_away(context):
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    both_gone(context, pid)


def kill_during_moves(context):
    """At chosen and random moments before, in and after moves: gone within two seconds."""
    rounds = 20 if context.debug else 60
    done = context.bed.execute(1, f"{paths.GUEST}/killer", "-s", context.seed, "-t", context.slow,
                               rounds, timeout=240 * context.slow)
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(context)
    context.report.note(done.stdout.strip())


def kill_its_visitor(context, command):
    """kill -9 of a process' replica on node 2: within two seconds it is gone at home."""
    bed, limit = context.bed, 2 * context.slow
    bed.run(1, "rm -f /tmp/status")
    visitor = child_of(bed, start(bed, f"sh -c '{command} > /dev/null; echo $? > /tmp/status'"),
                       command)
    try:
        migrate(bed, visitor)
        clocks = {node: Clock(bed, node) for node in (1, 2)}
        watch(bed, 1, visitor)
        killed = clocks[2].host(kill(bed, replica(bed), limit, node=2))
        took = clocks[1].host(ended(bed, 1, limit + 5, "its process at home is gone")) - killed
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


def unload_refused_while_away(context):
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        for node in (1, 2):
            done = bed.execute(node, "rmmod", "radium")
            assert done.returncode, f"rmmod on node{node} worked"
            assert "in use" in done.stderr, done.stderr
        refused(context, ["node", "leave"], "distributed")
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


# Makes calls whose data travels.
WRITER = "sh -c 'while :; do echo x; done'"


def has_memory_of_calls(bed, pid):
    """Is the module's memory for the data of calls mapped into a process?"""
    return "[radium]" in bed.run(1, f"cat /proc/{pid}/maps")


def memory_of_calls_goes(context):
    """It is there while calls come from elsewhere, and gone when everything is home."""
    bed = context.bed
    pid = start(bed, WRITER)
    try:
        for _ in range(3):
            assert not has_memory_of_calls(bed, pid)
            migrate(bed, pid)
            within(20 * context.slow, lambda: has_memory_of_calls(bed, pid), "[radium] in maps")
            assert radctl(bed, "recall", str(pid), "--all").returncode == 0
            within(5 * context.slow, lambda: not has_memory_of_calls(bed, pid),
                   "[radium] is not in maps any more")
    finally:
        stop(bed, pid)


def drain_then_unload(context):
    """A drained node has nothing of others and nothing elsewhere; the module goes,
    comes again, and processes move again."""
    bed = context.bed
    pid = start(bed, WRITER)
    try:
        migrate(bed, pid)
        within(20 * context.slow, lambda: has_memory_of_calls(bed, pid), "[radium] in maps")
        done = radctl(bed, "node", "drain", timeout=60 * context.slow)
        assert done.returncode == 0, done.stderr
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
        nothing_left(context)
        for node in (1, 2):
            done = radctl(bed, "node", "leave", node=node)
            assert done.returncode == 0, done.stderr
            bed.run(node, "rmmod radium", timeout=30 * context.slow)
        for node in (1, 2):
            bed.run(node, f"insmod {paths.TOP}/{module_file(context)}")
        for node in (1, 2):
            bed.run(node, f"radctl node join --no-wait --id {node} --key /run/radium.key "
                    f"--addr $(getent hosts node{node} | cut -d' ' -f1) "
                    f"$(getent hosts node{3 - node} | cut -d' ' -f1)", timeout=60 * context.slow)
        see_each_other(context)
        migrate(bed, pid)
        assert radctl(bed, "recall", str(pid)).returncode == 0
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


def drain_of_the_visited(context):
    """Draining the node that is visited sends its visitors home alive."""
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        done = radctl(bed, "node", "drain", node=2, timeout=60 * context.slow)
        assert done.returncode == 0, done.stderr
        nothing_left(context)
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


def drain_of_many(context):
    """More visitors than are likely to have been thought of, all of them asleep in a call
    that home makes: one command sends all of them home."""
    bed, count, limit = context.bed, 70, 60 * context.slow
    shell = start(bed, f"sh -c 'for i in $(seq {count}); do sleep 1000 & done; wait'")
    try:
        bed.run(1, f"until [ $(pgrep -c -s {shell} -x sleep) = {count} ]; do sleep 0.1; done",
                timeout=60 * context.slow)
        bed.run(1, f"pgrep -s {shell} -x sleep | xargs -n 1 -P 4 sh -c "
                "'radctl migrate $0 2 >/dev/null'", timeout=300 * context.slow)
        away = [p for p in shown(bed, "ps") if p["threads_away"]]
        assert len(away) == count, f"{len(away)} are away"
        done = radctl(bed, "node", "drain", "--timeout", str(limit), node=2, timeout=limit + 60)
        assert done.returncode == 0, done.stderr
        nothing_left(context)
        left = int(bed.run(1, f"pgrep -c -s {shell} -x sleep || true"))
        assert left == count, f"{left} of {count} are alive"
    finally:
        bed.run(1, f"pkill -9 -s {shell} || true")
        stop(bed, shell)


def replica_that_cannot_attach(context):
    """A user who may not open the device on a node cannot have a replica there; nobody
    else waits for that."""
    bed = context.bed
    mode = bed.run(2, "stat -c %a /dev/radium; chmod 600 /dev/radium").strip()
    pids = [start(bed, " ".join(AS_NOBODY) + " sleep 1000"), start(bed, "sleep 1000")]
    try:
        becomes(bed, pids[0], "sleep")
        out = bed.run(1, f"{SHELL} radctl migrate {pids[0]} 2 >/dev/null 2>&1 & "
                      f"sleep 0.7; t; a=$t; radctl migrate {pids[1]} 2 >/dev/null || exit 9; t; "
                      "echo $((t - a))")
        assert int(out) <= 500 * context.slow, f"the other's move took {int(out) / 100} s"
        assert shown(bed, "show", str(pids[1]))["threads"][0]["node"] == 2
    finally:
        bed.run(2, f"chmod {mode} /dev/radium")
        for pid in pids:
            stop(bed, pid)
    nothing_left(context)


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
    bed.run(1, f"rmmod radium && insmod {paths.TOP}/{module_file(context)} pool_mib=1",
            timeout=30 * context.slow)
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
        bed.run(1, "rmmod radium", timeout=30 * context.slow)
        rejoin(context, 1)


PREEMPT = """
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
cd /sys/kernel/debug/sched && [ -w preempt ] || exit 77
tr ' ' '\n' < preempt | sed -n 's/[()]//gp'
echo %s > preempt
"""


def traps_while_preempted(context):
    """An exception of a visitor that is asked home in the middle of it is not lost. On one
    CPU there is no such moment, unless the kernel may be preempted."""
    bed, before = context.bed, {}
    try:
        for node in (1, 2):
            done = bed.execute(node, "sh", "-c", PREEMPT % "full")
            if done.returncode == 77:
                raise Skip("this kernel's preemption cannot be changed")
            assert done.returncode == 0, done.stderr
            before[node] = done.stdout.strip()
        done = bed.execute(1, f"{paths.GUEST}/signals", "-t", context.slow, "away",
                           "traps_while_moving", timeout=60 * context.slow)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        for node, mode in before.items():
            bed.run(node, PREEMPT % mode)


def unload_while_joined(context):
    """A node where nothing is distributed may lose its module; it comes back."""
    bed = context.bed
    nothing_distributed(context)
    bed.run(2, "rmmod radium", timeout=30 * context.slow)
    within(10 * context.slow, lambda: nodes(bed, 1).get(2, {}).get("state") != "up",
           "node1 sees that node2 has left")
    rejoin(context, 2)
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
    finally:
        stop(bed, pid)


def join_is_refused(context, number, key, text):
    """Node 2, which has left, cannot come in like this: one line says why, it has not
    joined, and node 1 is what it was."""
    bed = context.bed
    done = bed.execute(2, "sh", "-c", f"radctl node join --id {number} --key {key} "
                       f"--wait {30 * context.slow} "
                       "--addr $(getent hosts node2 | cut -d' ' -f1) "
                       "$(getent hosts node1 | cut -d' ' -f1)", timeout=60 * context.slow)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(lines) == 1 and text in lines[0], \
        (done.returncode, done.stdout, done.stderr)
    assert nodes(bed, 2) == {}, nodes(bed, 2)
    listed = nodes(bed, 1)
    assert listed[1]["state"] == "up" and listed[1]["self"], listed
    assert listed.get(2, {}).get("state") != "up", listed


def wrong_key(context):
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        bed.run(2, "umask 077; head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' > /tmp/wrong")
        join_is_refused(context, 2, "/tmp/wrong", "key")
    finally:
        radctl(bed, "node", "leave", node=2)
        rejoin(context, 2)


def same_id(context):
    """Two nodes cannot have one number."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        join_is_refused(context, 1, "/run/radium.key", "same node id")
    finally:
        radctl(bed, "node", "leave", node=2)
        rejoin(context, 2)


def wire_version(context):
    """A module that speaks another wire version is refused, and its node told why."""
    bed, other = context.bed, build.other_module(context)
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        bed.run(2, f"rmmod radium && insmod {other}", timeout=30 * context.slow)
        assert shown(bed, node=2)["wire"] != shown(bed)["wire"]
        join_is_refused(context, 2, "/run/radium.key", "wire version")
    finally:
        radctl(bed, "node", "leave", node=2)
        bed.run(2, "rmmod radium || true")
        rejoin(context, 2)
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
    finally:
        stop(bed, pid)


def lost_pages_are_not_read(context):
    """A process is lost with its replica; another one, which has the same memory, lives on: what
    was away gives SIGBUS, also after KSM has waited for it, and not what it held once."""
    bed = context.bed
    bed.run(1, "rm -f /tmp/heir*")
    pid = start(bed, f"{paths.GUEST}/heir /tmp/heir")
    heir = 0
    try:
        within(20 * context.slow, lambda: not bed.execute(1, "test", "-s", "/tmp/heir").returncode,
               "there is an heir")
        heir = int(bed.run(1, "cat /tmp/heir").split()[1])
        migrate(bed, pid)
        within(20 * context.slow, lambda: [p["pages_away"] for p in shown(bed, "ps")
                                           if p["pid"] == pid][0] >= 8, "its pages are away")
        bed.run(2, f"kill -9 {replica(bed)}")
        within(20 * context.slow, lambda: bed.run(
            1, f"cut -d' ' -f3 /proc/{pid}/stat 2>/dev/null || echo Z").strip() == "Z", "it ends")
        bed.run(1, "touch /tmp/heir.go")
        within(20 * context.slow,
               lambda: not bed.execute(1, "test", "-s", "/tmp/heir.said").returncode, "the heir reads")
        said = bed.run(1, "cat /tmp/heir.said").split()
        assert said == ["0", "8"], f"{said[0]} pages could be read, {said[1]} gave SIGBUS"
    finally:
        stop(bed, pid)
        if heir:
            stop(bed, heir)
    nothing_left(context)


def power_loss(context):
    """The machine that is visited dies: its visitor ends with SIGKILL and a line
    in the log, others go on, those that it had copies of among them; the machine boots
    and joins again."""
    bed = context.bed
    copied = copies.elsewhere(bed)
    bed.run(1, "rm -f /tmp/status")
    visitor = child_of(bed, start(bed, f"sh -c '{SPIN} > /dev/null; echo $? > /tmp/status'"), SPIN)
    other = start(bed, SPIN)
    migrate(bed, visitor)
    limit, clock = dead_seconds(bed) + 2 * context.slow, Clock(bed, 1)
    watch(bed, 1, visitor)
    before = time.monotonic()
    assert bed.call("kill", "node2").returncode == 0
    slack = time.monotonic() - before + LOOK + clock.error
    try:
        took = clock.host(ended(bed, 1, limit + 10, "the visitor's process ends")) - before
        assert took <= limit + slack, f"it ended after {took:.1f} s instead of {limit:.1f}"
        assert exit_status(bed) == 137
        assert re.search(rf"radium.*\b{visitor}\b", bed.console(1)), "no line in the log"
        refused(context, ["migrate", str(other), "2"], "node is down")
        bed.run(1, f"[ -e /proc/{other}/exe ] && [ -e /proc/{copied}/exe ]")
    finally:
        stop(bed, other)
        stop(bed, copied)
        boot_again(context, 2)
    pid = start(bed, SPIN)
    migrate(bed, pid)
    stop(bed, pid)
    nothing_left(context)


def shutdown_empties(context):
    """A machine that is powered off in order sends home what visits it."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    assert bed.call("stop", "node2").returncode == 0
    try:
        listed = shown(bed, "ps")
        assert pid not in [p["pid"] for p in listed if p["threads_away"]], listed
        bed.run(1, f"sleep 0.5; [ -e /proc/{pid}/exe ]")
        # It says that it leaves: nobody waits until it is believed dead.
        assert nodes(bed).get(2, {}).get("state") != "up"
    finally:
        stop(bed, pid)
        boot_again(context, 2)


FREEZER = """
[ -w /sys/power/pm_test ] || exit 77
echo freezer > /sys/power/pm_test && echo freeze > /sys/power/state; s=$?
echo none > /sys/power/pm_test; exit $s
"""


def suspend_empties(context):
    """So does one that goes to sleep; here it only freezes its tasks, and goes on."""
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        done = bed.execute(1, "sh", "-c", FREEZER, timeout=60 * context.slow)
        if done.returncode == 77:
            raise Skip("this kernel has no /sys/power/pm_test")
        assert done.returncode == 0, done.stderr
        nothing_left(context)
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
        see_each_other(context)
        migrate(bed, pid)
    finally:
        stop(bed, pid)


THREADS = """
import threading, time
for _ in range(12):
    t = threading.Thread(target=sum, args=(range(1000),))
    t.start()
    t.join()
open("/tmp/threads_ended", "w").close()
while True:
    time.sleep(1)
"""


def ended_threads_are_forgotten(context):
    """Threads that were away and have ended leave no record behind."""
    bed = context.bed
    bed.run(1, f"rm -f /tmp/threads_ended; cat > /tmp/threads.py <<'END'\n{THREADS}\nEND")
    pid = start(bed, "radctl run --node 2 -- python3 /tmp/threads.py")
    try:
        within(60 * context.slow, lambda: bed.run(
            1, "ls /tmp/threads_ended 2>/dev/null || true").strip(), "the threads end")
        within(10 * context.slow, lambda: pid in processes(bed), "it is away")
        # The last one ends after who waits for it is told.
        within(10 * context.slow, lambda: len(shown(bed, "show", str(pid))["threads"]) == 1,
               "there is the first one only")
    finally:
        stop(bed, pid)
    nothing_left(context)


def home_loss(context):
    """The home machine dies: its visitors elsewhere are ended."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    limit, clock = dead_seconds(bed, 2) + 2 * context.slow, Clock(bed, 2)
    assert len(replicas(bed)) == 1, "no visitor"
    watch(bed, 2, *replicas(bed))
    before = time.monotonic()
    assert bed.call("kill", "node1").returncode == 0
    slack = time.monotonic() - before + LOOK + clock.error
    try:
        took = clock.host(ended(bed, 2, limit + 10, "the visitor ends")) - before
        assert took <= limit + slack, f"it ended after {took:.1f} s instead of {limit:.1f}"
    finally:
        boot_again(context, 1)


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


def run(context, only):
    """The suite "lifetime"."""
    yield from each(context, [
        exit_leaves_nothing, kill_away, kill_during_moves, kill_visitor_on_its_node,
        kill_sleeping_visitor_on_its_node, lost_pages_are_not_read, traps_while_preempted,
        replica_that_cannot_attach,
        unload_refused_while_away, drain_of_the_visited, drain_of_many, memory_of_calls_goes,
        drain_then_unload, unload_while_joined, visitors_fill_the_pool, wrong_key, same_id, wire_version,
        kill_with_frozen_peer, ended_threads_are_forgotten, allocations_fail, suspend_empties,
        shutdown_empties, power_loss, home_loss], only)


# Leaks.

# Shrinking makes what slabinfo says nearly exact: no objects in the CPUs' caches. Free
# pages on the CPUs' lists, huge ones among them, are free.
COUNT = r"""
sync; echo 3 > /proc/sys/vm/drop_caches; sleep 1; echo 3 > /proc/sys/vm/drop_caches
for s in /sys/kernel/slab/*/shrink; do echo 1 > $s; done 2>/dev/null
awk '/^ +count:/ { n += $2 } END { print "cached:", 4 * n }' /proc/zoneinfo
awk '/^(MemFree|SUnreclaim|KernelStack|PageTables|Percpu):/ { print $1, $2 }' /proc/meminfo
echo tasks: $(ps -eLo comm= | grep -vc '^kworker')
awk 'NR > 2 { print ($1 == "filp" ? "files:" : "slab." $1 ":"), $2 }' /proc/slabinfo
"""
# What may differ for other reasons: KiB of memory, whatever else is going on for as long as
# the moves take; numbers of tasks, files (freed late) and objects. The checkers keep
# what was freed for a while, and notes of what was not: four times as much memory, objects.
SLACK_KIB = {"MemFree": 1500, "SUnreclaim": 700, "KernelStack": 200, "PageTables": 200,
             "Percpu": 200}
SLACK = {"tasks": 1, "files": 100}
SLACK_OBJECTS = 600             # one slab of the smallest, and some
CHECKERS = 4


def count(bed, node):
    """Numbers that must not grow with the moves."""
    pairs = (line.split(":") for line in bed.run(node, COUNT, timeout=120).splitlines())
    numbers = {name: int(value) for name, value in pairs}
    numbers["MemFree"] = -(numbers["MemFree"] + numbers.pop("cached"))
    return numbers


def left_over(before, after, moves, factor):
    """Rows that grew by more than is explained by the time that has passed."""
    more = []
    for name, value in after.items():
        slack = SLACK.get(name, SLACK_OBJECTS * factor)
        if name in SLACK_KIB:
            slack = max(SLACK_KIB[name] * factor, moves // 2)
        if value - before.get(name, 0) > slack:
            more.append(f"{name}: {before.get(name, 0)} to {value}")
    return more


def per_move(counts, legs):
    """Rows that grow with each move: by at least half an object, or half a page, in the
    longer leg, and by half of that in the shorter, too. What is left once, however much,
    is not among them; what is left by each move is, however little."""
    more = []
    for name in counts[-1]:
        unit = 4 if name in SLACK_KIB else 1
        grown = [after.get(name, 0) - before.get(name, 0) for before, after in
                 zip(counts, counts[1:])]
        if grown[0] >= legs[0] * unit / 4 and grown[1] >= legs[1] * unit / 2:
            more.append(f"{name}: {grown[0]} more after {legs[0]} moves, "
                        f"{grown[1]} after {legs[1]}")
    return more


def ferry(context, *legs):
    """Moves of one process, and what each node has more of than before."""
    bed = context.bed
    bed.run(1, f"{paths.GUEST}/ferry {max(20, legs[0] // 20)}", timeout=120 * context.slow)
    counts = {node: [count(bed, node)] for node in (1, 2)}
    for moves in legs:
        done = bed.execute(1, f"{paths.GUEST}/ferry", moves,
                           timeout=(60 + moves // 4) * context.slow)
        yield Result(f"{moves}_moves", FAIL if done.returncode else PASS,
                     (done.stdout + done.stderr).strip(), [done.stdout.strip()])
        if done.returncode:
            return
        for node in (1, 2):
            counts[node].append(count(bed, node))
    for node in (1, 2):
        more = left_over(counts[node][0], counts[node][-1], sum(legs),
                         CHECKERS if context.debug else 1)
        yield Result(f"nothing_left_on_node{node}", FAIL if more else PASS, "\n".join(more))
        if len(legs) > 1:
            more = per_move(counts[node], legs)
            yield Result(f"nothing_for_each_move_on_node{node}", FAIL if more else PASS,
                         "\n".join(more))


def leaks(context, only):
    """The suite "leaks"."""
    moves = context.moves or 200
    yield from (r for r in ferry(context, moves, 3 * moves) if only(r.name))


def soak(context, only):
    """The suite "soak"."""
    moves = context.moves or (1500 if context.debug else 10000)
    yield from (r for r in ferry(context, moves) if only(r.name))
    assert shown(context.bed, "ps") in ([], {"processes": []})
