# SPDX-License-Identifier: GPL-2.0
"""Machines whose CPUs are not alike."""

from .control import SPIN, boot_again, one_moves, refused, start, stop, within
from .context import Skip

# Protection keys are the last part of the extended state that all the machines' CPUs have: without
# them it is shorter. Without AVX it is as long, and a part of it is not there.
FEATURES = ("pku", "avx")


def has_feature(bed, node, feature):
    return bed.execute(node, "grep", "-qw", feature, "/proc/cpuinfo").returncode == 0


def boot_without(context, feature):
    """Node 2 boots again, with a CPU that lacks that feature."""
    bed = context.bed
    bed.call("kill", "node2")
    boot_again(context, 2, "--without", feature)
    assert not has_feature(bed, 2, feature), f"node2 has {feature}"


def not_between(context, feature):
    """With node 2 without that feature."""
    bed = context.bed
    boot_without(context, feature)
    for home, other in (1, 2), (2, 1):
        pid = start(bed, SPIN, node=home)
        try:
            refused(context, ["migrate", str(pid), str(other)], "extended state", node=home)
            bed.run(home, f"[ -e /proc/{pid}/exe ]")
        finally:
            stop(bed, pid, node=home)


# Gives GS a base that only this instruction, not the kernel, lets a program have; and computes.
HIGH_BASE = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\x48\\xb8" + (0xffff888000001000).to_bytes(8, "little") + b"\\xf3\\x48\\x0f\\xae\\xd8\\xc3")
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
open("/tmp/high_base", "w").write("set")
while True:
    pass
"""


def high_base_stays(context):
    """Where programs cannot give GS a base of their own, the kernel would take a high one for its:
    a thread that has one does not go there, and runs on."""
    bed = context.bed
    if context.debug:
        raise Skip("it boots twice, for a refusal that is the same on the stock kernel")
    if not has_feature(bed, 1, "fsgsbase"):
        raise Skip("the machines' CPUs have no fsgsbase")
    bed.run(1, f"rm -f /tmp/high_base; cat > /tmp/high_base.py <<'END'\n{HIGH_BASE}\nEND")
    try:
        boot_without(context, "fsgsbase")
        one_moves(bed)
        pid = start(bed, "python3 /tmp/high_base.py")
        try:
            within(60 * context.slow,
                   lambda: not bed.execute(1, "test", "-s", "/tmp/high_base").returncode, "it is set")
            refused(context, ["migrate", str(pid), "2"], "extended state")
            bed.run(1, f"[ -e /proc/{pid}/exe ]")
        finally:
            stop(bed, pid)
    finally:
        bed.call("kill", "node2")
        boot_again(context, 2)
    one_moves(bed)


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
