# SPDX-License-Identifier: GPL-2.0
"""Reads the consoles for what a healthy kernel does not say."""

import json
import pathlib
import re
import time

# After the time stamp, from the start of the message. User programs that crash are reported by
# the kernel too ("traps: prog[1] general protection ..."); that is no fault of the kernel's,
# hence the anchors.
AT_START = (
    r"BUG:? ", r"kernel BUG at ", r"WARNING: ", r"Oops: ", r"Kernel panic", r"INFO: task ",
    r"INFO: (?:possible|trying|suspicious|rcu_|lockdep|NMI)", r"(?:stack segment|divide error|"
    r"invalid opcode|double fault|int3|coprocessor error|segment not present)[:,]",
    r"general protection (?:fault|error)", r"traps: PANIC", r"KASAN: ", r"UBSAN: ", r"KCSAN: ",
    r"ODEBUG: ", r"DEBUG_LOCKS_WARN_ON", r"Bad page ", r"Bad rss-counter",
    r"VFS: Busy inodes", r"VFS: brelse", r"NETDEV WATCHDOG", r"testbed: ")
ANYWHERE = (
    r"unable to handle", r"possible circular locking", r"possible recursive locking",
    r"inconsistent (?:\{|lock state)", r"suspicious RCU usage", r"bad unlock balance",
    r"held lock freed", r"lock held when returning to user space", r"irq lock inversion",
    r"irq-unsafe lock order", r"[Ii]nvalid wait context", r"sleeping function called from invalid",
    r"scheduling while atomic", r"blocked for more than \d+ seconds",
    r"soft lockup", r"hard LOCKUP", r"hard lockup", r"rcu: INFO: ", r"detected stalls? on",
    r"self-detected stall", r"kthread starved for", r"refcount_t: ",
    r"list_(?:add|del)(?:_valid)? corruption", r"(?:next|prev)->(?:next|prev) should be",
    r"page table check", r"page_table_check", r"bad: scheduling from", r"cut here \]-",
    r"kmemleak: [1-9]\d* new suspected", r"unreferenced object 0x",
    r"still has objects", r"Objects remaining in", r"Poison overwritten", r"Redzone overwritten",
    r"nobody cared", r"unregister_netdevice: waiting", r"Stack overflow|stack guard page|"
    r"corrupted stack end", r"Machine check|\bmce: \[Hardware Error\]", r"stack-protector: ",
    r"page allocation failure")
STAMP = re.compile(r"^(?:<\d+>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?")
FINDING = re.compile(f"^(?:{'|'.join(AT_START)})|(?:{'|'.join(ANYWHERE)})")

KMEMLEAK = "/sys/kernel/debug/kmemleak"
# A scan reports what is older than 5 s and was already unreferenced, unchanged, in the scan before.
# One that was switched off when the machine was booted finds nothing; that is no finding.
KMEMLEAK_SCAN = f"""test -e {KMEMLEAK} && ! grep -qw kmemleak=off /proc/cmdline || exit 0
echo scan >{KMEMLEAK} && sleep 6 && echo scan >{KMEMLEAK} && cat {KMEMLEAK}"""


def is_finding(line):
    return bool(FINDING.search(STAMP.sub("", line)))


def scan(paths):
    """Yields (path, line number, line) of each finding, and of files that say nothing at all."""
    for path in paths:
        lines = pathlib.Path(path).read_text(errors="replace").splitlines()
        if not any(line.strip() for line in lines):
            yield path, 0, "the console is empty: nothing can be said of this machine"
        for number, line in enumerate(lines, 1):
            if is_finding(line):
                yield path, number, line.rstrip()


def incident_line(incident):
    clock = time.strftime("%H:%M:%S", time.localtime(incident["time"]))
    return f"{incident['node']}: {incident['what']} at {clock}: {incident['reason']}"


def consoles(run):
    """All boots of all machines since "up", kmemleak's reports among them."""
    return sorted(run.glob("node*.log"), key=lambda path: path.name.split("."))


def as_json(findings):
    return json.dumps([{"file": str(path), "line": number, "text": text}
                       for path, number, text in findings], indent=1)
