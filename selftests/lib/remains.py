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


# Says how the init of a PID namespace has ended that called reboot(), which the kernel carries out
# in the call.
POWER_OFF = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20000000):
    sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
child = os.fork()
if not child:
    os.execvp("radctl", ["radctl", "run", "--node", "2", "--", sys.executable, "-c",
                         "import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)"])
status = os.waitpid(child, 0)[1]
print(status)
"""


def container_powers_off(context):
    """The init of a PID namespace calls reboot() while it is away: it ends as it does at home, and
    nothing of it remains."""
    bed, count = context.bed, "cat /sys/module/radium/refcnt"
    nothing_distributed(context)
    before = int(bed.run(1, count))
    bed.run(1, f"cat >/tmp/power_off.py <<'EOF'\n{POWER_OFF}EOF")
    status = int(bed.run(1, "python3 /tmp/power_off.py", timeout=60 * context.slow))
    # What the kernel says of such an init: killed by SIGINT (reboot_pid_ns()).
    assert status == 2, f"wait status {status:#x}"
    nothing_distributed(context)
    # What had just ended may have been counted yet.
    within(10 * context.slow, lambda: int(bed.run(1, count)) <= before, "nothing keeps the module")


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
