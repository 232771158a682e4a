# SPDX-License-Identifier: GPL-2.0
"""The link between the machines, and a machine that stands still: what is short is
survived without a trace, what is long ends what was away, and only that."""

import contextlib
import functools
import re
import time

from . import copies, paths
from .control import (SPIN, becomes, child_of, exit_status, migrate, nodes, one_moves, radctl, rejoin,
                      see_each_other, shown, start, stop, told_lost, within)
from .context import each
from .ends import LOOK, SHELL, Clock, dead_seconds, ended, patience, watch
from .remains import nothing_left, replicas

# Numbered lines until it is told to end, and memory of which all is seen again.
WRITER = r"""
use strict;
open(my $out, ">", "/tmp/lines") or die;
$out->autoflush(1);
my (@kept, $sum, $i);
for ($i = 0; !-e "/tmp/stop"; $i++) {
    $kept[$i % 300] = "$i " x 300;
    $sum += $i;
    print $out "$i\n";
}
for (my $j = 0; $j < 300 && $j < $i; $j++) {
    my $last = $j + 300 * int(($i - 1 - $j) / 300);
    print $out "lost $last\n" if $kept[$j] ne "$last " x 300;
}
print $out "end $sum\n";
exit 33;
"""

CHECK = r"""
awk '/^end/ { end = ($2 == n * (n - 1) / 2); next }
    $1 != n + 0 { print "line " NR " is " $0; bad = 1; exit }
    { n++ }
    END { if (bad || !end) exit 1 }' /tmp/lines || { tail -n 2 /tmp/lines; exit 1; }
"""


def begin(bed):
    """PID of the program above, away, at work."""
    bed.run(1, "rm -f /tmp/stop /tmp/lines /tmp/status\n"
               f"cat > /tmp/writer.pl <<'END'\n{WRITER}\nEND")
    shell = start(bed, "sh -c 'perl /tmp/writer.pl; echo $? > /tmp/status'")
    within(30 * bed.slow, lambda: lines(bed) > 0, "the program begins")
    pid = child_of(bed, shell, "perl /tmp/writer.pl")
    migrate(bed, pid)
    goes_on(bed, "away", 20)
    return pid


def lines(bed):
    """How many it has written."""
    return int(bed.run(1, "wc -l 2>/dev/null < /tmp/lines || echo 0"))


def goes_on(bed, where, more=10):
    """Waits for some more lines."""
    wanted = lines(bed) + more
    within(60 * bed.slow, lambda: lines(bed) >= wanted, f"{more} more lines, {where}")


def finish(bed):
    """Tells it to end, and looks at all that it wrote."""
    bed.run(1, "touch /tmp/stop")
    status = exit_status(bed)
    assert status == 33, f"the program ended with {status}"
    bed.run(1, CHECK)


def net(bed, *words):
    """Shapes the link of node 2."""
    done = bed.call("net", "node2", *words)
    assert done.returncode == 0, done.stderr


def link_loss_heals(context):
    """Four seconds without a link: the thread waits, and goes on where it is."""
    bed = context.bed
    pid = begin(bed)
    before = nodes(bed)[2]
    try:
        # On a busy host the outage is longer.
        with patience(bed, 60):
            net(bed, "down")
            # By one command: each takes of that time.
            counts = bed.run(1, "sleep 1; wc -l </tmp/lines; sleep 3; wc -l </tmp/lines").split()
            net(bed, "up")
            assert counts[0] == counts[1], f"it goes on without a link: {counts}"
            goes_on(bed, "on a link that is up again")
        after = nodes(bed)[2]
        assert after["reconnects"] > before["reconnects"], (before, after)
        assert after["epoch"] == before["epoch"], f"it was believed dead: {before} {after}"
        thread = shown(bed, "show", str(pid))["threads"][0]
        assert (thread["node"], thread["returns"]) == (2, 0), thread
        finish(bed)
    finally:
        bed.call("net", "node2", "up")
        stop(bed, pid)


