# SPDX-License-Identifier: GPL-2.0
"""The virtual machines of one test run, through qemu-testbed/testbed."""

import json
import os
import subprocess
import time

from . import ends, paths

# The module's own, after which a machine that is not heard of is believed dead.
DEAD_MS = 10000

# Slack for a control channel that is itself slow under emulation.
GRACE = 30

# For a verdict: kmemleak looks at the memory of each machine.
VERDICT_SECONDS = 900


class Dead(Exception):
    """A machine does not answer any more; the testbed has to be booted again."""


class Testbed:
    """Boots on first use; after Dead, discard() and the next use boots anew."""

    def __init__(self, kernel="stock", name=None, nodes=2, module=True, keep=False, smp=1,
                 icount=None, append=()):
        self.kernel, self.nodes, self.module, self.keep = kernel, nodes, module, keep
        self.smp, self.icount, self.append = smp, icount, append
        # Every deadline is for the stock kernel; the checkers cost several times that.
        self.slow = 1 if kernel == "stock" else 5
        self.crowded = 1    # so many times what a machine needs alone it may need here
        self.name = name or f"check-{kernel}-{os.getpid()}"
        self.running = False
        self.wanted_ms = DEAD_MS
        self.dead_ms = DEAD_MS      # of all machines
        self.verdicts = []
        self.boots = 0

    def call(self, *words, timeout=120, **kwargs):
        """Runs one testbed command; never raises for its exit status."""
        command = [str(paths.TESTBED), "--name", self.name, *map(str, words)]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=timeout,
                                  capture_output=True, text=True, errors="replace",
                                  check=False, **kwargs)
        except subprocess.TimeoutExpired as late:
            out = late.stdout or b""
            text = out.decode(errors="replace") if isinstance(out, bytes) else out
            return subprocess.CompletedProcess(command, 124, text, "timed out")

    def up(self):
        """Boots the machines and puts the test programs into each."""
        if self.running:
            return
        if self.keep and self.call("exec", f"node{self.nodes}", "--timeout", 20, "--",
                                   "true").returncode == 0:
            self.running = True     # left by an earlier run
            self.dead_ms = None
            self.boots += 1
            for node in range(1, self.nodes + 1):
                self.provision(node)
            self.believe_dead_after(self.wanted_ms)
            return
        words = ["up", "-n", self.nodes, "--kernel", self.kernel, "--share", paths.SHARE,
                 "--smp", self.smp, *(f"--append={word}" for word in self.append)]
        if self.crowded > 1:
            words += ["--deadline", 120 * self.slow, "--patience", 60 * self.slow]
        if not self.module:
            words += ["--no-module"]
        if self.icount is not None:
            words += ["--icount", self.icount]
        try:
            done = self.call(*words, timeout=300 * self.slow)
        except BaseException:
            # Ctrl-C: what was about to take its machines down has been killed meanwhile.
            self.call("down", "--forget")
            raise
        self.running = True
        self.boots += 1
        if done.returncode:
            tail = (done.stderr or done.stdout).strip().splitlines()[-10:]
            self.discard("up")
            raise Dead("testbed up failed: " + "\n".join(tail))
        for node in range(1, self.nodes + 1):
            self.provision(node)
        if self.wanted_ms != DEAD_MS:
            self.believe_dead_after(self.wanted_ms)

    def resize(self, nodes):
        """So many machines from now on."""
        if nodes == self.nodes:
            return
        self.discard("")
        if self.keep:
            self.call("down")       # as many as there were
        self.nodes = nodes

    def believe_dead_after(self, milliseconds):
        """Sets the silence after which a machine believes another dead, on all of them, also of
        a later boot."""
        self.wanted_ms = milliseconds
        self.up()
        if self.module and self.dead_ms != milliseconds:
            self.dead_ms = milliseconds
            for node in range(1, self.nodes + 1):
                ends.believe_dead_after(self, node, milliseconds)

    def provision(self, node):
        """Copies the test programs off the share: a test must not wait for it."""
        self.run(node, "mkdir -p /root/st && cp -a /share/st/. /root/st/",
                 timeout=120 * self.slow)

    def execute(self, node, *words, timeout=None):
        """CompletedProcess of a command in a machine; raises Dead if it is gone."""
        self.up()
        timeout = timeout or 60 * self.slow
        start = time.monotonic()
        done = self.call("exec", f"node{node}", "--timeout", timeout, "--", *words,
                         timeout=timeout + GRACE)
        done.late = time.monotonic() - start >= timeout
        if (done.returncode or done.late) and not self.alive(node):
            raise Dead(f"node{node} does not answer: {done.stderr.strip()[-300:]}")
        return done

    def run(self, node, script, timeout=None):
        """Standard output of a shell script in a machine, which must succeed."""
        done = self.execute(node, "sh", "-c", script, timeout=timeout)
        if done.returncode:
            raise AssertionError(f"node{node}: '{script}' ended with {done.returncode}: "
                                 f"{(done.stderr + done.stdout).strip()[-500:]}")
        return done.stdout

    def alive(self, node):
        """Whether a machine still executes a program."""
        if not self.running:
            return False
        seconds = 60 * self.slow
        return self.call("exec", f"node{node}", "--timeout", seconds, "--", "true",
                         timeout=seconds + GRACE).returncode == 0

    def pids(self):
        """The machines' processes on the host."""
        nodes = json.loads(self.call("status", "--json").stdout)["nodes"]
        return [node["pid"] for node in nodes if node["pid"]]

    def counts(self):
        """Do the machines' clocks count instructions?"""
        return self.icount is not None and \
            json.loads(self.call("status", "--json").stdout)["accelerator"] == "tcg"

    def console(self, node):
        """A machine's console since boot."""
        done = self.call("log", f"node{node}")
        assert done.returncode == 0, f"node{node} has no log: {done.stderr}"
        return done.stdout

    def verdict(self):
        """What the consoles complain of, or nothing."""
        if not self.running:
            return ""
        done = self.call("verdict", timeout=VERDICT_SECONDS)
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()

    def collect(self, label):
        """Keeps what may explain a failure under build/logs."""
        paths.LOGS.mkdir(parents=True, exist_ok=True)
        for node in range(1, self.nodes + 1):
            stem = f"{label.replace('/', '.')}-{self.boots}-node{node}"
            # There is none of a machine that was never up.
            (paths.LOGS / f"{stem}.console").write_text(self.call("log", f"node{node}").stdout,
                                                        encoding="utf-8")
            if self.module:
                state = self.call("exec", f"node{node}", "--timeout", 10, "--", "sh", "-c",
                                  "radctl node list; radctl ps; "
                                  "for p in $(radctl -j ps | grep -o '\"pid\": *[0-9]*' | tr -dc '0-9\\n');"
                                  " do radctl show $p; radctl explain $p; done; ps -ef", timeout=30)
                (paths.LOGS / f"{stem}.state").write_text(state.stdout + state.stderr,
                                                          encoding="utf-8")

    def discard(self, label):
        """Takes verdict and logs, then ends the machines."""
        if not self.running:
            return
        complaint = self.verdict()
        if complaint:
            self.verdicts.append(complaint)
        if complaint or label:
            self.collect(label or "verdict")
        if not self.keep:
            # What there is beside the logs of a failure stays until the next boot.
            self.call("down", *([] if complaint or label else ["--forget"]))
        self.running = False
        self.dead_ms = DEAD_MS
