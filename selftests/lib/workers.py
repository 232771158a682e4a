# SPDX-License-Identifier: GPL-2.0
"""Several suites at once: processes that take one after the other, each with machines of its own,
and one that prints what they say."""

import multiprocessing
import queue

from . import ending
from .context import Context
from .tap import FAIL, Result

LOOK_S = 1      # at the workers, for one that has ended without a word


class Sender:
    """A worker's report: what is said is printed elsewhere."""

    def __init__(self, said):
        self.said = said

    def note(self, text):
        """Diagnostics."""
        self.said.put(("note", str(text)))

    def add(self, suite, result, seconds=None):
        """One result."""
        self.said.put(("add", suite, result, seconds))

    def row(self, row):
        """One of the record of homecomings."""
        self.said.put(("row", row))


def work(args, todo, most, said, run_suite):
    """A worker: suites until there is none any more, those of most machines first, or last."""
    # Then nobody reads any more what has been said.
    ending.heed(said.cancel_join_thread)
    sender = Sender(said)
    context = Context(args, sender, sender.row)
    context.built = True
    try:
        while (one := todo.take(most)):
            suite, within = one
            context.bed.resize(suite.machines)
            sender.note(f"{suite.name}: {suite.what}")
            run_suite(context, suite, within)
        context.bed.discard("")
        said.put(("end", context.bed.boots, context.bed.verdicts))
    finally:
        context.bed.discard("")


def run(context, args, wanted, run_suite):
    """Suites, each with its filter, by as many workers as are asked for; gives how often machines
    were booted, and what their consoles complain of."""
    # What is forked keeps the filters, which cannot be sent.
    fork = multiprocessing.get_context("fork")
    todo, said = Todo(fork, wanted), fork.Queue()
    workers = [fork.Process(target=work, args=(args, todo, not number, said, run_suite))
               for number in range(args.jobs)]
    boots, verdicts, ended = 0, [], 0
    try:
        for worker in workers:
            worker.start()
        while ended < len(workers):
            try:
                what, *words = said.get(timeout=LOOK_S)
            except queue.Empty:
                if all(worker.exitcode is not None for worker in workers) and said.empty():
                    context.report.add("workers", Result("end", FAIL, "one has died"))
                    break
                continue
            if what == "end":
                ended, boots, verdicts = ended + 1, boots + words[0], verdicts + words[1]
            else:
                {"note": context.report.note, "add": context.report.add,
                 "row": context.homecomings.keep}[what](*words)
    finally:
        for worker in workers:
            if worker.pid and worker.exitcode is None and ended < len(workers):
                worker.terminate()
        for worker in workers:
            if worker.pid:
                worker.join()
    return boots, verdicts


class Todo:
    """What is left to be taken."""

    def __init__(self, fork, wanted):
        self.wanted = sorted(wanted, key=lambda one: -one[0].machines)
        self.lock = fork.Lock()
        self.first, self.behind = fork.Value("i", 0), fork.Value("i", len(wanted))

    def take(self, most):
        """One of those that are left, of the most machines or the fewest; or None. As long as one
        worker takes the former and the others the latter, those on three machines do not run side
        by side: so many machines would take the host's CPUs from each other."""
        with self.lock:
            if self.first.value == self.behind.value:
                return None
            if most:
                self.first.value += 1
                return self.wanted[self.first.value - 1]
            self.behind.value -= 1
            return self.wanted[self.behind.value]
