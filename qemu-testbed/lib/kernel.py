# SPDX-License-Identifier: GPL-2.0
"""Kernels for the guests: found, fetched and unpacked into the cache, never installed."""

import dataclasses
import gzip
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

from places import Failure, cache
from process import Lock

SERIES = "6.1."     # the kernels that the module is for
SOURCES, BOOT, MODULES = map(pathlib.Path, ("/usr/src", "/boot", "/lib/modules"))


@dataclasses.dataclass
class Kernel:
    name: str
    release: str
    image: str      # what QEMU boots
    modules: str    # lib/modules/<release>
    kdir: str       # what radium.ko is built against
    debug: bool = False


def find(name, modules=None):
    """The kernel called "stock" or "debug", or an image file with its modules' directory."""
    if name == "stock":
        return _stock()
    if name == "debug":
        return _debug()
    return _file(pathlib.Path(name).absolute(), modules)


def kdir(name):
    if name == "stock":
        return str(SOURCES / f"linux-headers-{stock_release()}")
    return find(name).kdir


# The distribution's kernel.

def _version_key(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _releases(names, what):
    """The kernels that the module is for, among names of packages or directories."""
    found = [re.fullmatch(rf"linux-{what}-({re.escape(SERIES)}\S+-amd64)", name) for name in names]
    return [match[1] for match in found
            if match and not match[1].endswith(("-rt-amd64", "-cloud-amd64"))]


def stock_release():
    """The newest release whose headers are installed, else the newest that there is; of others than
    the module is for, such as backports, there may be newer ones."""
    found = _releases((path.name for path in SOURCES.glob("linux-headers-*")
                       if (path / "Makefile").exists()), "headers")
    found = found or _releases(
        _run(["apt-cache", "pkgnames", f"linux-image-{SERIES}"]).stdout.split(), "image")
    if not found:
        raise Failure(f"no linux-headers-{SERIES}*-amd64 is installed and apt knows no "
                      f"linux-image-{SERIES}*-amd64: apt-get update, and apt-get install linux-headers-amd64")
    return max(found, key=_version_key)


def _stock():
    release = stock_release()
    place = cache() / "kernels" / f"stock-{release}"
    with Lock(cache() / "kernels" / "stock.lock"):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _unpack(release, place)
    return Kernel("stock", release, str(place / "vmlinux"),
                  str(place / "lib/modules" / release), str(SOURCES / f"linux-headers-{release}"))


def _unpack(release, place):
    with tempfile.TemporaryDirectory(dir=place.parent) as directory:
        work = pathlib.Path(directory)
        tree = work / "tree"
        try:
            _run(["dpkg-deb", "-x", _download(f"linux-image-{release}", work), tree])
        except Failure as error:
            if not _copy_installed(release, tree):
                raise Failure(f"linux-image-{release} is neither installed nor to be had ({error}): "
                              "apt-get install linux-headers-amd64, for a newer one") from error
        if (tree / "usr/lib/modules").is_dir():
            (tree / "lib").symlink_to("usr/lib")
        _run(["depmod", "-b", tree, release])
        image = tree / f"boot/vmlinuz-{release}"
        (tree / "vmlinux").write_bytes(decompress(image.read_bytes()))
        (tree / "complete").touch()
        os.rename(tree, place)


def _copy_installed(release, tree):
    """The archive keeps no old kernels, but this machine may run one. Whether it has it."""
    image, modules = BOOT / f"vmlinuz-{release}", MODULES / release
    if not image.is_file() or not (modules / "kernel").is_dir():
        return False
    shutil.rmtree(tree, ignore_errors=True)
    copy = tree / "lib/modules" / release
    shutil.copytree(modules / "kernel", copy / "kernel", symlinks=True)
    for file in modules.glob("modules.*"):
        shutil.copy2(file, copy)
    (tree / "boot").mkdir()
    shutil.copy2(image, tree / "boot")
    return True


def _download(package, directory):
    """apt-get download; with fresh package lists if the known ones lead nowhere."""
    fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3",
             "download", package]
    if subprocess.run(fetch, cwd=directory, capture_output=True, check=False).returncode:
        if os.geteuid() == 0:
            _run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", "update"])
        _run(fetch, cwd=directory)
    return next(pathlib.Path(directory).glob("*.deb"))


def decompress(image):
    """
    The ELF file inside a bzImage: it boots faster, as QEMU enters it directly (PVH).
    Documentation/x86/boot.rst: setup_sects at 0x1f1, payload_offset at 0x248, payload_length.
    """
    if image[0x202:0x206] != b"HdrS":
        raise Failure("the kernel image is not a bzImage")
    sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload[:-4])
    for magic, program in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if payload.startswith(magic):
            return subprocess.run([program, "-dc"], input=payload[:-4], check=True,
                                  stdout=subprocess.PIPE).stdout
    raise Failure("the kernel image is compressed in an unknown way")


def release(image):
    """
    What uname -r says on a bzImage, or "none".
    Documentation/x86/boot.rst: kernel_version at 0x20e, counted from 0x200.
    """
    with open(image, "rb") as file:
        head = file.read(0x8000)
    if head[0x202:0x206] != b"HdrS":
        return "none"
    start = 0x200 + struct.unpack_from("<H", head, 0x20e)[0]
    return head[start:].split(b"\0")[0].split(b" ")[0].decode("ascii", "replace") or "none"


# Other kernels.

def _debug():
    place = (cache() / "kernels" / "debug").resolve()
    kernel = _file(place / "bzImage", None,
                   "build it with qemu-testbed/debug-kernel/build")
    kernel.name, kernel.debug, kernel.kdir = "debug", True, str(place / "build")
    return kernel


def _file(image, modules, remedy="give an existing bzImage or vmlinux"):
    if not image.is_file():
        raise Failure(f"no kernel {image}: {remedy}")
    if modules:
        trees = [pathlib.Path(modules).absolute()]
    else:
        trees = sorted((image.parent / "lib/modules").glob("*/"))
        trees = trees or [MODULES / release(image)]
    trees = [tree for tree in trees if (tree / "modules.dep").exists()]
    if len(trees) != 1:
        raise Failure(f"{len(trees)} module directories with a modules.dep beside {image}, "
                      "or for its release in /lib/modules: name one with --modules DIR")
    tree = trees[0]
    return Kernel(str(image), tree.name, str(image), str(tree), str(tree / "build"))


def _run(command, **options):
    command = [str(word) for word in command]
    try:
        return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, **options)
    except FileNotFoundError as error:
        raise Failure(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:] or ["no message"]
        raise Failure(f"{' '.join(command)}: {last[0]}") from error
