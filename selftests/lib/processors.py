# SPDX-License-Identifier: GPL-2.0
"""Machines whose CPUs are not alike."""

from .control import SPIN, boot_again, one_moves, refused, start, stop
from .context import Skip

# Protection keys are the last part of the extended state that all the machines' CPUs have.
FEATURE = "pku"


def has_feature(bed, node):
    return bed.execute(node, "grep", "-qw", FEATURE, "/proc/cpuinfo").returncode == 0


def other_cpu(context):
    """No thread goes to a node whose CPU has less extended state, nor to one that has more: one
    line says why, and it runs on at home. The nodes are up for each other all the same."""
    bed = context.bed
    if context.debug:
        raise Skip("it boots twice, for a refusal that is the same on the stock kernel")
    if not has_feature(bed, 1):
        raise Skip(f"the machines' CPUs have no {FEATURE}")
    assert bed.call("kill", "node2").returncode == 0
    try:
        boot_again(context, 2, "--without", FEATURE)
        assert not has_feature(bed, 2), f"node2 has {FEATURE}"
        for home, other in (1, 2), (2, 1):
            pid = start(bed, SPIN, node=home)
            try:
                refused(context, ["migrate", str(pid), str(other)], "extended state", node=home)
                bed.run(home, f"[ -e /proc/{pid}/exe ]")
            finally:
                stop(bed, pid, node=home)
    finally:
        bed.call("kill", "node2")
        boot_again(context, 2)
    one_moves(bed)
