# SPDX-License-Identifier: GPL-2.0
"""Checks the models of kmod/model with SPIN: what has to hold holds, every row of
kmod/states.h is taken, and each seeded mistake is found."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import paths
from .tap import FAIL, PASS, Result

MODELS = paths.TOP / "kmod" / "model"
PLACE = paths.BUILD / "model"
MEGABYTES, SECONDS, DEPTH = 1800, 900, 2000000

# What has to hold: model, name, its parts.
HOLDS = [
    ("pages", "home", "HOME"),
    ("pages", "layout", "HOME LAYOUT"),
    ("pages", "kinds", "HOME LAYOUT KINDS"),
    ("pages", "exit", "HOME EXIT KILL"),
    ("pages", "node_death", "HOME LAYOUT DEATH"),
    ("pages", "every_request_is_answered", "HOME LAYOUT LIVE"),
    ("pages", "every_request_outlives_a_node", "HOME DEATH LIVE"),
    ("pages", "forwarding", "HOME FORWARD"),
    ("pages", "forwarding_layout", "HOME LAYOUT FORWARD"),
    ("pages", "forwarding_node_death", "HOME FORWARD DEATH"),
    ("pages", "forwarding_link_death", "HOME FORWARD SEVER"),
    ("pages", "forwarding_exit", "HOME FORWARD EXIT"),
    ("pages", "every_forward_is_answered", "HOME FORWARD LIVE"),
    # With the thread at home, too, it would need more memory than there is.
    ("pages", "forwarding_kill", "FORWARD SEVER KILL"),
    ("pages", "upgrading", "HOME UPGRADE"),
    ("pages", "upgrading_layout", "HOME LAYOUT UPGRADE"),
    ("pages", "upgrading_kinds", "HOME LAYOUT KINDS UPGRADE"),
    ("pages", "upgrading_node_death", "HOME DEATH UPGRADE"),
    ("pages", "upgrading_exit", "HOME EXIT KILL UPGRADE"),
    ("pages", "upgrading_and_forwarding", "HOME FORWARD UPGRADE"),
    ("pages", "every_upgrade_is_answered", "HOME LAYOUT LIVE UPGRADE"),
    ("thread", "moves", "STAYS=3"),
    ("thread", "node_death", "STAYS=2 DEATH"),
    ("thread", "kill", "STAYS=2 KILL"),
]

# Mistakes: model, the macro BUG_..., the parts in which it shows.
MISTAKES = [
    # Granted for writing before the readers have answered.
    ("pages", "GRANT_EARLY", "HOME"),
    # A revocation overtakes the grant that it takes back.
    ("pages", "OVERTAKE", "HOME"),
    # Home writes to a page that is read elsewhere.
    ("pages", "WRITE_COPIED", "HOME"),
    # The same, since entry and page table are looked at one after the other.
    ("pages", "LATE_LOOK", "HOME"),
    # A layout change leaves the readers of a page that is being repaired alone.
    ("pages", "SKIP_RETURNED", "HOME LAYOUT"),
    # A reader is announced before mmap_lock is taken: deadlock with a layout change.
    ("pages", "GRANTING_EARLY", "HOME LAYOUT"),
    # A fault waits for a taker who may wait for mmap_lock: deadlock with a writer.
    ("pages", "WAIT_TAKING", "HOME LAYOUT"),
    # The frame of a lost page is given back while the process runs.
    ("pages", "SURRENDER", "HOME DEATH"),
    # Who waits for the turn of a page may be overtaken for ever.
    ("pages", "NO_TURN", "HOME LIVE"),
    # A page that is sent on counts as arrived when it was sent.
    ("pages", "FORWARD_EARLY", "HOME FORWARD"),
    # The receiver has died, and the page is taken from the node that has sent it.
    ("pages", "OLD_CONTENT", "HOME FORWARD DEATH"),
    # The same, where the receiver's replica was killed.
    ("pages", "OLD_REPLICA", "FORWARD SEVER KILL"),
    # Home writes to a page while it is taken under its last reader.
    ("pages", "UPGRADE_NATIVE", "HOME UPGRADE"),
    # A layout change leaves that reader alone, and trusts in the taker to let go.
    ("pages", "UPGRADE_STALE", "HOME LAYOUT UPGRADE"),
    # The commit before PREPARED.
    ("thread", "COMMIT_EARLY", "STAYS=2"),
    # A late PREPARE of an older stay is taken.
    ("thread", "OLD_STAY", "STAYS=2"),
    # RETURN is sent by a visitor that still runs.
    ("thread", "RETURN_EARLY", "STAYS=2"),
]

# Rows that no run takes, and why.
ABSTRACTED = {
    ("HOME", "FREEZING"): "PREPARING follows under the same lock",
    ("GONE", "FREEZING"): "the same",
    ("GONE", "PREPARING"): "a killed deputy comes home first",
    ("GONE", "RETURNING"): "the same",
}
TABLES = {"pages": ["PAGE"], "thread": ["THREAD", "VISITOR"]}

FOUND = re.compile(r"^pan:1: (.*)", re.M)


class Run:
    """One model with one set of macros, searched to the end or to the first error."""

    def __init__(self, model, parts):
        self.output = self.found = self.problem = ""
        try:
            self.search(model, parts.split())
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError, OSError) as error:
            said = [getattr(error, name, None) or "" for name in ("stdout", "stderr")]
            self.problem = "\n".join([str(error), *map(str, said)])[:2000]
        self.rows = set(re.findall(r"^row (\w+) (\w+)$", self.output, re.M))

    def search(self, model, parts):
        place = PLACE / "-".join([model, *parts])
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)

        def run(*command):
            return subprocess.run(command, cwd=place, stdin=subprocess.DEVNULL, check=True,
                                  capture_output=True, text=True, timeout=SECONDS).stdout
        run("gcc", "-E", "-x", "c", "-I", str(PLACE), *(f"-D{p}" for p in parts),
            "-o", "model.pml", str(MODELS / f"{model}.pml"))
        complaint = run("spin", "-a", "model.pml").replace("ltl ", "")
        if "rror" in complaint:
            raise OSError(complaint)
        live = "LIVE" in parts
        # For the processes of the model, more than ten with DEATH.
        fair = f"-DNFAIR={4 if 'DEATH' in parts else 3}"
        # A mistake is found before an optimizer has read the program. No partial order
        # reduction: the invariants look at everything.
        mistake = any(p.startswith("BUG_") for p in parts)
        run("gcc", "-O0" if mistake else "-O1", "-w", "-DNOREDUCE", f"-DMEMLIM={MEGABYTES}",
            fair if live else "-DSAFETY", "-o", "pan", "pan.c")
        self.output = run("./pan", "-n", f"-m{DEPTH}", *(["-a", "-f"] if live else []))
        (place / "output").write_text(self.output, encoding="utf-8")
        match = FOUND.search(self.output)
        self.found = match[1] if match else ""
        if not re.search(r"errors: \d", self.output) or \
                re.search(r"not completed|too small|truncated", self.output) and not match:
            self.problem = "the search did not end: " + self.output[-1500:]

    def size(self):
        """Of the state space, to be shown."""
        states = re.search(r"(\d+) states, stored", self.output)
        seconds = re.search(r"elapsed time ([\d.e+]+)", self.output)
        return f"{states[1] if states else 0} states, {seconds[1] if seconds else 0} s"


def tables():
    """The tables, for the preprocessor; as (to, from) by machine."""
    text = "".join((paths.TOP / name).read_text(encoding="utf-8")
                   for name in ("uapi/linux/radium.h", "kmod/states.h"))
    macros = re.findall(r"^#define RAD(?:IUM)?_[A-Z]+_(?:STATES|FIRST|MOVES)\(X\)(?:.*\\\n)*.*\n",
                        text, re.M)
    PLACE.mkdir(parents=True, exist_ok=True)
    (PLACE / "tables.h").write_text("".join(macros), encoding="utf-8")
    return {re.match(r"#define RAD_([A-Z]+)_MOVES", macro)[1]:
            set(re.findall(r"X\((\w+),\s*(\w+),", macro))
            for macro in macros if "_MOVES(X)" in macro}


def missing(model, moves, runs):
    """Rows of a model's tables that are not taken as they should be."""
    wanted = set().union(*(moves[table] for table in TABLES[model]))
    taken = set().union(*(run.rows for run in runs))
    never = {row for row in wanted if row in ABSTRACTED}
    return [f"not taken: {to} from {was}" for to, was in sorted(wanted - taken - never)] + \
           [f"taken, though named as abstracted: {to} from {was}" for to, was in sorted(taken & never)]


