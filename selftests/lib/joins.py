# SPDX-License-Identifier: GPL-2.0
"""Nodes that may not join: one line says why."""

import contextlib
import json
import time

from . import build, hoards, paths
from .context import Skip
from .control import (KEY, address, all_see_all, exit_status, join, migrate, nodes, one_moves, radctl, rejoin,
                      reload, see_each_other, shown, start, stop, within)
from .ends import patience
from .remains import nothing_left

STRANGER_PORT = 18600       # not Radium's
STRANGERS_FROM = range(200, 212)    # last numbers of addresses that no machine has
STRANGERS_OUT = 30          # so often one has been refused when the places are surely taken


def join_is_refused(context, number, key, text, options=""):
    """Node 2, which has left, cannot come in like this: one line says why, it has not
    joined, and node 1 is what it was."""
    bed = context.bed
    done = bed.execute(2, "sh", "-c", join(number, 1, key=key, at=address(2), options=f"{options} "
                       f"--wait {30 * context.slow}"), timeout=60 * context.slow)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(lines) == 1 and text in lines[0], \
        (done.returncode, done.stdout, done.stderr)
    assert nodes(bed, 2) == {}, nodes(bed, 2)
    listed = nodes(bed, 1)
    assert listed[1]["state"] == "up" and listed[1]["self"], listed
    assert listed.get(2, {}).get("state") != "up", listed


def wrong_key(context):
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        bed.run(2, "umask 077; head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' > /tmp/wrong")
        join_is_refused(context, 2, "/tmp/wrong", "key")
    finally:
        radctl(bed, "node", "leave", node=2)
        rejoin(context, 2)


def stranger_cannot_write(context):
    """Who has not shown the key cannot write to a node's memory, not even with the right key of
    that; and the node has not noticed."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        for _ in range(5):
            said = bed.run(2, f"{paths.GUEST}/stranger node1", timeout=60 * context.slow).strip()
            if said in ("invalid", "access"):
                break
            context.report.note(f"thrown out: {said}")
        assert said == "invalid", f"its write: {said}"
        assert nodes(bed, 1)[1]["state"] == "up", nodes(bed, 1)
    finally:
        rejoin(context, 2)


def stranger_takes_keys(context):
    """Who has not shown the cluster's key takes all keys of a node's landing pages away, which
    Soft-RoCE lets everybody do: no other node is told of them any more, and nobody dies of it."""
    bed, status = context.bed, "/tmp/hoard.status"
    address = f"{nodes(bed, 2)[2]['addr'].rpartition('.')[0]}.{STRANGERS_FROM[0]}"

    def keys():
        said = json.loads(bed.run(1, "rdma -j resource show mr"))
        return {f"0x{region['rkey']}" for region in said if "rkey" in region}

    def epochs():
        return nodes(bed, 1)[2]["epoch"], nodes(bed, 2)[1]["epoch"]
    pid = hoards.begin(bed, 2048, status)
    try:
        bed.run(2, f"ip address add {address}/24 dev eth0")
        # Home has landing pages for what comes back; after that it has no use for any.
        migrate(bed, pid)
        assert radctl(bed, "recall", "--all", str(pid)).returncode == 0
        known, before = keys(), epochs()
        if not known:
            raise Skip("rdma shows no keys")
        migrate(bed, pid)
        bed.run(1, f"touch {hoards.GO}")
        within(60 * context.slow, lambda: hoards.owned(bed, pid) >= 512, "it has its pages there")
        said = bed.run(2, f"{paths.GUEST}/stranger takes node1 9 {address} {' '.join(map(str, known))}",
                       timeout=120 * context.slow).splitlines()
        assert "taken" in said, f"no key has been taken: {said}"
        done = radctl(bed, "recall", "--all", str(pid))
        assert done.returncode == 0, done.stderr
        bed.run(1, f"kill {pid}")
        assert exit_status(bed, status) == 0
        assert epochs() == before, "a session has ended"
    finally:
        stop(bed, pid)
        bed.run(2, f"ip address del {address}/24 dev eth0 || true")
    nothing_left(context)


def strangers_in_the_door(context):
    """Strangers who come from many addresses, again and again, and say nothing fill the places of
    strangers, and keep no node out that has been there before."""
    bed = context.bed
    net = nodes(bed, 2)[2]["addr"].rpartition(".")[0]
    addresses = [f"{net}.{number}" for number in STRANGERS_FROM]

    def of_all(verb):
        return "; ".join(f"ip address {verb} {address}/24 dev eth0" for address in addresses)
    with left(context, of_all("del")):
        bed.run(2, of_all("add"))
        pid = start(bed, f"sh -c 'exec {paths.GUEST}/stranger crowd node1 9 {' '.join(addresses)} "
                         ">/tmp/strangers 2>&1'", 2)
        try:
            # No more are let in: all places that they may have are taken.
            within(60 * context.slow, lambda: int(bed.run(
                2, "grep -c ^out /tmp/strangers || true")) >= STRANGERS_OUT, "they are refused")
            rejoin(context, 2)
        finally:
            stop(bed, pid, 2)


def stranger_is_dialed(context):
    """Whom a node connects to has to show the key as well: it refuses who answers its AUTH with
    something else, with one of another key, or with that AUTH itself."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        for answer, text in (("garbage", "broke the protocol"), ("wrong", "keys differ"),
                             ("reflected", "keys differ")):
            # Beside node 1, so that nobody but node 2 connects to it.
            pid = start(bed, f"sh -c 'exec {paths.GUEST}/stranger listen {STRANGER_PORT} 1 {answer} "
                             ">/tmp/stranger 2>&1'")
            try:
                join_is_refused(context, 2, KEY, text, f"--port {STRANGER_PORT}")
            finally:
                stop(bed, pid)
            said = bed.run(1, "cat /tmp/stranger")
            assert "answered" in said, f"{answer}: {said}"
    finally:
        radctl(bed, "node", "leave", node=2)
        rejoin(context, 2)


