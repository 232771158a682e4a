# SPDX-License-Identifier: GPL-2.0
"""Control groups: what visitors use is charged where the administrator of their node wants it,
and what the process' own group at home limits."""

from . import hoards, links, paths
from .control import SPIN, exit_status, migrate, nodes, radctl, shown, start, stop, within
from .context import Skip, each
from .remains import nothing_left, replica

GROUP = "/sys/fs/cgroup/st-groups"
PARAMETER = "/sys/module/radium/parameters/replica_cgroup"
STATUS = "/tmp/groups"      # where it is said how a program ended
MIB = 1 << 20

SWAP_ON = """
grep -q zram /proc/swaps && exit 0
modprobe zram num_devices=1 && echo 256M >/sys/block/zram0/disksize || exit 1
mkswap /dev/zram0 && swapon /dev/zram0
"""


class Group:
    """A control group of a machine, with the controllers that are wanted."""

    def __init__(self, bed, node, controllers=""):
        self.bed, self.node = bed, node
        wanted = "".join(f"echo +{c} > /sys/fs/cgroup/cgroup.subtree_control && "
                         for c in controllers.split())
        if bed.execute(node, "sh", "-c", f"{wanted} mkdir -p {GROUP}").returncode:
            raise Skip(f"no cgroup2 with {controllers or 'anything'}")

    def write(self, file, text):
        """What a file of it is to say."""
        self.bed.run(self.node, f"echo '{text}' > {GROUP}/{file}")

    def value(self, file, name):
        """The number behind a name in a file of it."""
        return int(self.bed.run(self.node, f"awk '$1 == \"{name}\" {{ print $2 }}' {GROUP}/{file}"))

    def bytes(self, what="", of="current"):
        """The memory, or what is said of it, that is charged to it."""
        return int(self.bed.run(self.node, f"cat {GROUP}/memory.{what}{of}"))

    def remove(self):
        """It has to be empty, or becomes so soon."""
        within(10 * self.bed.slow, lambda: not self.bed.execute(
            self.node, "sh", "-c", f"rmdir {GROUP} 2>/dev/null || [ ! -d {GROUP} ]").returncode,
            "the group is empty")


def choose(bed, path):
    """The group of the replicas that come to node 2 from now on."""
    bed.run(2, f"echo {path} > {PARAMETER}")
    assert bed.run(2, f"cat {PARAMETER}").strip() == path


def computed(bed, visitor):
    """Milliseconds that the tasks of a replica have been on a CPU."""
    return float(bed.run(2, f"cat /proc/{visitor}/task/*/schedstat | "
                            "awk '{ n += $1 } END { print n / 1e6 }'"))


def groups_of(bed, visitor):
    """Those that the tasks of a replica are in."""
    return set(bed.run(2, f"cat /proc/{visitor}/task/*/cgroup | grep ^0::").split())


def visitors_are_charged(context):
    """All tasks of a replica are in the group that was chosen before it came, what they compute
    is its group's, and the next one is in another if another is chosen."""
    bed, group = context.bed, Group(context.bed, 2)
    pid = start(bed, SPIN)
    try:
        choose(bed, GROUP)
        migrate(bed, pid)
        assert groups_of(bed, replica(bed)) == {"0::/st-groups"}
        before = group.value("cpu.stat", "usage_usec")
        within(60 * context.slow, lambda: group.value("cpu.stat", "usage_usec") > before + 300000,
               "it is charged")
        choose(bed, "")
        # The replica that is there stays where it is; one that is made anew does not.
        assert groups_of(bed, replica(bed)) == {"0::/st-groups"}
        assert radctl(bed, "recall", "--all", str(pid)).returncode == 0
        nothing_left(context)
        migrate(bed, pid)
        assert groups_of(bed, replica(bed)) == {"0::/"}
    finally:
        choose(bed, "")
        stop(bed, pid)
        nothing_left(context)
        group.remove()


def visitors_are_limited(context):
    """A limit of that group holds for visitors; they go on, slower."""
    bed, group = context.bed, Group(context.bed, 2, "cpu")
    group.write("cpu.max", "20000 100000")
    choose(bed, GROUP)
    pid = links.begin(bed)
    try:
        before = group.value("cpu.stat", "nr_throttled")
        within(60 * context.slow, lambda: group.value("cpu.stat", "nr_throttled") > before + 3,
               "it is throttled")
        links.goes_on(bed, "throttled", 3)
        assert shown(bed, "show", str(pid))["threads"][0]["node"] == 2
        done = radctl(bed, "recall", str(pid))
        assert done.returncode == 0, done.stderr
        links.finish(bed)
    finally:
        choose(bed, "")
        stop(bed, pid)
        nothing_left(context)
        group.remove()


def no_visitors_without_their_group(context):
    """If they cannot be put into it, they do not come: refused, and at home all goes on."""
    bed = context.bed
    for wrong in "relative", "/" + "x" * 300:
        assert bed.execute(2, "sh", "-c", f"echo {wrong} > {PARAMETER}").returncode
    pid = start(bed, SPIN)
    try:
        choose(bed, f"{GROUP}/not-there")
        done = radctl(bed, "migrate", str(pid), "2")
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
        assert "replica" in done.stderr, done.stderr
        nothing_left(context)
        within(10 * context.slow, lambda: bed.run(
            1, f"cut -d' ' -f3 /proc/{pid}/stat").strip() == "R", "it computes at home")
        choose(bed, "")
        migrate(bed, pid)
        assert nodes(bed)[2]["visitors"] == 1
    finally:
        choose(bed, "")
        stop(bed, pid)
    nothing_left(context)


