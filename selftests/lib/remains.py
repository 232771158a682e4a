# SPDX-License-Identifier: GPL-2.0
"""What a process has beside itself while it is distributed: replicas, memory for its calls,
records of its threads. Nothing of it remains afterwards."""

from . import paths
from .control import migrate, processes, radctl, shown, start, stop, within
from .ends import GONE_S, SHELL


def replicas(bed, node=2):
    """Replica processes in a machine."""
    return [int(pid) for pid in bed.run(node, "pgrep radium-replica || true").split()]


def replica(bed, node=2):
    """That of the process that has come last: of one that ended just now there may be one yet."""
    return int(bed.run(node, "pgrep -n radium-replica"))


def nothing_left(context, node=2, seconds=GONE_S):
    """Soon after the end of a process its replica is gone too: from now on, as a command
    reaches the machine, and by a look that begins in time."""
    done = context.bed.execute(node, "sh", "-c", SHELL + f"""
t; a=$t; b=$t
while pgrep radium-replica >/dev/null; do
    [ $((b - a)) -le {int(seconds * context.slow * 100)} ] || {{ pgrep -a radium; exit 9; }}
    sleep 0.05
    t; b=$t
done""", timeout=seconds * context.slow + 30)
    assert done.returncode == 0, f"replicas on node{node}: {done.stdout}{done.stderr}"


def nothing_distributed(context):
    """As soon as what its replica had is settled, the process that has ended does not count
    any more at home, and does not keep the module."""
    nothing_left(context)
    within(10 * context.slow, lambda: not processes(context.bed), "no process is distributed")


def exit_leaves_nothing(context):
    bed = context.bed
    bed.run(1, f"{paths.GUEST}/mover -m 1 -l -i 20 {paths.GUEST}/selfcheck 20", timeout=60 * context.slow)
    nothing_distributed(context)


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
