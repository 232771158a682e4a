# SPDX-License-Identifier: GPL-2.0
"""What "make install" and "make deb" put where, and that this machine is left alone."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from . import paths
from .build import kernel_dir, make
from .context import Skip, each

# Modes of what is installed, by place.
FILES = {"lib/modules/{release}/updates/radium.ko": 0o644,
         "{prefix}/include/linux/radium.h": 0o644,
         "{prefix}/bin/radctl": 0o755,
         "{prefix}/libexec/radium/radium-replica": 0o755,
         "{prefix}/share/man/man8/radctl.8": 0o644,
         "{prefix}/lib/systemd/system/radium.service": 0o644}


def files(prefix, release):
    return {name.format(prefix=prefix, release=release): mode for name, mode in FILES.items()}


def output(*words, **kwargs):
    """Standard output of a program, which must succeed."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, timeout=60,
                          capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, f"{words}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def release_of(module):
    return output("modinfo", "-F", "vermagic", module).split()[0]


def as_built(context):
    """Words for make with which there is nothing left to compile, but for the place that radctl
    is built for."""
    if context.debug:
        raise Skip("the module for the debug kernel is for the tests only")
    if not context.built:
        raise Skip("not built")
    return ["STRICT=1", "KERNEL=stock", f"KDIR={kernel_dir('stock')}"]


def without_depmod(context, place, target, *words):
    """Output of make for a target, which must not make an index of this machine's modules."""
    called, program = place / "called", place / "bin/depmod"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >>{called}\n', encoding="utf-8")
    program.chmod(0o755)
    said = make(target, *as_built(context), f"PATH={program.parent}:{os.environ['PATH']}", *words)
    assert not called.exists(), f"depmod {called.read_text()}"
    return said


def installed(root):
    """Modes of all that is below a directory and is not one, by place."""
    return {str(path.relative_to(root)): stat.S_IMODE(path.lstat().st_mode)
            for path in root.rglob("*") if not path.is_dir()}