def limit_at_home_is_for_home(context):
    """A limit of the process' own group slows it down at home, and not while it is away."""
    bed, group = context.bed, Group(context.bed, 1, "cpu")
    group.write("cpu.max", "20000 100000")
    pid = start(bed, SPIN)

    def throttled():
        return group.value("cpu.stat", "nr_throttled")
    try:
        group.write("cgroup.procs", pid)
        before = throttled()
        within(60 * context.slow, lambda: throttled() > before + 3, "it is throttled at home")
        migrate(bed, pid)
        visitor = replica(bed)
        before, begin = throttled(), computed(bed, visitor)
        within(60 * context.slow, lambda: computed(bed, visitor) > begin + 1000,
               "it computes there")
        # Natively at least every fifth of ten periods of 100 ms.
        assert throttled() <= before + 2, f"throttled {throttled() - before} times"
        assert f"0::{GROUP.removeprefix('/sys/fs/cgroup')}" in bed.run(1, f"cat /proc/{pid}/cgroup")
        assert radctl(bed, "recall", str(pid)).returncode == 0
        before = throttled()
        within(60 * context.slow, lambda: throttled() > before + 3, "it is throttled again")
    finally:
        stop(bed, pid)
        group.remove()


def visitors_pages_are_charged(context):
    """Pages that a replica has are in the memory of its group, and no longer when it is gone."""
    bed, group, mib = context.bed, Group(context.bed, 2, "memory"), 8
    choose(bed, GROUP)
    pid = hoards.begin(bed, mib << 10, STATUS)
    try:
        migrate(bed, pid)
        before = group.bytes()
        bed.run(1, f"touch {hoards.GO}")
        within(60 * context.slow, lambda: hoards.owned(bed, pid) >= mib * MIB // 4096,
               "it has its pages")
        # Their records besides, and whatever the kernel charges in batches.
        grown = group.bytes() - before
        assert mib * MIB <= grown < 2 * mib * MIB, f"{grown} more for {mib} MiB"
        bed.run(1, f"kill {pid}")
        assert exit_status(bed, STATUS) == 0
        nothing_left(context)
        within(20 * context.slow, lambda: group.bytes() < MIB, "nothing is charged any more")
    finally:
        choose(bed, "")
        stop(bed, pid)
        nothing_left(context)
        group.remove()


def visitors_have_no_more_memory(context):
    """The group of the visitors has no memory left for pages: who needs one goes home. Nobody is
    killed, as for want of a page table somebody would be."""
    bed, group = context.bed, Group(context.bed, 2, "memory")
    choose(bed, GROUP)
    pid = hoards.begin(bed, 1024, STATUS)
    try:
        migrate(bed, pid)
        # What the kernel has charged beforehand it gives up; nobody is killed for memory.high.
        group.write("memory.high", 0)
        group.write("memory.high", "max")
        # Half of what it is about to write to, and what is left to page tables.
        group.write("memory.max", group.bytes() + (640 << 10))
        bed.run(1, f"touch {hoards.GO}")
        within(120 * context.slow, lambda: "no_memory" in shown(
            bed, "show", str(pid))["threads"][0]["returns_by_reason"], "it comes home for memory")
        assert group.value("memory.events", "oom_kill") == 0, "a replica was killed"
        bed.run(1, f"kill {pid}")
        status = exit_status(bed, STATUS)
        assert status == 0, f"status {status}"
    finally:
        choose(bed, "")
        stop(bed, pid)
        nothing_left(context)
        group.remove()


def memory_is_high(context):
    """What a thread touches, or has swapped in, while it is away is its group's at home: above
    memory.high it is swapped out there."""
    bed, group, high, mib = context.bed, Group(context.bed, 1, "memory"), 8 * MIB, 24
    if bed.execute(1, "sh", "-c", SWAP_ON).returncode:
        raise Skip("no zram")
    group.write("memory.high", high)
    bed.run(1, f"rm -f {hoards.GO}")
    pid = start(bed, f"sh -c 'echo $$ >{GROUP}/cgroup.procs; exec {paths.GUEST}/hoard {mib << 10}'")

    def faults():
        return [process["faults"] for process in shown(bed, "ps") if process["pid"] == pid][0]
    try:
        within(60 * context.slow, lambda: group.bytes("swap.") + group.bytes() >= mib * MIB,
               "it has its memory")
        migrate(bed, pid)
        before = group.value("memory.events", "high")
        bed.run(1, f"touch {hoards.GO}")
        within(240 * context.slow, lambda: faults() >= mib * MIB // 4096, "it has written to it")
        most = group.bytes(of="peak")
        context.report.note(f"at most {most // MIB} MiB, {high // MIB} is high, of {mib}")
        assert most < 2 * high, most
        assert group.value("memory.events", "high") > before
    finally:
        stop(bed, pid)
        nothing_left(context)
        group.remove()


def no_memory_for_records(context):
    """Who has no memory left in its group for the records of threads that it wants to be moved is
    told so: nobody is killed for it, and with memory they are moved."""
    bed, group = context.bed, Group(context.bed, 1, "memory")
    try:
        done = bed.execute(1, f"{paths.GUEST}/pauper", GROUP, 2, timeout=400 * context.slow)
        assert done.returncode == 0, done
        assert group.value("memory.events", "oom_kill") == 0
        context.report.note(done.stdout.strip())
        nothing_left(context)
    finally:
        group.write("memory.max", "max")
        group.remove()


def run(context, only):
    """The suite "groups"."""
    yield from each(context, [visitors_are_charged, visitors_are_limited,
                              no_visitors_without_their_group, limit_at_home_is_for_home,
                              visitors_pages_are_charged, visitors_have_no_more_memory,
                              memory_is_high, no_memory_for_records], only)
