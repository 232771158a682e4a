# SPDX-License-Identifier: GPL-2.0
"""The initramfs of a guest: one static program and the modules that lead to its root."""

import hashlib
import os
import pathlib
import stat
import subprocess

from places import GUEST, Failure, cache, write_atomically
from process import Lock

MODULES = ("virtio_pci", "pvpanic_pci", "virtio_rng", "virtio_console", "9pnet_virtio", "9p",
           "overlay", "virtio_net")
COMPILE = ("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wno-sign-compare",
           "-Wno-unused-result", "-Werror", "-static", "-s")


def build(kernel):
    """The path of the archive for that kernel; made if it is not in the cache."""
    with Lock(cache() / "initramfs" / "lock"):
        init = _build_init()
        order = _module_order(pathlib.Path(kernel.modules))
        digest = hashlib.sha256(init.read_bytes())
        for path in order:
            digest.update(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n".encode())
        archive = cache() / "initramfs" / f"{digest.hexdigest()[:16]}.cpio"
        if not archive.exists():
            write_atomically(archive, _archive(init, order))
        return archive


def _build_init():
    sources = sorted(GUEST.glob("*.[ch]"))
    digest = hashlib.sha256(" ".join(COMPILE).encode())
    for source in sources:
        digest.update(source.read_bytes())
    program = cache() / "initramfs" / f"init-{digest.hexdigest()[:16]}"
    if not program.exists():
        temporary = program.with_suffix(".new")
        command = [*COMPILE, "-o", temporary, *(s for s in sources if s.suffix == ".c")]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                    text=True, check=False)
        except FileNotFoundError as error:
            raise Failure("gcc is not installed: apt-get install gcc libc6-dev") from error
        if result.returncode:
            raise Failure(f"building the guest's init failed:\n{result.stderr}")
        os.replace(temporary, program)
    return program


def _module_order(tree):
    """Files to load, dependencies first. What is not a module is taken to be built in."""
    needs, files = {}, {}
    for line in (tree / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        files[_module_name(path)] = tree / path
        needs[_module_name(path)] = [_module_name(word) for word in rest.split()]
    order = []

    def add(name):
        if name not in files or files[name] in order:
            return
        for need in reversed(needs[name]):
            add(need)
        if files[name] not in order:
            order.append(files[name])

    for name in MODULES:
        add(name)
    return order


def _module_name(path):
    return os.path.basename(path).partition(".ko")[0].replace("-", "_")


def _archive(init, modules):
    entries = [_entry(name, stat.S_IFDIR | 0o755)
               for name in ("dev", "proc", "sys", "modules", "lower", "rw", "new")]
    entries.append(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(_entry("init", stat.S_IFREG | 0o755, init.read_bytes()))
    for path in modules:
        entries.append(_entry(f"modules/{path.name}", stat.S_IFREG | 0o644, path.read_bytes()))
    order = "".join(f"{path.name}\n" for path in modules)
    entries.append(_entry("modules/order", stat.S_IFREG | 0o644, order.encode()))
    entries.append(_entry("TRAILER!!!", 0))
    return b"".join(entries)


def _entry(name, mode, data=b"", device=(0, 0)):
    """One member in the "newc" format: Documentation/driver-api/early-userspace."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(header) + _padded(data)


def _padded(data):
    return data + bytes(-len(data) % 4)
