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


def work(args, todo, said, run_suite):
    """A worker: suites until there is none any more."""
    # Then nobody reads any more what has been said.
    ending.heed(said.cancel_join_thread)
    sender = Sender(said)
    context = Context(args, sender, sender.row)
    context.built = True
    try:
        while (one := todo.take()):
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
    workers = [fork.Process(target=work, args=(args, todo, said, run_suite))
               for _ in range(args.jobs)]
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
        # Those on three machines take longest: nobody is to wait for one that began last.
        self.wanted = sorted(wanted, key=lambda one: -one[0].machines)
        self.taken = fork.Value("i", 0)

    def take(self):
        """The next one, or None."""
        with self.taken.get_lock():
            number, self.taken.value = self.taken.value, self.taken.value + 1
        return self.wanted[number] if number < len(self.wanted) else None
