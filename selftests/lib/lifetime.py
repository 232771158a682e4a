# SPDX-License-Identifier: GPL-2.0
"""Ends: kill -9, rmmod, drain, power loss; and what is left behind."""

import re
import time

from . import paths
from .control import SPIN, migrate, nodes, processes, radctl, refused, shown, start, stop
from .context import Skip, each
from .tap import FAIL, PASS, Result

# A dead node is noticed in the module's dead time, then two seconds. Not less
# than what the testbed's own start-up of programs takes under emulation.
DEAD_SECONDS = 30


def within(seconds, condition, what):
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.3)


def replicas(bed, node=2):
    """Replica processes in a machine."""
    return int(bed.run(node, "pgrep -c radium-replica || true").strip() or 0)


def nothing_left(context, node=2):
    """Two seconds after the end of a process its replica is gone too."""
    within(2 * context.slow + 2, lambda: replicas(context.bed, node) == 0,
           f"replicas on node{node}: " + context.bed.run(node, "ps -ef | grep [r]adium-replica || true"))


def see_each_other(context):
    """Waits until both nodes are up for each other."""
    def both():
        return all(nodes(context.bed, n).get(o, {}).get("state") == "up" for n, o in ((1, 2), (2, 1)))
    within(60 * context.slow, both, "the nodes see each other")


def exit_leaves_nothing(context):
    bed = context.bed
    bed.run(1, f"{paths.GUEST}/mover -m 1 -l -i 20 {paths.GUEST}/selfcheck 20", timeout=60 * context.slow)
    nothing_left(context)
    assert processes(bed) == []


def kill_away(context):
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    stop(bed, pid)
    nothing_left(context)
    assert processes(bed) == []


def kill_during_moves(context):
    """At random moments before, in and after moves: gone within two seconds."""
    rounds = 15 if context.debug else 40
    done = context.bed.execute(1, f"{paths.GUEST}/killer", "-s", context.seed, "-t", context.slow,
                               rounds, timeout=240 * context.slow)
    assert done.returncode == 0, done.stdout + done.stderr
    nothing_left(context)


def kill_visitor_on_its_node(context):
    """The owner of a machine may end what visits it: the process at home ends."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    bed.run(2, "pkill -9 radium-replica")
    within(10 * context.slow, lambda: not bed.run(
        1, f"[ -e /proc/{pid}/exe ] && echo there || true").strip() or pid not in processes(bed),
        "the process is ended, or at home again")
    stop(bed, pid)
    nothing_left(context)


def unload_refused_while_away(context):
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        for node in (1, 2):
            done = bed.execute(node, "rmmod", "radium")
            assert done.returncode, f"rmmod on node{node} worked"
        refused(context, ["node", "leave"], "distributed")
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


def rejoin(context, node):
    """Loads and joins again as the testbed did."""
    bed = context.bed
    other = 3 - node
    address, peer = (nodes(bed, other)[n].get("addr") for n in (node, other)) \
        if node in nodes(bed, other) else (None, None)
    address = address or f"$(getent hosts node{node} | cut -d' ' -f1)"
    peer = peer or f"$(getent hosts node{other} | cut -d' ' -f1)"
    bed.run(node, f"grep -q ^radium /proc/modules || insmod {paths.TOP}/{module_file(context)}")
    bed.run(node, f"radctl node join --id {node} --addr {address} --key /run/radium.key {peer}",
            timeout=60 * context.slow)
    see_each_other(context)


def module_file(context):
    return "build/debug/radium.ko" if context.debug else "radium.ko"


def drain_then_unload(context):
    """A drained node has nothing of others and nothing elsewhere; the module goes,
    comes again, and processes move again."""
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
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


def wrong_key(context):
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    bed.run(2, "umask 077; head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' > /tmp/wrong")
    done = bed.execute(2, "sh", "-c", "radctl node join --id 2 --key /tmp/wrong --wait 5 "
                       "--addr $(getent hosts node2 | cut -d' ' -f1) "
                       "$(getent hosts node1 | cut -d' ' -f1)", timeout=60 * context.slow)
    assert done.returncode == 1 and "key" in done.stderr, (done.returncode, done.stderr)
    assert nodes(bed, 1).get(2, {}).get("state") != "up"
    radctl(bed, "node", "leave", node=2)
    rejoin(context, 2)


def power_loss(context):
    """The machine that is visited dies: its visitor ends with SIGKILL and a line
    in the log, others go on, the machine boots and joins again."""
    bed = context.bed
    away = start(bed, f"sh -c '{SPIN} > /dev/null; echo $? > /tmp/status'")
    other = start(bed, SPIN)
    visitor = int(bed.run(1, f"sleep 0.5; pgrep -P {away}"))
    migrate(bed, visitor)
    assert bed.call("kill", "node2").returncode == 0
    try:
        within(DEAD_SECONDS, lambda: bed.run(1, "cat /tmp/status 2>/dev/null || true").strip() != "",
               "the visitor's process ends")
        assert bed.run(1, "cat /tmp/status").strip() == "137"
        assert re.search(rf"radium.*\b{visitor}\b", bed.console(1)), "no line in the log"
        refused(context, ["migrate", str(other), "2"], "node is down")
        bed.run(1, f"[ -e /proc/{other}/exe ]")
    finally:
        stop(bed, other)
        started = bed.call("start", "node2", timeout=200 * context.slow)
    assert started.returncode == 0, started.stderr
    bed.provision(2)
    see_each_other(context)
    pid = start(bed, SPIN)
    migrate(bed, pid)
    stop(bed, pid)


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
        started = bed.call("start", "node2", timeout=200 * context.slow)
    assert started.returncode == 0, started.stderr
    bed.provision(2)
    see_each_other(context)


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
        within(5 * context.slow, lambda: processes(bed) != [], "it is away")
        threads = shown(bed, "show", str(processes(bed)[0]))["threads"]
        assert len(threads) == 1, threads
    finally:
        bed.run(1, "pkill -9 -f [t]hreads.py || true")
        stop(bed, pid)
    nothing_left(context)


def home_loss(context):
    """The home machine dies: its visitors elsewhere are ended."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    within(5, lambda: replicas(bed) == 1, "the visitor is there")
    assert bed.call("kill", "node1").returncode == 0
    try:
        within(DEAD_SECONDS, lambda: replicas(bed) == 0, "the visitor ends")
    finally:
        started = bed.call("start", "node1", timeout=200 * context.slow)
    assert started.returncode == 0, started.stderr
    bed.provision(1)
    see_each_other(context)