def shaped(context, rounds, recall, *words):
    """Works there, comes home and goes out again over a link that is worse than usual; gives
    how many packets that node lost."""
    bed = context.bed
    pid = begin(bed)
    try:
        net(bed, *words)
        goes_on(bed, "at once")
        for _ in range(rounds):
            done = radctl(bed, *recall, str(pid), timeout=60 * context.slow)
            assert done.returncode == 0, done.stderr
            migrate(bed, pid, timeout=60 * context.slow)
            goes_on(bed, "after a recall and a move")
        counted = bed.run(2, "tc -s qdisc show dev eth0")
        dropped = sum(map(int, re.findall(r"dropped (\d+)", counted)))
        net(bed, "clear")
        finish(bed)
    finally:
        bed.call("net", "node2", "clear")
        stop(bed, pid)
    return dropped


def link_is_lossy(context):
    """One packet in twenty is lost each way."""
    assert shaped(context, 2, ["recall", "--all"], "loss", "5%"), "no packet was lost"


def link_is_slow(context):
    """20 ms each way. (All pages, one after another, would take long.)"""
    shaped(context, 1, ["recall"], "delay", "20ms")


def lost(context, begin_outage, end_outage, sees):
    """What was away when a node is out of reach for too long: ended at home in time with
    SIGKILL and a line in the log. What was not goes on. Gives when (host's clock) and the
    time allowed."""
    bed = context.bed
    other = start(bed, SPIN)
    pid = begin(bed)
    limit, clock = dead_seconds(bed) + 2 * context.slow, Clock(bed, 1)
    watch(bed, 1, pid)
    if sees:
        there = Clock(bed, 2)
        watch(bed, 2, *replicas(bed))
    before = time.monotonic()
    assert bed.call(*begin_outage).returncode == 0
    slack = time.monotonic() - before + LOOK
    try:
        took = clock.host(ended(bed, 1, limit + 10 * context.slow, "the process ends at home")) - before
        assert took <= limit + slack + clock.error, f"{took:.1f} s instead of {limit:.1f}"
        assert exit_status(bed) == 137
        told_lost(context, pid, 2)
        assert nodes(bed)[2]["state"] != "up", nodes(bed)
        if sees:
            took = there.host(ended(bed, 2, 10 * context.slow, "its replica ends")) - before
            assert took <= limit + slack + there.error, f"replica: {took:.1f} s, not {limit:.1f}"
        assert bed.call(*end_outage).returncode == 0
        # A node that was only out of reach hears that it has been given up as soon as it is back.
        see_each_other(context)
        nothing_left(context)
        bed.run(1, f"[ -e /proc/{other}/exe ]")
        migrate(bed, other)
    finally:
        bed.call(*end_outage)
        stop(bed, other)


def link_is_cut_for_long(context):
    """Longer than the dead time: each side gives the other up."""
    lost(context, ("net", "node2", "down"), ("net", "node2", "up"), sees=True)


def frozen_for_long(context):
    """A machine that stands still for longer, and knows nothing of it when it goes on."""
    lost(context, ("freeze", "node2"), ("thaw", "node2"), sees=False)


def frozen_shortly(context):
    """A machine that stands still for less than the dead time: its clock has stood still, too,
    and who goes there next has home's all the same."""
    bed, still = context.bed, 5
    before = nodes(bed)[2]
    with patience(bed, 60):
        assert bed.call("freeze", "node2").returncode == 0
        try:
            time.sleep(still)
        finally:
            bed.call("thaw", "node2")
        within(20 * context.slow, lambda: before["clock_offset_ns"] -
               nodes(bed)[2]["clock_offset_ns"] > (still - 0.5) * 1e9, "the clocks are compared anew")
        see_each_other(context)
    assert nodes(bed)[2]["epoch"] == before["epoch"], "it was believed dead"


