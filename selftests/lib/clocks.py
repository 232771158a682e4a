# SPDX-License-Identifier: GPL-2.0
"""The suite "clock", between machines whose clocks have nothing in common."""

from . import guest
from .control import boot_again, nodes
from .tap import FAIL, PASS, SKIP, Result

AHEAD_S = 1000
SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

# What node 2's kernel adds to its clock in a tick of USER_HZ, us: one percent more, or less.
USUAL_TICK, FAST_TICK, SLOW_TICK = 10000, 10100, 9900


def drifting(context, only):
    """A long stay where the node's clock runs faster, or slower, than home's."""
    sources = [context.bed.run(node, f"cat {SOURCE}").strip() for node in (1, 2)]
    for how, tick in ("fast", FAST_TICK), ("slow", SLOW_TICK):
        if not only(f"long_stay_{how}"):
            continue
        if sources != ["tsc", "tsc"]:
            yield Result(f"long_stay_{how}", SKIP, f"clock sources: {sources}")
            continue
        context.bed.run(2, f"busybox adjtimex -t {tick}")
        try:
            for result in guest.run(context, "clock", lambda case: case == "long_stay"):
                result.name = result.name.replace("long_stay", f"long_stay_{how}")
                yield result
        finally:
            context.bed.run(2, f"busybox adjtimex -t {USUAL_TICK}")


def shift(context):
    """Boots node 2 anew, so that its monotonic clock is another, and sets its time ahead."""
    bed = context.bed
    bed.up()
    assert bed.call("kill", "node2").returncode == 0
    boot_again(context, 2)
    bed.run(2, f"date -s '+{AHEAD_S} sec'")
    now = [int(bed.run(node, "date +%s")) for node in (1, 2)]
    assert now[1] - now[0] > AHEAD_S / 2, now
    offset = nodes(bed)[2]["clock_offset_ns"]
    assert abs(offset) > 1e9, f"the monotonic clocks differ by {offset} ns only"


def run(context, only):
    """The suite "clock"."""
    boots = None
    results = guest.run(context, "clock", only)
    while True:
        if not context.native and boots != context.bed.boots:
            try:
                shift(context)
                if boots is None and only("clocks_differ"):
                    yield Result("clocks_differ", PASS)
            except AssertionError as wrong:
                yield Result("clocks_differ", FAIL, str(wrong))
            boots = context.bed.boots
        result = next(results, None)
        if result is None:
            break
        yield result
    if not context.native:
        yield from drifting(context, only)
