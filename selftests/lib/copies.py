# SPDX-License-Identifier: GPL-2.0
"""A process of which another node has copies of pages only."""

from .control import migrate, radctl, shown, start

# Reads what a process may write to, as a debugger does: nobody owns it elsewhere any more.
READ_ALL = r"""
import sys
pid = sys.argv[1]
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
    for line in maps:
        if line.split()[1][:2] == "rw":
            start, end = (int(n, 16) for n in line.split()[0].split("-"))
            try:
                memory.seek(start)
                memory.read(end - start)
            except OSError:
                pass
"""


def only(bed, pid):
    """Has a process that is away come home, but leave copies where it was, and nothing else."""
    assert radctl(bed, "recall", str(pid)).returncode == 0
    bed.run(1, f"cat > /tmp/read_all.py <<'END'\n{READ_ALL}\nEND\npython3 /tmp/read_all.py {pid}")
    counts = [p for p in shown(bed, "ps") if p["pid"] == pid][0]
    assert counts["threads_away"] == counts["pages_away"] == 0 < counts["pages_copied"], counts


def elsewhere(bed):
    """PID of a process at home of which node 2 has copies, and nothing else."""
    pid = start(bed, "sh -c 'while :; do sleep 1000; done'")
    migrate(bed, pid)
    only(bed, pid)
    return pid
