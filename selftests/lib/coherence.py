# SPDX-License-Identifier: GPL-2.0
"""Threads of one process on three machines, memory as on one: litmus tests and a sweep."""

import contextlib
import re
import time

from . import guest, paths
from .context import each
from .control import SPIN, address, join, migrate, nodes, radctl, shown, start, stop, within
from .ends import dead_seconds, patience
from .remains import nothing_left
from .rivals import rivals
from .tap import FAIL, PASS, Result
from .testbed import Dead

MACHINES = 3
NODES = "1,2,3"
FOUR = 4                # machines of the suite "coherence_four": as many as there can be
MOVE_MS = 100           # on average, between moves of threads


class Size:
    """How much of it."""

    def __init__(self, runs, limit, sweep, patience):
        self.runs = runs            # of each shape
        self.limit = limit          # fewer on a slow host rather than more seconds than that
        self.sweep = sweep          # seconds
        self.patience = patience    # seconds until the runs of a shape have to have ended


SHORT = Size(2304, 10, 10, 120)     # each kind of access and of place twice
FULL = Size(100000, 1000000, 600, 14400)


def play(context, name, timeout, program, *words, places=NODES):
    """One run of a program, which says itself what is wrong; what it prints is shown."""
    place = [] if context.native else ["-n", places, "-m", MOVE_MS]
    seed = context.random.randrange(1, 1 << 20)
    try:
        done = context.bed.execute(1, f"{paths.GUEST}/{program}", *place, "-s", seed, "-t",
                                   context.slow, *words, timeout=timeout * context.slow)
    except Dead as dead:
        context.bed.discard(f"coherence-{name}")
        return Result(name, FAIL, str(dead))
    notes = done.stdout.splitlines()
    if done.returncode:
        return Result(name, FAIL, f"seed {seed}: ended with {done.returncode} {done.stderr[-500:]}",
                      notes)
    return Result(name, PASS, notes=notes)


