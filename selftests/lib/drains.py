# SPDX-License-Identifier: GPL-2.0
"""Nodes that send everything home: when they are drained, before their module is unloaded, when
the machine is switched off or goes to sleep."""

from .control import (SPIN, boot_again, join, migrate, module_file, nodes, one_moves, radctl,
                      refused, rejoin, see_each_other, shown, start, stop, within)
from .context import Skip
from .remains import WRITER, has_memory_of_calls, nothing_distributed, nothing_left


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


def unload_drained(context, node):
    """The module of a node that has just been drained, and is a node still, goes. Whoever has
    seen the last thread or replica off may not have let go of it yet."""
    def goes():
        done = context.bed.execute(node, "rmmod", "radium", timeout=30 * context.slow)
        assert done.returncode == 0 or "in use" in done.stderr, done.stderr
        return done.returncode == 0
    within(10 * context.slow, goes, f"the module of node{node} is not in use any more")


def drain_then_unload(context):
    """A drained node has nothing of others and nothing elsewhere: its module goes, without its
    having left before, comes again, and processes move again."""
    bed = context.bed
    pid = start(bed, WRITER)
    try:
        migrate(bed, pid)
        within(20 * context.slow, lambda: has_memory_of_calls(bed, pid), "[radium] in maps")
        for node in (1, 2):
            done = radctl(bed, "node", "drain", node=node, timeout=60 * context.slow)
            assert done.returncode == 0, done.stderr
            unload_drained(context, node)
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
        for node in (1, 2):
            bed.run(node, f"insmod {module_file(context)}")
        for node in (1, 2):
            bed.run(node, join(node, 3 - node, options="--no-wait"), timeout=60 * context.slow)
        see_each_other(context)
        migrate(bed, pid)
        assert radctl(bed, "recall", str(pid)).returncode == 0
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


# What a process that is away calls home is itself, or everything.
FROM_AWAY = ("node drain --timeout 30", "recall --timeout 30 $$", "recall --all --timeout 30 $$")


def drain_from_away(context):
    """A process that is away may call everything home, or itself, and does not wait for itself."""
    bed = context.bed
    for words in FROM_AWAY:
        before = bed.run(1, "cut -d. -f1 /proc/uptime")
        done = bed.execute(1, "radctl", "run", "--node", "2", "--", "sh", "-c",
                           f"exec radctl {words}", timeout=60 * context.slow)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        took = int(bed.run(1, "cut -d. -f1 /proc/uptime")) - int(before)
        assert took < 20 * context.slow, f"{words}: {took} s"
        nothing_distributed(context)


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


def unload_while_joined(context):
    """A node where nothing is distributed may lose its module; it comes back."""
    bed = context.bed
    nothing_distributed(context)
    bed.run(2, "rmmod radium", timeout=30 * context.slow)
    within(10 * context.slow, lambda: nodes(bed, 1).get(2, {}).get("state") != "up",
           "node1 sees that node2 has left")
    rejoin(context, 2)
    one_moves(bed)


def shutdown_empties(context):
    """A machine that is powered off in order sends home what visits it."""
    bed = context.bed
    pid = start(bed, SPIN)
    migrate(bed, pid)
    try:
        assert bed.call("stop", "node2", timeout=1500).returncode == 0
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


# It asks to sleep as soon as it may, and once more.
SLEEPER = """
until [ -e /tmp/sleeper.go ]; do :; done
echo freeze 2>/tmp/sleeper.why > /sys/power/state; first=$?
echo freeze > /sys/power/state; echo $first $? > /tmp/sleeper.said
"""


def suspend_asked_from_away(context):
    """Who asks for that may be away himself: he is refused, and comes home with that. The second time
    it is granted."""
    bed = context.bed
    if bed.execute(1, "test", "-w", "/sys/power/pm_test").returncode:
        raise Skip("this kernel has no /sys/power/pm_test")
    bed.run(1, f"rm -f /tmp/sleeper.*; cat > /tmp/sleeper <<'END'{SLEEPER}END\n"
               "echo freezer > /sys/power/pm_test")
    # Its own echo says why it has failed.
    pid = start(bed, "bash /tmp/sleeper")
    try:
        migrate(bed, pid)
        bed.run(1, "touch /tmp/sleeper.go")
        within(60 * context.slow, lambda: not bed.execute(
            1, "test", "-s", "/tmp/sleeper.said").returncode, "it has asked twice")
        first, second = bed.run(1, "cat /tmp/sleeper.said").split()
        assert first != "0", "the machine slept while the thread that asked for it was away"
        why = bed.run(1, "cat /tmp/sleeper.why")
        assert "busy" in why, why
        assert second == "0", second
        nothing_left(context)
        see_each_other(context)
    finally:
        bed.run(1, "echo none > /sys/power/pm_test")
        stop(bed, pid)


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
