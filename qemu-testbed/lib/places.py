# SPDX-License-Identifier: GPL-2.0
"""Where things are: the checkout, the cache, the run directory of each testbed."""

import contextlib
import os
import pathlib
import re
import stat
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
GUEST = REPO / "qemu-testbed" / "guest"


class Failure(Exception):
    """Something that the user is told in one line."""


def cache():
    base = os.environ.get("RADIUM_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        base = os.path.join(home, "radium")
    path = pathlib.Path(base).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def run_root():
    if os.geteuid() == 0:
        return pathlib.Path("/run/radium-testbed")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return pathlib.Path(runtime) / "radium-testbed"
    return private(pathlib.Path(tempfile.gettempdir()) / f"radium-testbed-{os.geteuid()}")


def private(path):
    """A directory of this user's and nobody else's, whose name others may have known before."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise Failure(f"{path} is not a directory of this user's alone: remove it, "
                      "or set XDG_RUNTIME_DIR")
    return path


def run_directory(name):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", name):
        raise Failure(f"not a name for a testbed: {name!r}")
    return run_root() / name


def write_atomically(path, data):
    """Readers see the old file or the new one, whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w" if isinstance(data, str) else "wb") as file:
        file.write(data)
    os.replace(temporary, path)
