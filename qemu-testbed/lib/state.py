# SPDX-License-Identifier: GPL-2.0
"""What is known of a testbed from outside of its supervisor, also after the supervisor's end."""

import json
import os
import shutil
import socket

import process
from places import Failure, run_directory

RECORD, SUPERVISOR, CONTROL = "state.json", "supervisor.pid", "control.sock"


def read(name):
    """The record that the supervisor keeps, or None if there was no such testbed."""
    try:
        return json.loads((run_directory(name) / RECORD).read_text())
    except FileNotFoundError:
        return None


def running(name):
    handle = process.noted(run_directory(name) / SUPERVISOR)
    if handle is None:
        return False
    os.close(handle)
    return True


def connect(name):
    """A socket to the supervisor."""
    path = run_directory(name) / CONTROL
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.connect(str(path))
    except OSError:
        control.close()
        raise Failure(f"testbed {name} is not up") from None
    return control


def lock(name):
    return process.Lock(run_directory(name).parent / f"{name}.lock")


def end(name, seconds=10):
    """
    Whatever still runs of that testbed is ended, whether or not its supervisor is alive.
    The machines first die with the supervisor; their own pid files are the second line.
    """
    run = run_directory(name)
    left = [path.name for path in [run / SUPERVISOR, *sorted(run.glob("*.pid"))]
            if not process.kill_noted(path, seconds)]
    if left:
        raise Failure(f"these processes would not die: {', '.join(left)} in {run}")
    for path in run.glob("*"):
        if path.suffix in (".pid", ".sock", ".gdb"):
            path.unlink(missing_ok=True)


def forget(name):
    """Removes what there is of a testbed that has ended: consoles, state, lock."""
    with lock(name) as held:
        if running(name):
            raise Failure(f"testbed {name} is up again")
        shutil.rmtree(run_directory(name), ignore_errors=True)
        held.path.unlink(missing_ok=True)


def renew(name):
    """An empty run directory; the consoles of an earlier testbed of that name go."""
    run = run_directory(name)
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True, mode=0o700)
    return run
