# SPDX-License-Identifier: GPL-2.0
"""Unmodified programs at work on sources: make with several jobs, whose objects are the same as
unmoved, byte by byte; and the tests that Debian's packages carry of the programs in them.

Neither busybox nor cmake nor perl has a binary package with its tests; Python has
(libpython3.11-testsuite). Its tests have the same verdicts as unmoved: all are good."""

from . import paths
from .moved import Program, chosen, each_program

ST = paths.GUEST
# Radium's own tools, copied to where one may write.
SOURCES = (f"cp -a {paths.TOP}/userspace-tools {paths.TOP}/uapi . && cd userspace-tools && "
           "rm -f ./*.o radctl radium-replica && make -s -j4 CFLAGS='-O1 -g' ")


def python(name, tests):
    """Some of Python's tests."""
    return Program(f"python3_{name}", f"/usr/bin/python3 -P {ST}/stdlib.py {tests} 2>why; s=$?; "
                   "[ $s = 0 ] || cat why; exit $s", status=0, comms="python3", limit=900)


PROGRAMS = [
    Program("make", SOURCES + "$(ls ./*.c | sed 's/c$/o/' | head -n {size})", 4, 3, status=0,
            leaves="userspace-tools/*.o", comms="cc1,as,make,gcc,sh", each="make"),
    Program("make_all", SOURCES + "all && ./radctl --version", status=0,
            leaves="userspace-tools/*.o userspace-tools/radctl userspace-tools/radium-replica",
            comms="cc1,as,make,gcc,sh,collect2,ld", each="make"),
    python("short", "test_fcntl test_pty test_epoll test_fileio test_pipes test_openpty "
           "test_signal.PosixTests test_thread.LockTests"),
    *(python(module.removeprefix("test_").partition(" ")[0], module) for module in (
        "test_thread", "test_threading", "test_threading_local", "test_queue",
        "test_subprocess", "test_fork1", "test_wait3", "test_wait4", "test_pipes",
        # Without what asks for names on the network, and what wants another machine below.
        "test_socket -GeneralModule -VSOCK", "test_selectors", "test_poll", "test_epoll", "test_select",
        "test_signal", "test_threadsignals", "test_eintr", "test_faulthandler",
        "test_io", "test_fileio", "test_file", "test_tempfile", "test_shutil", "test_posixpath",
        "test_mmap", "test_fcntl", "test_os", "test_posix", "test_pty", "test_openpty",
        "test_resource", "test_sched", "test_zlib")),
]
# Of a run that nobody asked for by name.
SHORT = {"make"}


def run(context, only):
    """The suite "builds"."""
    tests = chosen(context, PROGRAMS, only)
    yield from each_program(context, "builds", "true", {
        name: test for name, test in tests.items() if context.thorough or name in SHORT})
