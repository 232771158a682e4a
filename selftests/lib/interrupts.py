# SPDX-License-Identifier: GPL-2.0
"""Ctrl-C, at several moments, a terminal that goes away, and the demonstration's own end: whatever
was started for a command ends before it does, and no testbed's directory is left."""

import contextlib
import os
import pathlib
import re
import secrets
import signal
import subprocess
import tempfile
import time

from . import paths

# In the environment of all that a command starts, however far away from it.
MARK = "RADIUM_INTERRUPTED"
# What the kernel keeps of a machine's name.
MACHINE = "qemu-system-x86"
READY_SECONDS, END_SECONDS = 180, 60
DEMO_SECONDS = 300          # from its program's move to its end


def processes(mark):
    """Names of the processes that have a mark, by PID."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        # One that ends meanwhile is none.
        with contextlib.suppress(OSError):
            if mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                found[int(path.name)] = (path / "comm").read_text(encoding="utf-8").strip()
    return found


def networks(pids):
    """Network namespaces of processes."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
    return found


def everybody():
    return [int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*")]


def heed_interrupts():
    """Who runs all this in the background of a shell, or by nohup, has them ignored."""
    for number in signal.SIGINT, signal.SIGHUP:
        signal.signal(number, signal.SIG_DFL)


class Command:
    """A command with a session of its own, as one has who types it."""

    def __init__(self, command, **environment):
        self.mark = f"{MARK}={secrets.token_hex(8)}"
        name, _, value = self.mark.partition("=")
        # Not what make and the tests around this have said.
        kept = {key: text for key, text in os.environ.items()
                if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "RADIUM_TESTBED")}
        self.output = tempfile.TemporaryFile("w+", errors="replace")
        # pylint: disable-next=subprocess-popen-preexec-fn
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, start_new_session=True, preexec_fn=heed_interrupts,
            env=kept | environment | {name: value})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in processes(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.output.close()

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def until(self, ready):
        """Waits for something that has no event to wait for."""
        end = time.monotonic() + READY_SECONDS
        while not ready():
            assert self.process.poll() is None, f"it has ended: {self.said()[-1000:]}"
            assert time.monotonic() < end, f"not within {READY_SECONDS} s: {self.said()[-1000:]}"
            time.sleep(0.05)

    def machines(self):
        return [pid for pid, name in processes(self.mark).items() if name == MACHINE]

    def networks(self):
        """Network namespaces of its own."""
        return networks(processes(self.mark)) - networks([os.getpid()])

    def directories(self):
        """Where its testbeds keep their state: in that of a machine is its console."""
        words = []
        for pid in self.machines():
            with contextlib.suppress(OSError):
                words += pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
        return {pathlib.Path(word.removeprefix("file:")).parent for word in words
                if word.startswith("file:")}

    def own(self):
        """What is to be gone when it has ended."""
        return self.networks(), self.directories()

    def interrupt(self, number=signal.SIGINT):
        """Ctrl-C goes to all in the foreground. Then the command ends."""
        own = self.own()
        os.killpg(self.process.pid, number)
        self.ends(END_SECONDS, 128 + number, own)

    def ends(self, seconds, expected, own):
        """It does in time, with that status; of all that it has started, and its networks, it is the
        last to."""
        namespaces, directories = own
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on: {self.said()[-1000:]}") from None
        left = processes(self.mark)
        assert not left, f"left: {left}"
        assert not namespaces & networks(everybody()), "a network namespace is left"
        kept = [str(place) for place in directories if place.exists()]
        assert not kept, f"left: {kept}"
        assert status == expected, f"status {status}: {self.said()[-1000:]}"


@contextlib.contextmanager
def demo(ready):
    """The demonstration, when it is ready for something; afterwards it has left no file."""
    with tempfile.TemporaryDirectory() as place:
        with Command([paths.TESTBED.parent / "demo"], TMPDIR=place) as command:
            command.until(lambda: ready(command))
            assert len(command.machines()) >= 2, processes(command.mark)
            yield command
        left = os.listdir(place)
        assert not left, f"files left: {left}"


def has_machines(command):
    """Do its two boot, at least?"""
    return len(command.machines()) >= 2


def moves(command):
    """Does its program run, and do two helpers show what that says?"""
    return "It moves to node 2" in command.said()


def interrupted_demo_boots(_context):
    """While its machines boot."""
    with demo(has_machines) as command:
        command.interrupt()


def interrupted_demo_moves(_context):
    """While its program runs and two helpers show what that says."""
    with demo(moves) as command:
        command.interrupt()


# What the demonstration shows, in this order.
SHOWN = (
    r"== Two virtual machines, each with radium\.ko, joined by RDMA",
    r"radctl node list",
    r"== An unmodified program on node 1: python3",
    r"== It moves to node 2, and goes on there",
    r"radctl -v migrate (\d+) 2",
    r"\d+: 1 thread to node 2 in .+, \d+(\.\d)? (B|KiB)",
    r"radctl ps",
    r"radctl show \d+",
    r"== It comes home, with all its pages",
    r"radctl -v recall \d+ --all",
    r"\d+: \d threads? to node 1 in .+, \d+ pages, ",
    r"radctl explain \d+",
    r"== The same program, not moved",
    r"The outputs are the same: (?P<bytes>\d+) bytes, lines (?P<first>\d+) to (?P<last>\d+) of "
    r"(?P<lines>\d+) were computed while it was on node 2\.",
)


def demo_ends(_context):
    """By itself, with 0: it has shown what it is to show, the program's output among it, of which
    some was made on node 2."""
    with demo(moves) as command:
        command.ends(DEMO_SECONDS, 0, command.own())
        said = command.said()
    begin = 0
    for text in SHOWN:
        found = re.compile(text).search(said, begin)
        assert found, f"not shown after what comes before it: {text}\n{said[-3000:]}"
        begin = found.end()
    count = {name: int(number) for name, number in found.groupdict().items()}
    assert 1 < count["first"] < count["last"] < count["lines"], found[0]
    digits = re.findall(r"^ *\d+ +\d{50}$", said, re.M)
    assert len(digits) == count["lines"], f"{len(digits)} lines of digits were shown: {found[0]}"
    assert sum(len(line) + 1 for line in digits) == count["bytes"], found[0]


def run(context, machines, *words, number=signal.SIGINT):
    """The tests themselves, interrupted while their machines boot."""
    with Command([paths.SELFTESTS / "run", "--kernel", context.kernel, *words]) as command:
        command.until(lambda: len(command.machines()) >= machines)
        command.interrupt(number)


def interrupted_run_boots(context):
    """One suite."""
    run(context, 2, "--name", f"{context.bed.name}-int", "--tests", "boot/machines_answer")


def hung_up_run_boots(context):
    """Its terminal goes away."""
    run(context, 2, "--name", f"{context.bed.name}-hup", "--tests", "boot/machines_answer",
        number=signal.SIGHUP)


def interrupted_run_of_two_boots(context):
    """Two suites at once, each on machines of its own."""
    run(context, 4, "--jobs", "2", "--tests", "boot/machines_answer,faults/divide_by_zero")


TESTS = [demo_ends, interrupted_demo_boots, interrupted_demo_moves, interrupted_run_boots,
         hung_up_run_boots, interrupted_run_of_two_boots]
