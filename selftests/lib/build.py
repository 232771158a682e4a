# SPDX-License-Identifier: GPL-2.0
"""Builds what is tested, with warnings as errors, and runs what needs no machine."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from . import paths, services
from .context import each
from .tap import FAIL, PASS, Result, parse

# Kbuild's way to say that the distribution ships no vmlinux.
HARMLESS = re.compile(r"Skipping BTF generation|BTF.*unavailability of vmlinux")


def make(*words, directory=paths.TOP, timeout=1800):
    """Output of make, which must succeed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    jobs = f"-j{os.cpu_count()}"
    done = subprocess.run(["make", "-s", jobs, "-C", str(directory), *words], timeout=timeout,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, text=True, errors="replace", env=environment)
    if done.returncode:
        raise AssertionError(f"make {' '.join(words)} ended with {done.returncode}:\n"
                             + "\n".join(done.stdout.splitlines()[-30:]))
    return done.stdout


def warnings(output):
    """The lines of a build's output that somebody should have mended."""
    return [line for line in output.splitlines()
            if re.search(r"\b(warning|error):", line, re.I) and not HARMLESS.search(line)]


def debug_kernel(_context):
    """From the cache, or built into it."""
    script = paths.TOP / "qemu-testbed/debug-kernel/build"
    done = subprocess.run([str(script)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def kernel_dir(kernel):
    """What a module for the machines is built against: the headers of their kernel, which need
    not be the running one; or KDIR, if that is given."""
    if os.environ.get("KDIR"):
        return os.environ["KDIR"]
    found = subprocess.run([str(paths.TESTBED), "kernel-dir", kernel], check=False,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def module(context):
    """radium.ko, as it is loaded into the machines."""
    found = warnings(make("module", "STRICT=1", f"KERNEL={context.kernel}",
                          f"KDIR={kernel_dir(context.kernel)}"))
    assert not found, "\n".join(found)


def other_module(context):
    """A module like that, but of another wire version, and one that trusts the page allocator
    with nothing that must be had; where it is."""
    place = paths.BUILD / f"{context.kernel}-other"
    kdir = kernel_dir(context.kernel)
    make("sources", f"KDIR={kdir}", f"OUT={place.relative_to(paths.TOP)}")
    make(f"M={place}", "KCFLAGS=-g0 -DRAD_WIRE_VERSION=65000 -DRAD_MSG_PROMISED=64", "modules",
         directory=kdir)
    return place / "radium.ko"


HOSTILE = sorted((paths.SELFTESTS / "hostile").glob("*.patch"))


def patched(context, place):
    """Copies of the sources that make the hostile module, without objects if they are new."""
    for directory in ("kmod", "uapi/linux"):
        for file in (place / directory).glob("*.[chS]"):
            file.unlink()
    make("sources", f"KDIR={kernel_dir(context.kernel)}",
         f"OUT={place.relative_to(paths.TOP)}")
    for patch in HOSTILE:
        done = subprocess.run(["patch", "-s", "-p1", "--fuzz=0", "-d", str(place), "-i", str(patch)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert not done.returncode, \
            f"{patch.relative_to(paths.TOP)} has to be made anew:\n{done.stdout}{done.stderr}"


def hostile_sources(context):
    """What makes a module hostile can still be put into the sources."""
    place = paths.BUILD / "patched"
    shutil.rmtree(place, ignore_errors=True)
    assert HOSTILE, "there is nothing hostile"
    patched(context, place)
    shutil.rmtree(place)


def hostile_module(context):
    """A module that breaks the protocol, in the way that its parameter says; where it is. Made
    once: another suite may be loading it just now."""
    place, kdir = paths.BUILD / f"{context.kernel}-hostile", kernel_dir(context.kernel)
    built, stamp = place / "radium.ko", place / "kernel"
    sources = [paths.TOP / "Kbuild", *HOSTILE]
    for directory in ("kmod", "uapi/linux"):
        sources += (paths.TOP / directory).glob("*.[chS]")
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(file.stat().st_mtime for file in sources)
        if not built.exists() or built.stat().st_mtime < newest or stamp.read_text() != kdir:
            patched(context, place)
            make(f"M={place}", "KCFLAGS=-g0", "modules", directory=kdir)
            stamp.write_text(kdir)
    return built


def of_kernel(context, name):
    """A module of selftests/kernel, for the machines' kernel; where it is."""
    place = paths.BUILD / f"{context.kernel}-kernel"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(paths.SELFTESTS / "kernel", place)
    make(f"M={place}", "modules", directory=kernel_dir(context.kernel))
    return place / f"{name}.ko"


def tools(_context):
    """radctl and radium-replica."""
    found = warnings(make("tools", "STRICT=1"))
    assert not found, "\n".join(found)


def programs(_context):
    """The test programs, into the share that the machines see."""
    found = warnings(make("all", directory=paths.SELFTESTS))
    assert not found, "\n".join(found)
    place = paths.SHARE / "st"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for file in sorted(paths.PROGRAMS.iterdir()) + sorted((paths.SELFTESTS / "programs").iterdir()):
        if file.suffix not in (".o", ".d"):
            shutil.copy2(file, place)


def run(context, _only):
    """The suite "build"; without it nothing can be booted."""
    tests = [programs] if context.native else [module, tools, programs, hostile_sources]
    if context.debug:
        tests.insert(0, debug_kernel)
    good = True
    for result in each(context, tests, lambda name: True):
        good &= result.outcome == PASS
        yield result
    context.built = good


def run_tap(command, **kwargs):
    """Results of one program on this machine."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=600, check=False, **kwargs)
    results, complaint = parse(done.stdout, done.returncode)
    yield from results
    if complaint:
        yield Result("program", FAIL, f"{complaint}\n{done.stderr[-2000:]}")


def unit(_context, only):
    """Every C file of selftests/unit is one program; the module's pure files are
    compiled with it, against a few stand-ins for kernel headers."""
    for source in sorted((paths.SELFTESTS / "unit").glob("*.c")):
        program = paths.BUILD / "unit" / source.stem
        program.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                   "-Wno-unused-parameter", "-fsanitize=address,undefined",
                   "-I", str(paths.SELFTESTS / "unit/include"), "-I", str(paths.TOP / "kmod"),
                   "-I", str(paths.TOP / "uapi"), "-o", str(program), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            yield Result(source.stem, FAIL, done.stderr[-3000:])
            continue
        for result in run_tap([str(program)]):
            result.name = f"{source.stem}.{result.name}"
            if only(result.name):
                yield result


LEAVER = "(trap '' TERM; sleep 1000 & exec setsid sleep 1000) & echo $!; sleep 1000 & echo $!"


def mover_ends_what_is_left():
    """A program that ends before its descendants: nothing of it runs beside the next one."""
    stem = paths.BUILD / "mover-output"
    done = subprocess.run([paths.PROGRAMS / "mover", "-o", stem, "sh", "-c", LEAVER],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=True)
    pids = pathlib.Path(f"{stem}.out").read_text(encoding="utf-8").split()
    left = [pid for pid in pids if pathlib.Path("/proc", pid).exists()]
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    wrong = len(pids) != 2 or left or json.loads(done.stdout)["error"]
    return Result("mover_ends_what_is_left", FAIL if wrong else PASS,
                  f"{left} of {pids} are there: {done.stdout}" if wrong else "")


def tools_check(context, only):
    """The tools' own tests, with a stand-in for the module, and those of the tests' own tools."""
    if only("mover_ends_what_is_left"):
        yield mover_ends_what_is_left()
    yield from each(context, services.TESTS, only)
    done = subprocess.run(["make", "-s", "-C", str(paths.TOP / "userspace-tools"), "check"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=900, check=False)
    results, complaint = parse(done.stdout, 0)
    if complaint == "ended without a plan" and not results:
        complaint = None
        results = [Result("check", PASS)]
    yield from (r for r in results if only(r.name))
    failed = any(r.outcome == FAIL for r in results)
    if complaint or (done.returncode and not failed):
        yield Result("check", FAIL, f"{complaint}, status {done.returncode}\n{done.stderr[-2000:]}")
