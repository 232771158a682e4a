# SPDX-License-Identifier: GPL-2.0
"""
The private segment between the guests: taps on a bridge in a network namespace of the
supervisor's own, or, without the privilege for that, a hub made of one more QEMU process.
(A user namespace would give the privilege, but change the owners of the files that guests see.)
Neither is visible on the host, and both end with the supervisor.
"""

import pathlib
import subprocess

from process import unshare

MTU = 9000
CLONE_NEWNET = 0x40000000


def address(node):
    return f"10.77.0.{node}"


def hardware_address(node):
    return f"52:54:00:4d:00:{node:02x}"


def open_segment(nodes, run, wanted=None):
    """To be called before the supervisor does anything else: it moves into the namespace."""
    if wanted == "hub":
        return Hub(nodes, run)
    try:
        return Bridge(nodes)
    except (OSError, subprocess.CalledProcessError) as error:
        if wanted == "bridge":
            raise
        print(f"no private bridge ({error}): using a hub process", flush=True)
        return Hub(nodes, run)


class Bridge:
    helper = None

    def __init__(self, nodes):
        unshare(CLONE_NEWNET)
        disable = pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
        if disable.exists():
            disable.write_text("1")
        self._ip("link", "add", "segment", "type", "bridge", "stp_state", "0",
                 "forward_delay", "0", "mcast_snooping", "0")
        for node in nodes:
            self._ip("tuntap", "add", self._tap(node), "mode", "tap", "vnet_hdr")
            self._ip("link", "set", self._tap(node), "mtu", str(MTU), "master", "segment", "up")
        self._ip("link", "set", "segment", "mtu", str(MTU), "up")

    @staticmethod
    def _tap(node):
        return f"tap{node}"

    @staticmethod
    def _ip(*words):
        subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)

    def netdev(self, node):
        return f"tap,id=net,ifname={self._tap(node)},script=no,downscript=no"


class Hub:
    """Frames go to all: fine for four guests."""

    def __init__(self, nodes, run):
        self.run = run
        self.helper = ["-M", "none", "-m", "1"]
        for node in nodes:
            self.helper += [
                "-netdev", f"stream,id=s{node},server=on,addr.type=unix,addr.path={self._path(node)}",
                "-netdev", f"hubport,id=h{node},hubid=0,netdev=s{node}"]

    def _path(self, node):
        return self.run / f"hub{node}.sock"

    def netdev(self, node):
        return f"stream,id=net,server=off,addr.type=unix,addr.path={self._path(node)}"
