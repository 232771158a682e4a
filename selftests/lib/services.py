# SPDX-License-Identifier: GPL-2.0
"""selftests/deps: what it installs does not run, and what the machine has runs on. With stand-ins
for Debian's programs, and directories of its own over those of this machine."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from . import paths
from .context import Skip

POLICY, UNITS = "sbin/policy-rc.d", "units"
# What they say of, and do to, a machine that lacks the packages in $PLACE/missing.
PROGRAMS = {
    "dpkg-query": '! grep -qxF -- "$4" "$PLACE/missing" && echo installed',
    "apt-get": 'cp "$PLACE/sbin/policy-rc.d" "$PLACE/seen"; [ ! -e "$PLACE/slow" ] || sleep 2\n'
               'for word; do case $word in\n'
               '    redis-server) touch /lib/systemd/system/redis-server.service ;;\n'
               'esac; done; echo "$*" >>"$PLACE/installed"',
    "systemctl": 'echo "$*" >>"$PLACE/systemctl"',
}


class Machine:
    """It has nginx and an ssh server of its own."""

    def __init__(self, place):
        self.place = place
        for name in "bin", "sbin", UNITS:
            (place / name).mkdir()
        for name, text in PROGRAMS.items():
            (place / "bin" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (place / "bin" / name).chmod(0o755)
        for name in "nginx", "ssh":
            (place / UNITS / f"{name}.service").touch()

    def deps(self, *missing):
        """It starts, where these packages are missing."""
        (self.place / "missing").write_text("".join(f"{name}\n" for name in missing),
                                            encoding="utf-8")
        script = (f"mount --bind {self.place}/sbin /usr/sbin && "
                  f"mount --bind {self.place}/{UNITS} /lib/systemd/system && "
                  f"exec {paths.SELFTESTS}/deps soak")
        environment = os.environ | {"PLACE": str(self.place),
                                    "PATH": f"{self.place}/bin:{os.environ['PATH']}"}
        # pylint: disable-next=consider-using-with
        return subprocess.Popen(["unshare", "-m", "sh", "-c", script], env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def ends(self, process, status):
        """In time, with that status, and dpkg is asked nothing any more."""
        said = process.communicate(timeout=60)[0]
        assert process.returncode == status, f"{process.returncode}: {said}"
        assert not (self.place / POLICY).exists(), "policy-rc.d is left"

    def text(self, name):
        """Of a file, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            return (self.place / name).read_text(encoding="utf-8")
        return ""


@contextlib.contextmanager
def machine():
    """One of those, for a test."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        raise Skip("nothing may be mounted here")
    with tempfile.TemporaryDirectory() as place:
        yield Machine(pathlib.Path(place))


def services_of_others_stay(_context):
    """A package of nginx's or of ssh's is no reason to disable what was there."""
    with machine() as made:
        made.ends(made.deps("nginx-light", "openssh-client", "redis-server"), 0)
        assert "exit 101" in made.text("seen"), "services were started"
        assert made.text("systemctl") == "-q disable redis-server\n", made.text("systemctl")


def killed_deps_leave_services_alone(_context):
    """Who terminates it waits for what it has begun; what it left when it was killed is removed
    by the next one, but not what others have put there."""
    with machine() as made:
        (made.place / "slow").touch()
        process = made.deps("redis-server")
        end = time.monotonic() + 60
        while not made.text("seen"):
            assert time.monotonic() < end, "nothing is installed"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        made.ends(process, 143)
        assert "redis-server" in made.text("installed"), "apt was not waited for"
        (made.place / POLICY).write_text(made.text("seen"), encoding="utf-8")
        made.ends(made.deps(), 0)
        (made.place / POLICY).write_text("#!/bin/sh\n", encoding="utf-8")
        process = made.deps("memcached")
        assert process.wait(60) == 0 and made.text(POLICY) == "#!/bin/sh\n", "it was another's"


TESTS = [services_of_others_stay, killed_deps_leave_services_alone]