def same_id(context):
    """Two nodes cannot have one number."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        join_is_refused(context, 1, KEY, "same node id")
    finally:
        radctl(bed, "node", "leave", node=2)
        rejoin(context, 2)


def new_address(context):
    """A node that has left and comes back from another address is the same one, and known to be
    there, also to a node that connects to it."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    rejoin(context, 2)      # names node 1, and has the higher id: it connects
    old = nodes(bed, 2)[1]["addr"]
    new = old.rpartition(".")[0] + ".200"

    def comes_from(new_one):
        radctl(bed, "node", "leave")
        command = join(1, 2, options="--no-wait", at=new_one)
        # The RDMA device hears of a new address a little later.
        within(20 * context.slow, lambda: bed.execute(1, "sh", "-c", command).returncode == 0,
               f"node1 joins with {new_one}")
        see_each_other(context)
        assert nodes(bed, 2)[1]["addr"] == new_one, nodes(bed, 2)

    bed.run(1, f"ip address add {new}/24 dev eth0")
    try:
        comes_from(new)
        one_moves(bed)
    finally:
        comes_from(old)
        bed.run(1, f"ip address del {new}/24 dev eth0")


@contextlib.contextmanager
def left(context, undo):
    """Node 2 has left meanwhile; afterwards what was done there is undone, it is back and of use."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        yield
    finally:
        radctl(bed, "node", "leave", node=2)
        bed.run(2, f"{undo} || true")
        rejoin(context, 2)
    one_moves(bed)


def kernel_build(context):
    """A node whose kernel is another build of the same release is refused, and told why."""
    bed, other = context.bed, build.of_kernel(context, "other_build")
    with left(context, "rmmod other_build"):
        bed.run(2, f"insmod {other}")
        said = [bed.run(node, "uname -rv") for node in (1, 2)]
        assert said[0] != said[1], f"the same build on both: {said[0]}"
        join_is_refused(context, 2, KEY, "another kernel build")


def iwarp_device(context):
    """A device that cannot say with a write that it has written is refused when it is to be
    used, not when the first page travels."""
    bed, devices = context.bed, "rdma link del siw0 2>/dev/null; rdma link add rxe0 type rxe netdev eth0"
    if bed.execute(2, "modprobe", "siw").returncode:
        raise Skip("this kernel has no iWARP in software")
    with left(context, devices):
        bed.run(2, "rdma link del rxe0; rdma link add siw0 type siw netdev eth0")
        join_is_refused(context, 2, "/run/radium.key", "not supported")


# Takes the RDMA device away at more and more of the way of a join, and gives it back. Says how often
# the join had failed by then, and how often not.
DEVICE_GOES = """
failed=0 joined=0
for round in $(seq $((4 * {rounds}))); do
    [ $round -gt {rounds} ] && [ $joined -gt 0 ] && [ $failed -gt 0 ] && break
    {{ {join} >/tmp/join.said 2>&1; echo $? >/tmp/join.status; }} &
    busybox usleep $((round * {step}))
    rdma link del rxe0
    wait $!
    if [ "$(cat /tmp/join.status)" -eq 0 ]; then joined=$((joined + 1)); else failed=$((failed + 1)); fi
    rdma link add rxe0 type rxe netdev eth0
    radctl node leave >/dev/null 2>&1