def run(_context, only):
    """The suite "model"."""
    moves = tables()
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        jobs = {}

        def begin(model, parts):
            if (model, parts) not in jobs:
                jobs[model, parts] = pool.submit(Run, model, parts)

        for model, name, parts in HOLDS:
            if only(f"{model}.{name}") or only(f"{model}.every_row_is_taken"):
                begin(model, parts)
        for model, name, parts in MISTAKES:
            if only(f"{model}.finds_{name.lower()}"):
                begin(model, f"{parts} BUG_{name}")

        for model, name, parts in HOLDS:
            if only(f"{model}.{name}"):
                done = jobs[model, parts].result()
                wrong = done.problem or done.found
                yield Result(f"{model}.{name}", FAIL if wrong else PASS, wrong, [done.size()])
        for model in TABLES:
            if only(f"{model}.every_row_is_taken"):
                runs = [jobs[m, parts].result() for m, _, parts in HOLDS if m == model]
                wrong = "\n".join(missing(model, moves, runs))
                yield Result(f"{model}.every_row_is_taken", FAIL if wrong else PASS, wrong)
        for model, name, parts in MISTAKES:
            if only(f"{model}.finds_{name.lower()}"):
                done = jobs[model, f"{parts} BUG_{name}"].result()
                good = re.search(r"assertion violated|invalid end state|acceptance cycle", done.found)
                yield Result(f"{model}.finds_{name.lower()}", PASS if good else FAIL,
                             done.problem or f"not found; {done.size()} {done.found}")