def leaves_on_a_slow_link(context):
    """A node that leaves says so, also if something is on its way: nobody waits for its death.
    One that has stood still meanwhile may have had no time to."""
    bed, heard = context.bed, 0
    with patience(bed, 60):
        for _ in range(6 * context.slow):
            net(bed, "delay", "150ms")
            try:
                took = int(bed.run(2, f"{SHELL} t; a=$t; radctl node leave || exit 9; t; "
                                      "echo $((t - a))"))
                if took < 180:
                    within(20 * context.slow,
                           lambda: nodes(bed)[2]["state"] not in ("up", "suspect"),
                           "home hears that it has left")
                    heard += 1
            finally:
                net(bed, "clear")
                rejoin(context, 2)
            if heard == 3:
                return
    raise AssertionError(f"it has left in time {heard} times only")


# Writes to memory, says so, and looks at it when it is told to.
HOARD = r"""
import mmap, os, time
n = 5000
memory = mmap.mmap(-1, n * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
while not os.path.exists("/tmp/hoard.away"):
    pass
for i in range(n):
    memory[i * 4096] = 1 + i % 250
open("/tmp/hoard.full", "w").close()
while not os.path.exists("/tmp/hoard.look"):
    time.sleep(0.1)
bad = sum(memory[i * 4096] != 1 + i % 250 for i in range(n))
open("/tmp/hoard.seen", "w").write("%d\n" % bad)
while True:
    time.sleep(1)
"""


@contextlib.contextmanager
def hoard_away(context):
    """PID of that program, which has filled its memory on node 2."""
    bed = context.bed
    bed.run(1, f"rm -f /tmp/hoard.*; cat > /tmp/hoard.py <<'END'\n{HOARD}\nEND")
    pid = start(bed, "python3 /tmp/hoard.py")
    try:
        becomes(bed, pid, "python3")
        migrate(bed, pid)
        bed.run(1, "touch /tmp/hoard.away")
        within(120 * context.slow,
               lambda: not bed.execute(1, "test", "-e", "/tmp/hoard.full").returncode, "it is full")
        yield pid
    finally:
        net(bed, "clear")
        stop(bed, pid)


def shortage_on_a_slow_link(context):
    """Home is short of memory while a node has more of a process than the link brings home in
    the time that an answer may take: nobody is given up for that."""
    bed, dead = context.bed, 7 * context.slow
    with hoard_away(context) as pid:
        before = nodes(bed)[2]
        with patience(bed, dead):
            received = shown(bed, "show", str(pid))["pages_received"]
            net(bed, "rate", "4mbit")
            bed.run(1, "echo 2 > /proc/sys/vm/drop_caches")
            # Three dead times is what an answer may take: what was asked for then is looked at.
            time.sleep(3 * dead + 3)
            net(bed, "clear")
            assert nodes(bed)[2]["epoch"] == before["epoch"], "it was given up"
        assert shown(bed, "show", str(pid))["pages_received"] > received, "nothing came home"
        bed.run(1, "touch /tmp/hoard.look")
        within(60 * context.slow,
               lambda: not bed.execute(1, "test", "-s", "/tmp/hoard.seen").returncode, "it looks")
        assert bed.run(1, "cat /tmp/hoard.seen").strip() == "0"


def has_received(bed, pid, pages):
    """Have so many pages of a process come home since it was made?"""
    return shown(bed, "show", str(pid))["pages_received"] >= pages


def registers_on_a_long_link(context):
    """Memory is registered on a connection whose acknowledgements take so long that it sends all
    again: it goes on."""
    bed = context.bed
    with patience(bed, 60):
        before, said = nodes(bed)[2], bed.console(1).count("not free")
        for _ in range(3):
            # Each of its own: what is called home at once comes while the link is quick again.
            with hoard_away(context) as pid:
                pages = shown(bed, "show", str(pid))["pages_received"] + 200
                net(bed, "delay", "150ms")
                # More pages than home has places for, all at once: it registers more.
                bed.run(1, "echo 2 > /proc/sys/vm/drop_caches")
                within(20 * context.slow, functools.partial(has_received, bed, pid, pages),
                       "they come home")
                net(bed, "clear")
        after = nodes(bed)[2]
        assert after["epoch"] == before["epoch"], "it was given up"
        # One may have been replaced because the host was busy.
        assert after["reconnects"] <= before["reconnects"] + 1, "connections were replaced"
        assert bed.console(1).count("not free") == said, "a region was registered a second time"


