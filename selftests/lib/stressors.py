# SPDX-License-Identifier: GPL-2.0
"""Every stressor of stress-ng, at home and away: the same verdict. What it says is kept in
build/stressors.json, of which Documentation/stressors.rst is made."""

import dataclasses
import functools
import re
import subprocess

from . import homecomings, paths
from .control import AS_NOBODY, nodes, see_each_other
from .ends import believe_dead_after
from .moved import WORK, each_program, watch
from .tap import FAIL, PASS, SKIP, Result
from .testbed import Dead

RECORD = paths.BUILD / "stressors.json"
CALIBRATE = 1       # seconds of work at home that say how much work a run is
BACKSTOP = 4        # seconds after which stress-ng ends a stressor that is away
LIMIT = 180         # seconds after which we end it; away, so many times what it took at home more
SLOWER = 20
# A stressor of which nothing has gone out works again, so many times as much.
TRIES, MORE = 3, 8
NODE = 2
# A machine that is stressed, and one CPU, is silent for longer than others before it is dead.
DEAD_MS, USUAL_DEAD_MS = 60000, 10000
# Those that will not work for root work for nobody.
NOT_ROOT = re.compile(r"must not run as root|without root")
# Those that want of a file system what one in memory has not: swap files, attributes of users.
ON_DISK = {"swap", "xattr"}
DISK = "/tmp/st-disk"
MAKE_DISK = f"""
mountpoint -q {DISK} && exit 0
modprobe -q loop; modprobe -q ext4
mkdir -p {DISK} && truncate -s 64M {DISK}.image && mkfs.ext4 -q -F {DISK}.image &&
mount -o loop {DISK}.image {DISK} && chmod 1777 {DISK}
"""
# Of a run that nobody asked for by name: most are of several classes.
CHOICE = set("matrix sigq aio mremap sockpair".split())

# stress-ng's exit statuses (its manual page).
EXIT_NO_RESOURCE, EXIT_NOT_IMPLEMENTED, EXIT_UNTRUSTED = 3, 4, 7
LINE = re.compile(r"^stress-ng: (\w+): +\[\d+\] (.*)$")
WHY_NOT = re.compile(r"skip|disabled '|cannot|not (?:available|implemented|supported|enabled|recogni)")
REDUNDANT = re.compile(r"^(?:\S+:? )??(?:stressor )?(?:will be skipped|skipping stressor), |"
                       r"(?:, | )skipping (?:the )?(?:stressor|test)$")
UNFINISHED = "same, though it has counted nothing in its time"
NOTHING = "No stress workers invoked"


@dataclasses.dataclass
class Verdict:
    """What stress-ng says of one stressor."""
    outcome: str            # PASS, FAIL or SKIP
    reason: str = ""        # unless it passes
    ops: int = 0            # done

    def __str__(self):
        if self.outcome == PASS:
            return "passes" if self.ops else "passes, counts nothing"
        return {FAIL: "fails: ", SKIP: "skipped: "}[self.outcome] + self.reason


