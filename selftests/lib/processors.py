# SPDX-License-Identifier: GPL-2.0
"""Machines whose CPUs are not alike."""

from .control import SPIN, boot_again, one_moves, refused, start, stop
from .context import Skip

# Protection keys are the last part of the extended state that all the machines' CPUs have: without
# them it is shorter. Without AVX it is as long, and a part of it is not there.
FEATURES = ("pku", "avx")


def has_feature(bed, node, feature):
    return bed.execute(node, "grep", "-qw", feature, "/proc/cpuinfo").returncode == 0


def not_between(context, feature):
    """With node 2 without that feature."""
    bed = context.bed
    bed.call("kill", "node2")
    boot_again(context, 2, "--without", feature)
    assert not has_feature(bed, 2, feature), f"node2 has {feature}"
    for home, other in (1, 2), (2, 1):
        pid = start(bed, SPIN, node=home)
        try:
            refused(context, ["migrate", str(pid), str(other)], "extended state", node=home)
            bed.run(home, f"[ -e /proc/{pid}/exe ]")
        finally:
            stop(bed, pid, node=home)


def other_cpu(context):
    """No thread goes to a node whose CPU has less extended state, nor to one that has more: one
    line says why, and it runs on at home. The nodes are up for each other all the same."""
    bed = context.bed
    if context.debug:
        raise Skip("it boots twice, for a refusal that is the same on the stock kernel")
    features = [feature for feature in FEATURES if has_feature(bed, 1, feature)]
    if not features:
        raise Skip(f"the machines' CPUs have none of {', '.join(FEATURES)}")
    try:
        for feature in features:
            not_between(context, feature)
    finally:
        bed.call("kill", "node2")
        boot_again(context, 2)
    one_moves(bed)