def slow_handshake(context):
    """Nodes so far from each other that the handshake takes longer than a first attempt may become
    a cluster all the same, and so they do again when the connection has been lost."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    # In each direction: twice there and back takes too long, once for an acknowledgement does not.
    net(bed, "delay", "385ms")
    try:
        rejoin(context, 2)
        assert nodes(bed)[2]["rtt_ns"] > 700e6, nodes(bed)[2]
        one_moves(bed)
    finally:
        net(bed, "clear")
        radctl(bed, "node", "leave", node=2)
        rejoin(context, 2)


# Fills memory, and unmaps it when it is told to.
UNMAPPER = r"""
import mmap, os, time
memory = mmap.mmap(-1, 64 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.write(b"x" * 64 * 4096)
def mark(name):
    open("/tmp/unmapper." + name, "w").close()
mark("ready")
while not os.path.exists("/tmp/unmapper.look"):
    pass
assert memory[4096] == memory[63 * 4096] == ord("x")
mark("looked")
while not os.path.exists("/tmp/unmapper.go"):
    time.sleep(0.1)
memory.close()
mark("done")
while True:
    time.sleep(0.1)
    mark("alive")
"""


def layout_waits_for_a_lost_node(context):
    """Memory of which a node that does not answer has copies is unmapped when that node has
    been given up, not before; and the process goes on."""
    bed = context.bed
    bed.run(1, f"rm -f /tmp/unmapper.*; cat > /tmp/unmapper.py <<'END'\n{UNMAPPER}\nEND")
    pid = start(bed, "python3 /tmp/unmapper.py")

    def told(what, seconds):
        within(seconds, lambda: not bed.execute(1, "test", "-e", f"/tmp/unmapper.{what}").returncode,
               what)
    try:
        told("ready", 30 * context.slow)
        migrate(bed, pid)
        bed.run(1, "touch /tmp/unmapper.look")
        told("looked", 30 * context.slow)
        copies.only(bed, pid)
        assert bed.call("freeze", "node2").returncode == 0
        try:
            bed.run(1, "touch /tmp/unmapper.go")
            told("done", dead_seconds(bed) + 10 * context.slow)
            # Looked at when it was done: had it not waited, the node would still be believed in.
            assert nodes(bed)[2]["state"] not in ("up", "suspect"), nodes(bed)[2]
            told("alive", 10 * context.slow)
        finally:
            bed.call("thaw", "node2")
        see_each_other(context)
        nothing_left(context)
        migrate(bed, pid)
    finally:
        stop(bed, pid)


def survives_a_flood(context):
    """64 MiB of pages in order, again and again: with so many at once a connection may break,
    while it is busy, and is replaced."""
    bed, rounds = context.bed, 1 if context.debug else 4
    before = nodes(bed)[2]["reconnects"]
    for _ in range(rounds):
        bed.run(1, f"{paths.GUEST}/bench-target sequential 64", timeout=300 * context.slow)
    context.report.note(f"{nodes(bed)[2]['reconnects'] - before} connections were replaced")
    nothing_left(context)


def run(context, only):
    """The suite "links"."""
    yield from each(context, [survives_a_flood, link_loss_heals, link_is_lossy,
                              link_is_slow, link_is_cut_for_long, frozen_for_long,
                              frozen_shortly, leaves_on_a_slow_link, shortage_on_a_slow_link,
                              registers_on_a_long_link, slow_handshake,
                              layout_waits_for_a_lost_node], only)