def stressors():
    """Name: classes, of this machine's stress-ng, by its own lists."""
    def listed(*words):
        done = subprocess.run(["stress-ng", *words], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr
    found = {name: [] for name in listed("--stressors").split()}
    classes = re.search(r"available classes: (.*)", listed("--class", "?"))[1]
    for name in classes.split():
        for member in listed("--class", name + "?").partition("stressors:")[2].split():
            found[member].append(name)
    return found


def version():
    """Which stress-ng this is."""
    done = subprocess.run(["stress-ng", "--version"], capture_output=True, text=True, check=True)
    return re.search(r"version (\S+)", done.stdout)[1].rstrip(",")


def judge(name, status, text):
    """The verdict of an exit status (of wait) and stress-ng's lines. What it says is without
    the numbers of processes, which are never the same."""
    said = [match.groups() for match in map(LINE.match, text.splitlines()) if match]
    ops = [int(match[1]) for kind, line in said if kind == "metrc"
           for match in [re.match(rf"{name} +(\d+) +[\d.]+ +[\d.]+ ", line)] if match]
    failures = [re.sub(r"\b\d{2,}\b", "N", line) for kind, line in said if kind == "fail"]
    reasons = [line for kind, line in said if WHY_NOT.search(line)]
    code = status >> 8 if not status & 0x7f else -(status & 0x7f)
    if failures or any("unsuccessful" in line for _, line in said):
        reason = failures[0] if failures else f"exit status {code}"
        return Verdict(FAIL, reason, sum(ops))
    if any(NOTHING in line for _, line in said) or code in (EXIT_NO_RESOURCE, EXIT_NOT_IMPLEMENTED):
        reason = reasons[0] if reasons else (said or [("", f"exit status {code}")])[-1][1]
        return Verdict(SKIP, REDUNDANT.sub("", reason), sum(ops))
    # It ended before it had counted what it had done: no judgement of what it did.
    if code and code != EXIT_UNTRUSTED:
        return Verdict(FAIL, f"exit status {code}" if code > 0 else f"signal {-code}", sum(ops))
    return Verdict(PASS, "", sum(ops))


def place(context, name):
    """Where a stressor makes its files: a machine may have been booted since the last time."""
    if name not in ON_DISK or context.bed.execute(1, "sh", "-c", MAKE_DISK).returncode:
        return WORK
    return DISK


def stress(context, name, ops, seconds, away, user, limit=LIMIT):
    """One run, for a user, by words that become one: (verdict, mover's report). Without ops it
    works until the time is over."""
    command = ["stress-ng", f"--{name}", "1", "--timeout", f"{seconds}s", "--verify", "--minimize",
               "--no-rand-seed", "--metrics-brief", "--temp-path", place(context, name)]
    if ops:
        command += [f"--{name}-ops", str(ops)]
    if away:
        command = ["radctl", "run", "--node", str(NODE), "--", *command]
    report, text = watch(context, "-w" if away else "", [*user, *command], limit * context.slow)
    if report["error"]:
        return Verdict(FAIL, report["error"]), report
    return judge(name, report["status"], text), report


def be_patient(context, ms):
    """After how long a silence the two nodes take each other for dead."""
    for node in (1, NODE) if not context.native else ():
        believe_dead_after(context.bed, node, ms)
    context.bed.dead_ms = None


def one_run_at_home(context, name, user, ops, seconds):
    """The verdict of a run at home, how many milliseconds it took, and whether the machines are
    fit for another."""
    bed = context.bed
    try:
        verdict, report = stress(context, name, ops, seconds * context.slow, False, user)
        complaint = bed.verdict()
        if complaint:
            return Verdict(FAIL, "the kernel complains: " + complaint.splitlines()[0]), 0, False
        if bed.module and nodes(bed).get(NODE, {}).get("state") != "up":
            see_each_other(context)
        return verdict, report["ms"], not report["error"]
    except (Dead, AssertionError) as error:
        return Verdict(FAIL, "the machine does not survive it: " + str(error).splitlines()[0]), 0, False


def at_home(context, name, user=(), ops=0, seconds=CALIBRATE):
    """The verdict at home, and how many seconds it took. Machines that do not come through it, or
    whose kernel complains, are replaced; that is the module's doing unless machines without it
    do not either."""
    bed = context.bed
    # What has been complained of before is nothing of this stressor's.
    assert not bed.verdict(), bed.verdict()
    verdict, took, fit = one_run_at_home(context, name, user, ops, seconds)
    if not fit and not context.native:
        complaint = bed.verdict()
        bed.call("down")
        bed.running, bed.module = False, False
        try:
            bed.up()
            alone, took, fit = one_run_at_home(context, name, user, ops, seconds)
        finally:
            bed.call("down")
            bed.running, bed.module = False, True
            be_patient(context, DEAD_MS * context.slow)
        if fit:
            if complaint:
                bed.verdicts.append(f"stress-ng --{name} at home: {complaint}")
            raise AssertionError(f"at home, with the module only: {verdict}")
        verdict = alone
    return verdict, took // 1000


def went_out(sums):
    """Has a process of the stressor been away, and not stress-ng itself only? It has its name
    soon, not at once: what returns has it."""
    return any(counts["away"] or counts["home_by_itself"]
               for comm, counts in sums["by_name"].items() if comm.startswith("stress-ng-"))


def compare(context, name, entry, user, seconds):
    """The stressor away, after it has passed at home; fills the entry and gives a result."""
    ops, notes, sums = max(1, entry["ops_home"] // 2), [], {}
    for _ in range(TRIES):
        verdict, report = stress(context, name, ops, BACKSTOP * context.slow, True, user,
                                 LIMIT + SLOWER * seconds)
        notes += homecomings.lines(report)
        homecomings.add_up(sums, {key: report[key] for key in homecomings.COUNTS})
        entry.update(sums, ops=ops, ops_away=verdict.ops)
        complaint = context.bed.verdict()
        if complaint:
            entry["away"] = "differs, the kernel complains"
            return Result(name, FAIL, complaint, notes)
        if verdict.outcome != PASS:
            again, _ = at_home(context, name, user, ops, BACKSTOP)
            if again.outcome != PASS:
                entry.update(home_verdict=str(again), away="not compared")
                return Result(name, SKIP, f"with {ops} operations at home: {again}", notes)
            entry["away"] = f"differs, {verdict}"
            return Result(name, FAIL, f"away it {verdict}, at home it {again}\n"
                          f"stress-ng --{name} 1 --{name}-ops {ops}", notes)
        if went_out(sums):
            entry["away"] = "same" if verdict.ops or not entry["ops_home"] else UNFINISHED
            return Result(name, PASS, notes=notes)
        ops *= MORE
    entry["away"] = "same, but only stress-ng itself has gone out"
    return Result(name, SKIP, "no process of the stressor has gone out", notes)


def one(context, name, entry):
    """Result of one stressor, and its row of the record."""
    be_patient(context, DEAD_MS * context.slow)
    verdict, seconds = at_home(context, name)
    user = AS_NOBODY if verdict.outcome == SKIP and NOT_ROOT.search(verdict.reason) else ()
    if user:
        verdict, seconds = at_home(context, name, user)
    entry.update(home_verdict=str(verdict) + (", for nobody" if user else ""),
                 ops_home=verdict.ops, away="not compared")
    if context.native:
        return Result(name, PASS if verdict.outcome == PASS else SKIP, str(verdict))
    if verdict.outcome != PASS:
        return Result(name, SKIP, f"at home it {verdict}" if verdict.outcome == FAIL else
                      verdict.reason)
    return compare(context, name, entry, user, seconds)


def run(context, only):
    """The suite "stressors"."""
    record = {"version": version(), "kernel": context.kernel, "stressors": {}}
    tests = {}
    # A complaint of what ran before in these machines is a verdict of its own.
    if context.bed.verdict():
        context.bed.discard("")
    for name, classes in sorted(stressors().items()):
        if only(name) and (context.thorough or name in CHOICE):
            entry = record["stressors"][name] = {"classes": classes, "home_verdict": "not run",
                                                 "away": "not run"}
            tests[name] = functools.partial(one, context, name, entry)
    for result in each_program(context, "stressors", "true", tests):
        entry = record["stressors"][result.name]
        if result.outcome == FAIL and not entry["away"].startswith("differs"):
            entry["away"] = "differs, " + result.reason.splitlines()[0]
        if result.outcome == FAIL:
            # Whatever it was may have spoiled the machines for the next one.
            context.bed.discard(f"stressors-{result.name}")
        homecomings.save(RECORD, record)
        yield result
    if context.bed.running:
        be_patient(context, USUAL_DEAD_MS)
