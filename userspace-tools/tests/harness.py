# SPDX-License-Identifier: GPL-2.0
"""Runs radctl on the fake device; TAP; golden files (UPDATE=1 writes them anew)."""
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RADCTL = sys.argv[1] if len(sys.argv) > 1 else "radctl"
SCRATCH = tempfile.mkdtemp(prefix="radctl-test-")
LOG = os.path.join(SCRATCH, "log")
TESTS = []


class Failure(Exception):
    pass


def test(function):
    TESTS.append(function)
    return function


def environment(fake="", root=None):
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "RADIUM_FAKE": fake, "RADIUM_FAKE_LOG": LOG}
    if root:
        env["RADIUM_FAKE_ROOT"] = root
    return env


class Result:
    def __init__(self, status, out, err, log):
        self.status, self.out, self.err, self.log = status, out, err, log

    def json(self):
        return json.loads(self.out)


def radctl(*arguments, fake="", root=None, program=None):
    """Run it; its status, output, error and the calls that reached the device."""
    if os.path.exists(LOG):
        os.unlink(LOG)
    done = subprocess.run([program or RADCTL, *arguments], env=environment(fake, root), check=False,
                          capture_output=True, timeout=30)
    log = ""
    if os.path.exists(LOG):
        with open(LOG, encoding="utf-8") as file:
            log = file.read()
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode(), log)


def equal(got, want, what=""):
    if got != want:
        raise Failure(f"{what} got {got!r}, want {want!r}")


def contains(text, part):
    if part not in text:
        raise Failure(f"{part!r} is not in {text!r}")


def golden(name, text):
    path = os.path.join(HERE, "golden", name)
    if os.environ.get("UPDATE"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        want = file.read()
    if text != want:
        raise Failure("\n".join(difflib.unified_diff(want.splitlines(), text.splitlines(),
                                                     "golden", "got", lineterm="")))


def adopt(program, number):
    """Run a test program of its own and number its lines after ours; (count, failed)."""
    done = subprocess.run([program], capture_output=True, timeout=60, check=False)
    lines = [line for line in done.stdout.decode().splitlines() if not line.startswith("1..")]
    count = failed = 0
    for line in lines:
        if re.match(r"(not )?ok ", line):
            count += 1
            failed += line.startswith("not ")
            line = re.sub(r"ok \d*", f"ok {number + count}", line, count=1)
        print(line)
    if not count or (done.returncode and not failed):
        count, failed = count + 1, failed + 1
        print(f"not ok {number + count} - {os.path.basename(program)}: status {done.returncode}")
    return count, failed


def main():
    number = failed = 0
    for function in TESTS:
        number += 1
        try:
            function()
            print(f"ok {number} - radctl: {function.__doc__}")
        except (Failure, ValueError, KeyError, IndexError, OSError,
                subprocess.SubprocessError) as error:
            failed += 1
            print(f"not ok {number} - radctl: {function.__doc__}")
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"# {line}")
        sys.stdout.flush()
    for program in sys.argv[2:]:
        more, bad = adopt(program, number)
        number, failed = number + more, failed + bad
    print(f"1..{number}")
    shutil.rmtree(SCRATCH)
    return 1 if failed or not number else 0
