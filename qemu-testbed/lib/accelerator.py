# SPDX-License-Identifier: GPL-2.0
"""KVM or TCG: a /dev/kvm that exists need not work, so a guest is tried, once per boot."""

import os
import pathlib
import select
import subprocess
import time

from places import Failure, cache, write_atomically
from process import Lock, die_with_parent

PROBE_SECONDS = 8
ALIVE = b"testbed: alive"


def choose(kernel, archive, wanted=None):
    wanted = wanted or os.environ.get("RADIUM_ACCEL")
    if wanted not in (None, "", "kvm", "tcg"):
        raise Failure(f"no such accelerator: {wanted} (kvm or tcg)")
    return wanted or ("kvm" if _kvm_verdict(kernel, archive) == "works" else "tcg")


def _kvm_verdict(kernel, archive):
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "not there"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = cache() / "kvm-verdict"
    with Lock(cache() / "kvm-verdict.lock"):
        if record.exists():
            known_boot, _, verdict = record.read_text().strip().partition(" ")
            if known_boot == boot:
                return verdict
        verdict = "works" if _guest_runs(kernel, archive) else "fails"
        write_atomically(record, f"{boot} {verdict}\n")
        return verdict


def _guest_runs(kernel, archive):
    """Whether init of a stock guest says its word within the time."""
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
               "-no-reboot", "-M", "q35,accel=kvm", "-cpu", "host", "-m", "512",
               "-kernel", kernel.image, "-initrd", str(archive), "-serial", "stdio",
               "-append", "console=ttyS0 panic=-1 radium.probe"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, preexec_fn=die_with_parent) as qemu:
        seen, end = b"", time.monotonic() + PROBE_SECONDS
        try:
            while ALIVE not in seen:
                left = end - time.monotonic()
                if left <= 0 or not select.select([qemu.stdout], [], [], left)[0]:
                    return False
                data = os.read(qemu.stdout.fileno(), 65536)
                if not data:
                    return False
                seen += data
            return True
        finally:
            qemu.kill()
