# SPDX-License-Identifier: GPL-2.0
"""Where things are: the checkout, the cache, the run directory of each testbed."""

import os
import pathlib
import re
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
    return pathlib.Path(tempfile.gettempdir()) / f"radium-testbed-{os.geteuid()}"


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
