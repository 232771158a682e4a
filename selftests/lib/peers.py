# SPDX-License-Identifier: GPL-2.0
"""Two programs on two machines that talk to each other while both are moved."""

from . import paths
from .context import Skip, each
from .control import child_of, exit_status, migrate, radctl, start, stop, within

PORT = 4477
OUT, END, STATUS = "/tmp/peer.out", "/tmp/peer.end", "/tmp/peer.status"


def rounds(bed):
    """How many the one who calls has made."""
    return int(bed.run(2, f"wc -l < {OUT}"))


def talk(context, host):
    """Whoever answers is moved to the other machine and back, then whoever calls, and both at
    once: on both machines then runs what belongs to the other."""
    bed, peer = context.bed, f"{paths.GUEST}/peer"
    bed.run(2, f"rm -f {OUT} {END} {STATUS}; : > {OUT}")
    server = start(bed, f"{peer} serve {PORT}")
    caller = None

    def goes_on(what):
        wanted = rounds(bed) + 10
        within(60 * bed.slow, lambda: rounds(bed) >= wanted or bed.run(
            2, f"cat {STATUS} 2>/dev/null || true"), f"10 more rounds, {what}")
        assert rounds(bed) >= wanted, bed.run(2, f"cat {STATUS} {OUT}.error; tail -n 1 {OUT}")

    def recalled(pid, node):
        done = radctl(bed, "recall", str(pid), node=node)
        assert done.returncode == 0, done.stderr
    try:
        within(20 * bed.slow, lambda: not bed.execute(
            1, "sh", "-c", f"grep -qi :{PORT:04x} /proc/net/tcp6").returncode, "it listens")
        shell = start(bed, f"sh -c '{peer} call {host} {PORT} {END} > {OUT} 2> {OUT}.error; "
                           f"echo $? > {STATUS}'", 2)
        goes_on("at home")
        caller = child_of(bed, shell, f"{peer} call {host} {PORT} {END}", 2)
        migrate(bed, server)
        goes_on("who answers is away")
        done = radctl(bed, "migrate", str(caller), "1", node=2)
        assert done.returncode == 0, done.stderr
        goes_on("both are away")
        recalled(server, 1)
        goes_on("who calls is away")
        recalled(caller, 2)
        goes_on("both are home")
        migrate(bed, server)
        bed.run(2, f"touch {END}")
        assert exit_status(bed, STATUS, 2) == 0, bed.run(2, f"cat {OUT}.error")
    finally:
        bed.run(2, f"touch {END}")
        stop(bed, server)
        if caller and not bed.execute(2, "test", "-d", f"/proc/{caller}").returncode:
            stop(bed, caller, 2)


def over_ipv4(context):
    """TCP, long and short, and UDP."""
    talk(context, context.bed.run(2, "getent ahostsv4 node1 | head -n 1 | cut -d' ' -f1").strip())


def over_ipv6(context):
    """The same, by addresses of their own."""
    bed = context.bed
    for node in 1, 2:
        if bed.execute(node, "sh", "-c", f"ip -6 address show dev eth0 | grep -q fd77::{node}/ || "
                       f"ip -6 address add fd77::{node}/64 dev eth0 nodad").returncode:
            raise Skip("no IPv6")
    talk(context, "fd77::1")


def run(context, only):
    """The suite "peers"."""
    yield from each(context, [over_ipv4, over_ipv6], only)