def tests(context, only, size, places=NODES):
    """Every shape, and the sweep; as many runs as are asked for take as long as they take."""
    if context.runs:
        size = Size(context.runs, FULL.limit, size.sweep, FULL.patience)
    elif context.debug:
        size = Size(size.runs // 2, size.limit, size.sweep, size.patience)
    for shape in guest.cases("litmus"):
        if only(shape):
            yield play(context, shape, size.patience, "litmus", "-r", size.runs, "-d",
                       size.limit * context.slow, shape, places=places)
    if only("sweep"):
        yield play(context, "sweep", size.sweep + 60, "sweep", "-d", size.sweep, places=places)


@contextlib.contextmanager
def sweep_beside(context):
    """A sweep that goes on while something happens to the nodes, and has to end well."""
    bed, seed = context.bed, context.random.randrange(1, 1 << 20)
    bed.run(1, "rm -f /tmp/sweep.*")
    try:
        bed.run(1, "setsid sh -c 'echo $$ >/tmp/sweep.group; trap : TERM; "
                   f"{paths.GUEST}/sweep -n {NODES} -m 200 "
                   f"-s {seed} -t {context.slow} -d 3600 >/tmp/sweep.out 2>&1; "
                   "echo $? >/tmp/sweep.end' </dev/null >/dev/null 2>&1 & "
                   "until test -s /tmp/sweep.group; do sleep 0.1; done")
        yield
        # By its group, not pkill, which looks at every process: for a minute, as busy as that
        # machine is.
        bed.run(1, "kill -s TERM -- -$(cat /tmp/sweep.group)")
        within(60 * context.slow,
               lambda: not bed.execute(1, "test", "-s", "/tmp/sweep.end").returncode,
               "the sweep ends")
    except BaseException:
        # It would go on beside the next test.
        bed.execute(1, "sh", "-c", "g=$(cat /tmp/sweep.group) && kill -s KILL -- -$g; "
                                   "while kill -0 -- -$g; do sleep 0.1; done 2>/dev/null")
        raise
    said = bed.run(1, "cat /tmp/sweep.out /tmp/sweep.end")
    assert said.split()[-1] == "0", said


def nodes_lose_each_other(context):
    """Pages go from node 2 to node 3 and back when the two lose each other, for so long that
    each believes the other dead. Home sees both, and nothing is lost."""
    bed, between = context.bed, ((2, 3), (3, 2))

    def count(what):
        listed = shown(bed, "ps")
        listed = listed if isinstance(listed, list) else listed["processes"]
        return sum(process[what] for process in listed)

    def neighbours(what, how=""):
        for node, other in between:
            bed.run(node, f"ip neigh {what} 10.77.0.{other} {how} dev eth0")

    def all_are(state):
        return all(nodes(bed, node)[other]["state"] == state for node, other in between)

    with sweep_beside(context):
        within(60 * context.slow, lambda: count("pages_forwarded") > 20,
               "pages go from node to node")
        # What one of them sends to the other goes to nobody.
        neighbours("replace", "lladdr 02:00:00:00:00:01 nud permanent")
        try:
            within(dead_seconds(bed) + 10 * context.slow, lambda: all_are("dead"),
                   "the nodes believe each other dead")
            assert {nodes(bed)[n]["state"] for n in (2, 3)} <= {"up", "suspect"}, nodes(bed)
            # What was on its way is settled, and pages go by way of home.
            alone, received = count("pages_forwarded"), count("pages_received")
            within(60 * context.slow, lambda: count("pages_received") > received + 100,
                   "pages come and go")
            assert count("pages_forwarded") == alone
        finally:
            neighbours("del")
        within(60 * context.slow, lambda: all_are("up"), "the nodes see each other")


def connections_are_replaced(context):
    """A node stops for so long that connections break, again and again, and goes on with
    what has come meanwhile: a page that its peers send again is not written twice."""
    bed = context.bed
    before = nodes(bed)[2]["reconnects"]
    with patience(bed, 60, (1, 2, 3)), sweep_beside(context):
        for pause in range(8):
            assert bed.call("freeze", "node2").returncode == 0
            time.sleep(1.2 + pause % 4 * 0.4)
            assert bed.call("thaw", "node2").returncode == 0
            within(20 * context.slow, lambda: nodes(bed)[2]["state"] == "up", "node 2 is up")
    assert nodes(bed)[2]["reconnects"] > before, "no connection was replaced"

    def rests():
        replaced = nodes(bed)[2]["reconnects"]
        bed.run(1, "sleep 3")
        return nodes(bed)[2]["reconnects"] == replaced
    # One that works is not replaced by another, which the end of the one before it has called for.
    within(20 * context.slow, rests, "connections are not replaced any more")


def others_are_served(context):
    """A page is to come from a machine that has stopped. A thread that asks for another page
    in whose turn it is asked for (their numbers are alike modulo 64) does not wait for that."""
    bed, name = context.bed, "/tmp/bystander"

    def said(*what):
        text = bed.run(1, f"cat {name}.out {name}.end 2>/dev/null || true")
        assert "ended" not in text or "ended 0" in text, text
        return set(what) <= set(text.split())

    with patience(bed, 600, (1, 2, 3)):
        bed.run(1, f"rm -f {name}.*; "
                   f"setsid sh -c '{paths.GUEST}/bystander {name}.go >{name}.out 2>&1; "
                   f"echo ended $? >{name}.end' </dev/null >/dev/null 2>&1 &")
        try:
            within(60 * context.slow, lambda: said("ready"), "the threads are in their places")
            assert bed.call("freeze", "node2").returncode == 0
            try:
                bed.run(1, f"touch {name}.go")
                within(60 * context.slow, lambda: said("asked", "served"), "the other page comes")
            finally:
                assert bed.call("thaw", "node2").returncode == 0
            within(60 * context.slow, lambda: said("done", "ended"), "the page comes, too")
        finally:
            bed.run(1, "pkill -KILL -x bystander || true")
            within(60 * context.slow, lambda: nodes(bed)[2]["state"] == "up", "node 2 is up")


def both_run_out_of_credit(context):
    """Two nodes at once ask each other for more pages than there is credit for, while whoever has
    to give them waits for answers of who asks, with the lock that all requests need."""
    bed, name, case = context.bed, "/tmp/crowd", "answers_have_their_own_credit"
    command = f"{paths.GUEST}/threads_crowd -t {context.slow} -n {{}} away {case}"
    bed.run(2, f"rm -f {name}.*; setsid sh -c '{command.format(1)} >{name}.out 2>&1; "
               f"echo $? >{name}.end' </dev/null >/dev/null 2>&1 &")
    done = bed.execute(1, "sh", "-c", command.format(2), timeout=400 * context.slow)
    within(400 * context.slow, lambda: not bed.execute(2, "test", "-s", f"{name}.end").returncode,
           "the other node's is done")
    said = bed.run(2, f"cat {name}.out {name}.end")
    for line in (done.stdout + said).splitlines():
        if line.startswith("# "):
            context.report.note(line[2:])
    assert not done.returncode, done.stdout + done.stderr
    assert said.split()[-1] == "0", said
    for node in range(1, MACHINES + 1):
        nothing_left(context, node)


def two_claim_one_number(context):
    """A machine that comes with the number of another one, which is there, is refused; what
    is on that other one goes on."""
    bed = context.bed
    wait = f"--wait {30 * context.slow}"
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        before = nodes(bed)[2]
        done = radctl(bed, "node", "leave", node=3)
        assert done.returncode == 0, done.stderr
        done = bed.execute(3, "sh", "-c", join(2, 1, at=address(3), options=wait),
                           timeout=60 * context.slow)
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and "same node id" in lines[0], done
        after = nodes(bed)[2]
        assert after["state"] in ("up", "suspect"), after
        assert (after["epoch"], after["addr"]) == (before["epoch"], before["addr"]), (before, after)
        thread = shown(bed, "show", str(pid))["threads"][0]
        assert (thread["state"], thread["node"], thread["returns"]) == ("away", 2, 0), thread
    finally:
        radctl(bed, "node", "leave", node=3)
        bed.run(3, join(3, 1, 2, options=wait), timeout=60 * context.slow)
        within(60 * context.slow, lambda: nodes(bed)[3]["state"] == "up", "node 3 is back")
        stop(bed, pid)


def drain_leaves_others_alone(context):
    """A process has a thread on node 2, which is drained, and one on node 3: that one is there
    again when the drain has ended, and wants to be; the other is at home."""
    bed = context.bed
    pid, threads = rivals(bed)
    try:
        drained, other = [str(tid) for tid, _ in threads[-2:]]
        for tid, node in (drained, "2"), (other, "3"):
            done = radctl(bed, "migrate", "--thread", tid, str(pid), node)
            assert done.returncode == 0, done.stderr

        def places():
            return {str(t["tid"]): (t["state"], t["node"])
                    for t in shown(bed, "show", str(pid))["threads"]}
        assert (places()[drained], places()[other]) == (("away", 2), ("away", 3)), places()
        limit = 60 * context.slow
        done = radctl(bed, "node", "drain", "--timeout", str(limit), node=2, timeout=limit + 60)
        assert done.returncode == 0, done.stderr
        nothing_left(context)
        within(20 * context.slow, lambda: places().get(other) == ("away", 3), "it is on node 3 again")
        assert places().get(drained, ("home", 1))[0] == "home", places()
    finally:
        stop(bed, pid)


def run(context, only):
    """The suite "coherence"."""
    if only("litmus_self_test"):
        done = context.bed.execute(1, f"{paths.GUEST}/litmus", "--self-test")
        yield Result("litmus_self_test", FAIL if done.returncode else PASS,
                     (done.stdout + done.stderr)[-2000:])
    yield from tests(context, only, SHORT)
    if not context.native:
        yield from each(context, [nodes_lose_each_other, connections_are_replaced,
                                  others_are_served, both_run_out_of_credit,
                                  two_claim_one_number, drain_leaves_others_alone], only)


def four(context, only):
    """The suite "coherence_four"."""
    for result in tests(context, only, SHORT, f"{NODES},{FOUR}"):
        arrived = re.search(rf"\b(\d+) at node {FOUR}\b", "\n".join(result.notes))
        if result.outcome == PASS and not (arrived and int(arrived[1])):
            result.outcome, result.reason = FAIL, f"no thread was on node {FOUR}"
        yield result


def soak(context, only):
    """The suite "soak_coherence"."""
    yield from tests(context, only, FULL)
