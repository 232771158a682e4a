# SPDX-License-Identifier: GPL-2.0
"""What is done inside a booted guest: shares, network, RDMA device, radium.ko, the cluster."""

import asyncio
import json
import shlex

import network
from channel import Gone

KEY = "/run/radium.key"
NINEP = "trans=virtio,version=9p2000.L,msize=512000"
RDMA_MODULES = ("rdma_rxe", "ib_uverbs", "rdma_cm", "rdma_ucm")


def _setup_script(machine):
    """
    The modules' tree and the host's root are cached, as they do not change; the checkout and
    the share are not, so that what is built meanwhile is seen.
    """
    config, quote = machine.config, shlex.quote
    tree = f"/lib/modules/{config['release']}"
    lines = [
        "set -e",
        f"hostname {machine.name}",
        f"mkdir -p {tree} {quote(config['repo'])}",
        f"mount -t 9p -o ro,cache=loose,{NINEP} modules {tree}",
        f"mount -t 9p -o ro,cache=none,{NINEP} repo {quote(config['repo'])}"]
    if config["share"]:
        lines += ["mkdir -p /share", f"mount -t 9p -o rw,cache=none,{NINEP} share /share"]
    lines += [f"echo {network.address(node)} node{node} >>/etc/hosts"
              for node in range(1, config["nodes"] + 1)]
    lines += [
        f"modprobe -a {' '.join(RDMA_MODULES)}",
        "ip link set lo up",
        f"ip link set eth0 mtu {network.MTU} up",
        f"ip address add {network.address(machine.node)}/24 dev eth0"]
    if not config["module"] or not config["join"]:
        lines.append("rdma link add rxe0 type rxe netdev eth0")
    return "\n".join(lines)


async def _do(machine, seconds, *argv, stdin=None):
    """A step that must succeed."""
    status, out, err = await machine.check(argv, seconds, stdin)
    if status:
        step = " ".join(argv) if argv[0] != "sh" else "setting up"
        raise Gone(f"{machine.name}: {step}: exit status {status}: {err or out or 'no message'}")
    return out


async def prepare(machine):
    """After the boot: everything that does not need the other machines."""
    config = machine.config
    seconds = config["deadline"]
    await _do(machine, seconds, "sh", "-c", _setup_script(machine))
    if config["module"]:
        await _do(machine, seconds, "insmod", config["module"])


async def join(machine):
    config = machine.config
    if not config["module"] or not config["join"]:
        return
    seconds = config["deadline"]
    others = [network.address(node) for node in range(1, config["nodes"] + 1)
              if node != machine.node]
    await _do(machine, seconds, "sh", "-c", f"umask 077; cat >{KEY}", stdin=config["key"].encode())
    await _do(machine, seconds, "radctl", "node", "up", "eth0")
    await _do(machine, seconds, "radctl", "node", "join", "--id", str(machine.node),
              "--addr", network.address(machine.node), "--key", KEY, *others)


async def complete(machines, config):
    """Returns when each of the machines sees all of them as up."""
    if not config["module"] or not config["join"]:
        return
    wanted = {machine.node for machine in machines}
    await asyncio.gather(*(_sees(machine, wanted) for machine in machines))


async def _sees(machine, wanted):
    loop = asyncio.get_running_loop()
    end = loop.time() + machine.config["deadline"]
    while True:
        status, out, err = await machine.check(["radctl", "-j", "node", "list"], end - loop.time())
        if status:
            raise Gone(f"{machine.name}: radctl -j node list: exit status {status}: {err or out}")
        try:
            states = {entry["id"]: entry["state"] for entry in json.loads(out)}
        except (ValueError, TypeError, KeyError) as error:
            raise Gone(f"{machine.name}: radctl -j node list: not the expected JSON: "
                       f"{error!r} in {out[:200]!r}") from None
        if wanted <= {node for node, state in states.items() if state == "up"}:
            return
        if loop.time() >= end:
            raise Gone(f"{machine.name}: the cluster is not complete after "
                       f"{machine.config['deadline']:g} s: {out}")
        await asyncio.sleep(0.2)


async def shape(machine, settings):
    """
    Delay, loss and rate of the machine's link, each way. Done in the guest, whose kernel is
    known to have netem; what comes in is led through an ifb device to be queued too.
    """
    words = " ".join(f"{name} {value}" for name, value in settings.items())
    seconds = machine.config["deadline"]
    if not words:
        await _do(machine, seconds, "sh", "-c",
                  "tc qdisc del dev eth0 root; tc qdisc del dev eth0 ingress; ip link del ifb0; :")
        return
    await _do(machine, seconds, "sh", "-c", f"""set -e
if [ ! -e /sys/class/net/ifb0 ]; then
	modprobe ifb numifbs=0
	modprobe -a sch_netem sch_ingress act_mirred cls_matchall || :
	ip link add ifb0 mtu {network.MTU} type ifb
	ip link set ifb0 up
	tc qdisc add dev eth0 handle ffff: ingress
	tc filter add dev eth0 parent ffff: protocol all matchall action mirred egress redirect dev ifb0
fi
tc qdisc replace dev eth0 root netem limit 100000 {words}
tc qdisc replace dev ifb0 root netem limit 100000 {words}""")