done
echo $failed $joined
"""


def device_goes_while_joining(context):
    """The RDMA device is removed in whatever moment of a join: that waits for nobody, and the machine
    can join with the next one."""
    bed, command = context.bed, join(2, options="--no-wait")
    with left(context, "rdma link add rxe0 type rxe netdev eth0 2>/dev/null"):
        begin = time.monotonic()
        bed.run(2, command, timeout=60 * context.slow)
        took = time.monotonic() - begin
        bed.run(2, "radctl node leave")
        rounds = 16
        failed, joined = map(int, bed.run(2, DEVICE_GOES.format(
            rounds=rounds, join=command, step=int(took * 1.2e6 / rounds)),
            timeout=(60 + 40 * rounds) * context.slow).split())
        context.report.note(f"{joined} had joined before the device went, {failed} had not")
        assert joined and failed, "the device has always gone at the same stage"


def device_comes_back(context):
    """Home's RDMA device goes, and comes back before anybody believes home dead. What the process
    has elsewhere comes home when its memory changes, though nothing has been asked for since: not to
    where nobody can write any more."""
    bed, status = context.bed, "/tmp/hoard.status"
    pid = hoards.left_behind(context, 64, status)
    try:
        # So that it asks for nothing.
        bed.run(1, f"kill -STOP {pid}")
        with patience(bed, 60 * min(context.slow, 2)):
            epoch = nodes(bed)[2]["epoch"]
            bed.run(1, "rdma link del rxe0 && rdma link add rxe0 type rxe netdev eth0")
            all_see_all(context)
            # Clears the marks of what has been written to: in all of its memory, for the kernel.
            bed.run(1, f"echo 4 >/proc/{pid}/clear_refs", timeout=60 * context.slow)
            assert not hoards.owned(bed, pid), "some is there still"
            assert nodes(bed)[2]["epoch"] == epoch, "the session has ended"
        bed.run(1, f"kill -CONT {pid}; kill {pid}")
        assert exit_status(bed, status) == 0
    finally:
        stop(bed, pid)
    nothing_left(context)


def wire_version(context):
    """A module that speaks another wire version is refused, and its node told why."""
    bed, other = context.bed, build.other_module(context)
    with left(context, "rmmod radium"):
        reload(context, 2, other)
        assert shown(bed, node=2)["wire"] != shown(bed)["wire"]
        join_is_refused(context, 2, KEY, "wire version")