def kill_with_frozen_peer(context):
    """kill -9 while the visited machine does not answer ends within the dead time."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    assert bed.call("freeze", "node2").returncode == 0
    try:
        bed.run(1, f"kill -9 {pid}")
        within(DEAD_SECONDS, lambda: not bed.run(
            1, f"[ -e /proc/{pid}/exe ] && echo there || true").strip(), "the process ends")
    finally:
        bed.call("thaw", "node2")
    see_each_other(context)
    nothing_left(context)


def run(context, only):
    """The suite "lifetime"."""
    yield from each(context, [
        exit_leaves_nothing, kill_away, kill_during_moves, kill_visitor_on_its_node,
        unload_refused_while_away, drain_of_the_visited, drain_then_unload, wrong_key,
        kill_with_frozen_peer, ended_threads_are_forgotten, suspend_empties,
        shutdown_empties, power_loss, home_loss], only)


# Leaks.

COUNT = r"""
sync; echo 3 > /proc/sys/vm/drop_caches; sleep 1; echo 3 > /proc/sys/vm/drop_caches
awk '/^(MemFree|SUnreclaim|KernelStack|PageTables|Percpu):/ { print $1, $2 }' /proc/meminfo
echo tasks: $(ps -eLo comm= | grep -vc '^kworker')
echo files: $(cut -f1 /proc/sys/fs/file-nr)
awk 'NR > 2 { print "slab." $1 ":", $2 }' /proc/slabinfo
"""
# What may differ for other reasons: pages in pieces of KiB, and objects.
SLACK = {"MemFree": 6000, "SUnreclaim": 2500, "KernelStack": 200, "PageTables": 200,
         "Percpu": 200, "tasks": 1, "files": 40}
SLACK_OBJECTS = 400


def count(bed, node):
    """Numbers that must not grow with the moves."""
    pairs = (line.split(":") for line in bed.run(node, COUNT, timeout=120).splitlines())
    return {name: int(value) for name, value in pairs}


def ferry(context, moves):
    """Moves of one process, and what each node has more of than before."""
    bed = context.bed
    command = f"{paths.GUEST}/ferry {moves}"
    bed.run(1, f"{paths.GUEST}/ferry {max(20, moves // 20)}", timeout=120 * context.slow)
    before = {node: count(bed, node) for node in (1, 2)}
    limit = (60 + moves // 4) * context.slow
    done = bed.execute(1, "sh", "-c", command, timeout=limit)
    yield Result(f"{moves}_moves", FAIL if done.returncode else PASS,
                 (done.stdout + done.stderr).strip(), [done.stdout.strip()])
    if done.returncode:
        return
    for node in (1, 2):
        after = count(bed, node)
        more = []
        for name, value in after.items():
            grown = value - before[node].get(name, 0)
            if name == "MemFree":
                grown = -grown
            slack = SLACK.get(name, SLACK_OBJECTS)
            # One page or one object per move has to show, whatever else is going on.
            if grown > max(slack, moves // 2 if name in SLACK else 0):
                more.append(f"{name}: {before[node].get(name, 0)} to {value}")
        yield Result(f"nothing_left_on_node{node}", FAIL if more else PASS, "\n".join(more))


def leaks(context, only):
    """The suite "leaks"."""
    yield from (r for r in ferry(context, context.moves or 200) if only(r.name))


def soak(context, only):
    """The suite "soak"."""
    moves = context.moves or (1500 if context.debug else 10000)
    yield from (r for r in ferry(context, moves) if only(r.name))
    assert shown(context.bed, "ps") in ([], {"processes": []})