def unit_is_right(root, prefix):
    """The unit calls the radctl that is installed with it, a node that it has started is drained
    when it stops, and systemd has nothing to say."""
    text = (root / prefix / "lib/systemd/system/radium.service").read_text(encoding="utf-8")
    calls = [line.split()[:4] for line in re.findall(r"^Exec\w+=(.*)", text, re.M)]
    radctl = f"/{prefix}/bin/radctl"
    wanted = [[radctl, "node", "up", "$NETDEV"], [radctl, "node", "join", "--ensure"],
              [f"-{radctl}", "node", "leave", "--drain"]]
    assert calls == wanted, calls
    if not shutil.which("systemd-analyze"):
        return
    unit = root.parent / "radium.service"
    unit.write_text(text.replace(f"/{prefix}/", f"{root / prefix}/"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    # Of other units of this machine it may have something to say.
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert not said, said


def is_without_debug(copy, built):
    """It is the module that was built, but for what a debugger wants."""
    ids = [output("modinfo", "-F", "srcversion", one) for one in (copy, built)]
    assert ids[0] == ids[1], f"another module than the one that was built: {ids}"
    assert ".debug_" not in output("readelf", "-SW", copy), f"{copy.stat().st_size} bytes"


def goes_below_destdir(context):
    """Each file to its place, with and without a PREFIX, and nothing else; as it was built. It is
    removed again."""
    module = paths.TOP / "radium.ko"
    for prefix, words in ("usr/local", []), ("opt/radium", ["PREFIX=/opt/radium"]):
        with tempfile.TemporaryDirectory() as directory:
            place = pathlib.Path(directory)
            root = place / "root"
            without_depmod(context, place, "install", f"DESTDIR={root}", *words)
            wanted = files(prefix, release_of(module))
            found = installed(root)
            assert found == wanted, f"{found} instead of {wanted}"
            for built, name in ((paths.TOP / "uapi/linux/radium.h", "radium.h"),
                                (paths.TOP / "userspace-tools/radctl", "radctl"),
                                (paths.TOP / "Documentation/radctl.8", "radctl.8")):
                copy = next(root.rglob(name))
                assert copy.read_bytes() == built.read_bytes(), f"{name} is not what was built"
            is_without_debug(next(root.rglob("radium.ko")), module)
            replica = f"/{prefix}/libexec/radium/radium-replica".encode()
            assert replica in (root / prefix / "bin/radctl").read_bytes(), f"no {replica} in radctl"
            unit_is_right(root, prefix)
            without_depmod(context, place, "uninstall", f"DESTDIR={root}", *words)
            assert not installed(root), f"left: {installed(root)}"


def index_is_of_its_kernel(context):
    """Without DESTDIR depmod is run, last, and for the kernel that the module was built for:
    make says so. That is no matter of where KDIR is, or of how it is written."""
    kdir = as_built(context)[-1].removeprefix("KDIR=")
    release = release_of(paths.TOP / "radium.ko")
    with tempfile.TemporaryDirectory() as directory:
        link = pathlib.Path(directory) / "headers"
        link.symlink_to(kdir)
        for given in kdir, f"{kdir}/", link:
            # With -n nothing is installed; with -o nothing is compiled, nor looked at.
            said = make("-n", "-o", "all", "install", f"KDIR={given}").splitlines()
            wanted = f"/lib/modules/{release}/updates/radium.ko"
            assert any(line.split()[-1] == wanted for line in said), f"{given}: no {wanted}: {said}"
            assert said[-1] == f"depmod -a {release}", f"{given}: {said[-1]}"


def control(package, field):
    return output("dpkg-deb", "-f", package, field).strip()


def listed(package):
    """Modes as ls shows them, and owners, of the files in a package."""
    rows = (line.split(None, 5) for line in output("dpkg", "-c", package).splitlines())
    return {row[5].removeprefix("./"): (row[0], row[1]) for row in rows if row[0][0] != "d"}


def package_is_whole(context):
    """A package with all that is installed, and the documents, whose links lead to each other:
    files of root's, the sums right, the module for the kernel that the package wants to have, has
    in its version, and makes the index of."""
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        package = without_depmod(context, place, "deb").splitlines()[-1]
        built = paths.TOP / "radium.ko"
        release = release_of(built)
        found = listed(package)
        wanted = {name + (".gz" if "/man/" in name else ""): mode
                  for name, mode in files("usr", release).items()}
        for name, mode in wanted.items():
            assert name in found, f"no {name} in {sorted(found)}"
            assert found[name][0] == stat.filemode(stat.S_IFREG | mode), f"{name}: {found[name]}"
        for name, (_, owner) in found.items():
            assert owner == "root/root", f"{name} is {owner}'s"
            assert name in wanted or name.startswith(("usr/share/doc/radium/", "usr/share/lintian/")), \
                f"{name} has no business there"
        documents = {f"usr/share/doc/radium/{path.name}"
                     for path in (paths.TOP / "Documentation").glob("*.rst")}
        assert documents <= set(found), documents - set(found)

        version = re.search(r'^MODULE_VERSION\("(.+)"\)', (paths.TOP / "kmod/main.c").read_text(
            encoding="utf-8"), re.M)[1]
        said = [control(package, field) for field in ("Package", "Version", "Architecture")]
        full = f"{version}+{release.replace('-', '.')}"
        assert said == ["radium", full, "amd64"], said
        assert pathlib.Path(package).name == f"radium_{full}_amd64.deb", package
        depends = control(package, "Depends")
        assert f"linux-image-{release} |" in depends and "libjson-c" in depends, depends

        tree = place / "tree"
        output("dpkg-deb", "-R", package, tree)
        output("md5sum", "--strict", "-c", tree / "DEBIAN/md5sums", cwd=tree)
        beside = tree / "usr/share/doc/radium"
        links = re.findall(r"\]\(([^)]*)\)", (beside / "README.md").read_text(encoding="utf-8"))
        dead = [link for link in links if not (beside / link).is_file()]
        assert links and not dead, f"README.md has links to {dead}"
        module = tree / f"lib/modules/{release}/updates/radium.ko"
        assert release_of(module) == release
        is_without_debug(module, built)
        assert output(tree / "usr/bin/radctl", "--version").startswith(f"radctl {version} ")
        for script, what in (("postinst", f"depmod {release}"), ("postrm", f"depmod {release}"),
                             ("prerm", "systemctl --quiet disable --now radium.service")):
            output("sh", "-n", tree / "DEBIAN" / script)
            assert f"{what}\n" in (tree / "DEBIAN" / script).read_text(encoding="utf-8")


def run(context, only):
    """The suite "install"."""
    yield from each(context, [goes_below_destdir, index_is_of_its_kernel, package_is_whole], only)
