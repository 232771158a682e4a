# SPDX-License-Identifier: GPL-2.0
"""Moves leave nothing behind: many of them, and what each node has more of than before; nor
does the memory of processes that end while it is away."""

from . import paths
from .context import each
from .control import shown
from .remains import nothing_distributed
from .tap import FAIL, PASS, Result

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

# Of processes that end while their memory is away: pages of each, and ways in which they end.
AWAY_PAGES, WAYS_TO_END = 160, 5


def count(bed, node):
    """Numbers that must not grow with the moves."""
    pairs = (line.split(":") for line in bed.run(node, COUNT, timeout=120 * bed.slow).splitlines())
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


def taken(bed, node):
    """KiB that are neither free nor in slabs, where the checkers keep what was freed."""
    numbers = count(bed, node)
    return numbers["MemFree"] - numbers["SUnreclaim"]


def pages_of_the_ended(context):
    """Processes that end while their memory is away, each in one of some ways, leave none of it
    to either node. What is allowed is half of what those of one of the ways would leave."""
    bed, processes = context.bed, 50 if context.debug else 100
    limit = processes // WAYS_TO_END * AWAY_PAGES * 4 // 2

    def end_processes(number):
        done = bed.execute(1, f"{paths.GUEST}/emigrants", "-t", context.slow, AWAY_PAGES, number,
                           timeout=(60 + 2 * number) * context.slow)
        assert done.returncode == 0, done.stdout + done.stderr
        nothing_distributed(context)
    end_processes(2 * WAYS_TO_END)
    before = {node: taken(bed, node) for node in (1, 2)}
    end_processes(processes)
    grown = {node: taken(bed, node) - before[node] for node in (1, 2)}
    context.report.note(f"{processes} processes of {AWAY_PAGES} pages that were away: " + ", ".join(
        f"{kib} KiB more on node{node}" for node, kib in grown.items()))
    for node, kib in grown.items():
        assert kib < limit, f"{kib} KiB more on node{node} than before, {limit} are allowed"


def run(context, only):
    """The suite "leaks"."""
    moves = context.moves or 200
    yield from (r for r in ferry(context, moves, 3 * moves) if only(r.name))
    yield from each(context, [pages_of_the_ended], only)


def soak(context, only):
    """The suite "soak"."""
    moves = context.moves or (1500 if context.debug else 10000)
    yield from (r for r in ferry(context, moves // 4, moves - moves // 4) if only(r.name))
    assert shown(context.bed, "ps") in ([], {"processes": []})
