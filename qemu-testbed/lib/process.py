# SPDX-License-Identifier: GPL-2.0
"""Processes: children that die with their parent, and pid files that never hit a stranger."""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal

from places import write_atomically

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """To be called in a child between fork and exec."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def unshare(flags):
    if _libc.unshare(flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def start_time(pid):
    """Clock ticks since boot; with the pid it names a process for good. None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def note(path, pid):
    write_atomically(path, json.dumps({"pid": pid, "start": start_time(pid)}))


def noted(path):
    """A pidfd of the process that the file names, or None if that one has ended."""
    try:
        record = json.loads(path.read_text())
        handle = os.pidfd_open(record["pid"])
    except (OSError, ValueError, KeyError):
        return None
    # The pidfd is held while the start time is compared: the pid cannot be reused meanwhile.
    if record["start"] is None or start_time(record["pid"]) != record["start"]:
        os.close(handle)
        return None
    return handle


def ended(handle, seconds):
    """Waits until the process of a pidfd has ended."""
    return bool(select.select([handle], [], [], seconds)[0])


def kill_noted(path, seconds=10):
    """SIGKILL to the process that the file names. False if it would not die."""
    handle = noted(path)
    if handle is None:
        return True
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return True
    gone = ended(handle, seconds)
    os.close(handle)
    return gone


class Lock:
    """An exclusive lock on a file, for the length of a with statement."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path

    def __enter__(self):
        while True:
            self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.handle, fcntl.LOCK_EX)
            # Whoever held it may have removed the file, and somebody else made another.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self.handle), os.stat(self.path)):
                    return self
            os.close(self.handle)

    def __exit__(self, *_):
        os.close(self.handle)
