# SPDX-License-Identifier: GPL-2.0
"""What is not as it is at home, as both machines see it: each test shows one difference that
Documentation/guarantees.rst names."""

import json
import time

from . import guest, links
from .control import AS_NOBODY, SPIN, becomes, migrate, radctl, shown, start, stop, within
from .context import Skip, each
from .groups import computed
from .remains import has_memory_of_calls, nothing_left, replica

PROGRAMS = "differences", "differences_calls"

GROUP = "/sys/fs/cgroup/st-differences"

# Says in a file what its argument evaluates to, again and again.
TELLER = r"""
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def tai_by_call():
    now = (ctypes.c_long * 2)()
    libc.syscall(228, 11, now)
    return now[0]
def minutes_west():
    zone = (ctypes.c_int * 2)()
    ctypes.CDLL("linux-vdso.so.1").__vdso_gettimeofday(None, zone)
    return zone[0]
while True:
    value = eval(sys.argv[1])
    with open("/tmp/told.new", "w") as file:
        print(value, file=file)
    os.rename("/tmp/told.new", "/tmp/told")
"""


def thread_of(bed, pid):
    """What is known of the first thread of a process."""
    return [t for t in shown(bed, "show", str(pid))["threads"] if t["tid"] == pid][0]


def is_there(bed, path, node=1):
    """Has a program made this file?"""
    return not bed.execute(node, "test", "-e", path).returncode


def new_group(bed, node):
    """A control group of a machine."""
    if bed.execute(node, "test", "-w", "/sys/fs/cgroup/cgroup.procs").returncode:
        raise Skip("no cgroup2")
    bed.run(node, f"mkdir -p {GROUP}")
    return GROUP


def stop_visitor(bed, visitor):
    """Stops the one visitor of a replica on node 2. The signal is for the whole process, but
    who is told of it is the task that is named; its first, which sleeps, takes no notice."""
    tid = max(map(int, bed.run(2, f"ls /proc/{visitor}/task").split()))
    assert tid != visitor, "no visitor"
    bed.run(2, f"kill -STOP {tid}")
    within(20 * bed.slow, lambda: bed.run(
        2, f"cut -d' ' -f3 /proc/{visitor}/task/{tid}/stat").strip() == "T", "it is stopped there")


def visitor_runs_with_defaults(context):
    """Priority, class, group and what is charged to the group are the deputy's; the visitor
    has those of any process of its node."""
    bed, group = context.bed, new_group(context.bed, 1)
    pid = start(bed, f"chrt -b 0 nice -n 10 {SPIN}")

    def used():
        return int(bed.run(1, f"awk '/^usage_usec/ {{ print $2 }}' {group}/cpu.stat"))
    try:
        bed.run(1, f"echo {pid} > {group}/cgroup.procs")
        # Not chrt or nice yet, which would be executed away from the replica that is looked at.
        within(20 * context.slow, lambda: bed.run(
            1, f"tr '\\0' ' ' < /proc/{pid}/cmdline").strip() == SPIN, "it is the loop itself")
        migrate(bed, pid)
        visitor = replica(bed)
        before, begin = used(), computed(bed, visitor)
        within(60 * context.slow, lambda: computed(bed, visitor) > begin + 500,
               "it computes there")
        assert used() - before < 250000, f"{used() - before} us are charged at home"
        at_home = bed.run(1, f"ps -o cls=,ni=,stat= -p {pid}").split()
        assert at_home[:2] == ["B", "10"] and at_home[2].startswith("S"), at_home
        there = [line.split() for line in
                 bed.run(2, f"ps -L -o cls=,ni=,comm= -p {visitor}").splitlines()]
        # And who makes the tasks of visitors, before those that compute already.
        assert {tuple(t) for t in there} == {("TS", "0", "sh"),
                                             ("TS", "-20", "radium-replica")}, there
        assert bed.run(2, f"cat /proc/{visitor}/cgroup").strip().endswith("::/")
    finally:
        stop(bed, pid)
        bed.execute(1, "rmdir", group)


def signals_on_its_node(context):
    """What is sent to a replica is dropped, but for KILL; STOP and CONT stop the visitors and
    let them go on, without home's knowing. A visitor that is stopped comes home when it goes on."""
    bed = context.bed
    pid = links.begin(bed)
    try:
        visitor = replica(bed)
        for number in "TERM", "INT", "HUP", "USR1", "SEGV", "ALRM":
            bed.run(2, f"kill -{number} {visitor}")
        links.goes_on(bed, "after signals to its replica", 20)
        stop_visitor(bed, visitor)
        before = links.lines(bed)
        time.sleep(1)
        assert links.lines(bed) == before, "it goes on, stopped"
        assert thread_of(bed, pid)["state"] == "away", thread_of(bed, pid)
        done = radctl(bed, "recall", "--timeout", "2", str(pid))
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done
        assert links.lines(bed) == before, "it goes on, stopped"
        bed.run(2, f"kill -CONT {visitor}")
        within(20 * context.slow, lambda: thread_of(bed, pid)["state"] == "home",
               "it comes home")
        links.goes_on(bed, "at home")
        links.finish(bed)
    finally:
        bed.run(2, "pkill -CONT radium-replica || true")
        stop(bed, pid)
    nothing_left(context)


def stopped_on_its_node_is_killed(context):
    """kill -9 at home ends what is stopped, or frozen, elsewhere."""
    bed, group = context.bed, new_group(context.bed, 2)
    freeze = f"echo %d > {group}/cgroup.procs && echo 1 > {group}/cgroup.freeze"
    try:
        for how in "stop", freeze:
            pid = start(bed, SPIN)
            migrate(bed, pid)
            visitor = replica(bed)
            if how == freeze:
                bed.run(2, freeze.replace("%d", str(visitor)))
            else:
                stop_visitor(bed, visitor)
            stop(bed, pid)
            nothing_left(context)
    finally:
        bed.run(2, f"echo 0 > {group}/cgroup.freeze")
    bed.run(2, f"rmdir {group}")


def frozen_on_its_node(context):
    """A replica in a frozen group computes nothing; home can call its thread home all the
    same, and the group counts as frozen only when the waiting tasks of the replica have gone."""
    bed, group = context.bed, new_group(context.bed, 2)
    pid = links.begin(bed)
    try:
        visitor = replica(bed)
        bed.run(2, f"echo {visitor} > {group}/cgroup.procs; echo 1 > {group}/cgroup.freeze")

        def stands():
            before = links.lines(bed)
            time.sleep(1)
            return links.lines(bed) == before
        within(20 * context.slow, stands, "it stands still")
        assert "frozen 0" in bed.run(2, f"cat {group}/cgroup.events")
        done = radctl(bed, "recall", str(pid))
        assert done.returncode == 0, done.stderr
        links.goes_on(bed, "at home")
        bed.run(2, f"echo 0 > {group}/cgroup.freeze")
        links.finish(bed)
    finally:
        bed.run(2, f"echo 0 > {group}/cgroup.freeze")
        stop(bed, pid)
        nothing_left(context)
        bed.run(2, f"rmdir {group}")


IDS = r"""
import os, time
open("/tmp/ids.begun", "w").close()
while not os.path.exists("/tmp/ids.go"):
    pass
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
open("/tmp/ids.done", "w").close()
while True:
    pass
"""


def ids_are_of_the_first_move(context):
    """The replica has the ids of when the process began to be distributed."""
    bed = context.bed
    bed.run(1, f"rm -f /tmp/ids.*; cat > /tmp/ids.py <<'END'\n{IDS}\nEND")
    bed.run(2, "chmod 666 /dev/radium")
    pid = start(bed, "python3 /tmp/ids.py")

    def owner():
        return bed.run(2, f"ps -o uid=,gid= -p {replica(bed)}").split()
    try:
        within(20 * context.slow, lambda: is_there(bed, "/tmp/ids.begun"),
               "it begins")
        migrate(bed, pid)
        assert owner() == ["0", "0"], owner()
        bed.run(1, "touch /tmp/ids.go")
        within(20 * context.slow, lambda: is_there(bed, "/tmp/ids.done"),
               "it has other ids")
        assert bed.run(1, f"ps -o uid= -p {pid}").strip() == "65534"
        assert owner() == ["0", "0"], owner()
        assert radctl(bed, "recall", "--all", str(pid)).returncode == 0
        nothing_left(context)
        migrate(bed, pid)
        assert owner() == ["65534", "65534"], owner()
    finally:
        stop(bed, pid)


def replica_has_no_privilege(context):
    """Of its owner it has the numbers; no groups, no capability nor a way to get one, no file
    but the device, and its owner there may not look into it."""
    bed = context.bed
    bed.run(2, "chmod 666 /dev/radium")
    spin = "sh -c 'while :; do :; done'"     # others may not read SPIN's script
    for command, owner in (spin, "0"), (" ".join(AS_NOBODY) + " " + spin, "65534"):
        pid = start(bed, command)
        try:
            becomes(bed, pid, "sh")
            assert bed.run(1, f"ps -o uid= -p {pid}").strip() == owner
            migrate(bed, pid)
            visitor = replica(bed)
            for task in bed.run(2, f"ls /proc/{visitor}/task").split():
                said = dict(line.split(":", 1) for line in
                            bed.run(2, f"cat /proc/{visitor}/task/{task}/status").splitlines())
                assert set(said["Uid"].split()) == set(said["Gid"].split()) == {owner}, said
                assert said["Groups"].split() == [], said
                for name in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
                    assert int(said[name], 16) == 0, said
            assert bed.run(2, f"readlink /proc/{visitor}/fd/*").split() == ["/dev/radium"]
            assert bed.run(2, f"stat -c %u /proc/{visitor}/maps").strip() == "0"
            done = bed.execute(2, *AS_NOBODY, "cat", f"/proc/{visitor}/maps")
            assert done.returncode and not done.stdout, done
        finally:
            stop(bed, pid)


SET_USER_ID = """
cp /usr/bin/sleep /tmp/st-sleep; chown root:root /tmp/st-sleep; chmod 4755 /tmp/st-sleep
chmod 666 /dev/radium
"""


def gained_rights_stay_home(context):
    """A program with the rights of somebody else, which who began it may not trace, is not
    taken along; one that it executes without them is. Who may trace all takes it along."""
    bed = context.bed
    bed.run(1, SET_USER_ID)
    bed.run(2, "chmod 666 /dev/radium")
    run = "radctl run --node 2 -- /tmp/st-sleep 1000"

    def threads(pid):
        done = radctl(bed, "-j", "show", str(pid))
        return json.loads(done.stdout)["threads"] if done.returncode == 0 else []
    pid = start(bed, " ".join(AS_NOBODY) + " " + run)
    try:
        becomes(bed, pid, "st-sleep")
        if bed.run(1, f"ps -o euid= -p {pid}").strip() != "0":
            raise Skip("/tmp is mounted nosuid")
        bed.run(1, f"sleep {3 * context.slow}")
        assert not any(t["state"] == "away" for t in threads(pid)), threads(pid)
        done = bed.execute(1, *AS_NOBODY, "radctl", "migrate", str(pid), "2")
        assert done.returncode == 1 and "may not trace" in done.stderr, done
    finally:
        stop(bed, pid)
    pid = start(bed, run)
    try:
        within(60 * context.slow, lambda: any(t["state"] == "away" for t in threads(pid)),
               "root's goes")
    finally:
        stop(bed, pid)


# One that takes all rights of its owner, and executes another: that has them from the beginning.
TAKE_RIGHTS = """
cp /usr/bin/setpriv /tmp/st-setpriv; chown root:root /tmp/st-setpriv; chmod 4755 /tmp/st-setpriv
chmod 666 /dev/radium
"""


def programs_of_others_stay_home(context):
    """What a program with the rights of somebody else starts for him, and its children, are not
    taken along by who began it either; the same program, without these rights, is."""
    bed = context.bed
    bed.run(1, TAKE_RIGHTS)
    bed.run(2, "chmod 666 /dev/radium")
    take = "/tmp/st-setpriv --reuid 0 --regid 0 --clear-groups"
    spin = "while :; do :; done"

    def went(begin):
        """Of the program that a shell is, and its child: their users, and whether they went."""
        pid = start(bed, " ".join(AS_NOBODY) + f" radctl run --node 2 -- {begin} "
                    f"sh -c '({spin}) & {spin}'")
        found = []

        def begun():
            found[:] = [pid] + list(map(int, bed.run(1, f"pgrep -P {pid} -x sh || true").split()))
            return len(found) == 2
        try:
            within(120 * context.slow, begun, "both work")
            users = {bed.run(1, f"ps -o euid= -p {one}").strip() for one in found}

            def away():
                return {p["pid"] for p in shown(bed, "ps") if p["threads_away"]} & set(found)
            if begin:
                bed.run(1, f"sleep {3 * context.slow}")
            else:
                within(120 * context.slow, lambda: len(away()) == 2, "they go")
            return users, away()
        finally:
            bed.run(1, f"pkill -9 -s {pid} || true")
    users, _ = went("")
    assert users == {"65534"}, users
    users, away = went(take)
    if "0" not in users:
        raise Skip("/tmp is mounted nosuid")
    assert users == {"0"} and not away, (users, away)


def others_see_that_it_is_away(context):
    """Every user sees which processes are distributed, and what happens to them; what they do,
    call by call and page by page, only who may trace them."""
    bed = context.bed
    bed.run(1, "chmod 666 /dev/radium")
    pid = start(bed, SPIN)

    def as_nobody(*words):
        return bed.execute(1, *AS_NOBODY, "radctl", *words)
    try:
        migrate(bed, pid)
        done = as_nobody("-j", "ps")
        assert done.returncode == 0 and f'"pid": {pid}' in done.stdout, done
        assert as_nobody("node", "list").returncode == 0
        done = as_nobody("show", str(pid))
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
        done = as_nobody("recall", str(pid))
        assert done.returncode == 1 and "may not trace" in done.stderr, done
        assert thread_of(bed, pid)["node"] == 2
    finally:
        stop(bed, pid)


SNIFFER = r"""
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("eth0", 0))
open("/tmp/sniffer.ready", "w").close()
while True:
    packet = s.recv(65536)
    if b"in-clear-in-clear-in-clear" in packet:
        open("/tmp/sniffer.found", "w").close()
        break
"""


def traffic_is_readable(context):
    """Who sees the packets between two nodes sees what programs say and what is in their memory."""
    bed = context.bed
    bed.run(2, f"rm -f /tmp/sniffer.*; cat > /tmp/sniffer.py <<'END'\n{SNIFFER}\nEND")
    sniffer = start(bed, "python3 /tmp/sniffer.py", 2)
    pid = start(bed, """perl -e '$m = "in-" . "clear-"; $m .= "in-clear-" x 300; """
                     """open($o, ">", "/dev/null"); while (1) { syswrite($o, $m); }'""")
    try:
        within(20 * context.slow, lambda: is_there(bed, "/tmp/sniffer.ready", 2),
               "somebody listens")
        migrate(bed, pid)
        within(50 * context.slow, lambda: is_there(bed, "/tmp/sniffer.found", 2),
               "it is read")
    finally:
        stop(bed, pid)
        stop(bed, sniffer, 2)


TRACE = """
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing || exit 77
cd /sys/kernel/tracing && [ -w kprobe_events ] || exit 77
echo 'p:st __x64_sys_write buf=+104(%di):x64 count=+96(%di):x64' > kprobe_events || exit 77
echo 'common_pid == {pid}' > events/kprobes/st/filter
echo > trace; echo 1 > events/kprobes/st/enable
"""
UNTRACE = """
cd /sys/kernel/tracing
echo 0 > events/kprobes/st/enable; echo > kprobe_events; echo > trace
"""


def tracers_see_lent_memory(context):
    """Who traces calls inside the kernel sees pointers into the memory that is lent to them."""
    bed = context.bed
    # What it writes it has changed there, all of it: a page of it may be at home else, and the
    # call is given what is there.
    pid = start(bed, "perl -e 'open($o, \">\", \"/dev/null\"); $m = \"x\" x 777; "
                     "while (1) { $m =~ tr/xy/yx/; syswrite($o, $m); }'")

    def pointers():
        lines = bed.run(1, "head -n 200 /sys/kernel/tracing/trace").splitlines()
        return [int(line.partition("buf=")[2].split()[0], 16) for line in lines
                if "buf=" in line and "count=0x309" in line]
    try:
        done = bed.execute(1, "sh", "-c", TRACE.format(pid=pid))
        if done.returncode == 77:
            raise Skip("no kprobe events")
        assert done.returncode == 0, done.stderr
        try:
            within(20 * context.slow, pointers, "it writes at home")
            migrate(bed, pid)
            within(20 * context.slow, lambda: has_memory_of_calls(bed, pid), "[radium] in maps")
            bed.run(1, "echo > /sys/kernel/tracing/trace")
            within(20 * context.slow, pointers, "it writes from elsewhere")
            lent = bed.run(1, f"awk '/\\[radium\\]/ {{ print $1 }}' /proc/{pid}/maps").strip()
            first, last = (int(end, 16) for end in lent.split("-"))
            assert all(first <= p < last for p in pointers()), (lent, pointers()[:5])
        finally:
            bed.run(1, UNTRACE)
    finally:
        stop(bed, pid)


SET_TAI = ("import ctypes, struct; b = ctypes.create_string_buffer(300); "
           "struct.pack_into('I', b, 0, 0x80); struct.pack_into('q', b, 48, {}); "
           "ctypes.CDLL(None).adjtimex(b)")


def tai_has_the_nodes_offset(context):
    """CLOCK_TAI, read without a call, is home's CLOCK_REALTIME with the node's number of leap
    seconds."""
    bed = context.bed
    bed.run(1, f"rm -f /tmp/told; cat > /tmp/teller.py <<'END'\n{TELLER}\nEND")
    pid = start(bed, "python3 /tmp/teller.py 'int(time.clock_gettime(11)) - tai_by_call()'")

    def told():
        text = bed.run(1, "cat /tmp/told 2>/dev/null || true").strip()
        return int(text) if text else None
    try:
        bed.run(2, f'python3 -c "{SET_TAI.format(37)}"')
        within(20 * context.slow, lambda: told() in (0, -1), "it is right at home")
        migrate(bed, pid)
        within(20 * context.slow, lambda: told() in (36, 37), "37 s more there")
        assert radctl(bed, "recall", str(pid)).returncode == 0
        within(20 * context.slow, lambda: told() in (0, -1), "it is right at home again")
    finally:
        bed.run(2, f'python3 -c "{SET_TAI.format(0)}"')
        stop(bed, pid)


SET_ZONE = ("import ctypes; c = ctypes.CDLL(None, use_errno=True); "
            "z = (ctypes.c_int * 2)({}, 0); "
            "assert c.settimeofday(None, z) == 0, ctypes.get_errno()")


def time_zone_is_the_nodes(context):
    """The kernel's time zone, as gettimeofday() gives it without a call, is the node's."""
    bed = context.bed
    bed.run(1, f"rm -f /tmp/told; cat > /tmp/teller.py <<'END'\n{TELLER}\nEND")
    pid = start(bed, "python3 /tmp/teller.py 'minutes_west()'")

    def tells(minutes):
        within(20 * context.slow, lambda: bed.run(
            1, "cat /tmp/told 2>/dev/null || true").strip() == str(minutes), f"it tells {minutes}")

    def set_zone(minutes):
        bed.run(2, f'python3 -c "{SET_ZONE.format(minutes)}"')
    try:
        # The first zone that a machine is told of but 0 corrects its date.
        set_zone(0)
        set_zone(90)
        tells(0)
        migrate(bed, pid)
        tells(90)
        assert radctl(bed, "recall", str(pid)).returncode == 0
        tells(0)
    finally:
        stop(bed, pid)
        set_zone(0)


def other_clock_source(context):
    """Where the node counts time by other means than home the program's clock is asked for by
    calls, which home answers; otherwise there are none."""
    bed, path = context.bed, "/sys/devices/system/clocksource/clocksource0/"
    there = bed.run(2, f"cat {path}available_clocksource").split()
    before = bed.run(2, f"cat {path}current_clocksource").strip()
    other = [source for source in there if source in ("hpet", "acpi_pm")]
    if before != "tsc" or bed.run(1, f"cat {path}current_clocksource").strip() != "tsc" or not other:
        raise Skip(f"clock sources: {before}, {there}")
    bed.run(1, f"cat > /tmp/teller.py <<'END'\n{TELLER}\nEND")

    def asked(source):
        """Are its clocks asked for by calls, where time is counted so?"""
        bed.run(2, f"echo {source} > {path}current_clocksource")
        bed.run(1, "rm -f /tmp/told")
        pid = start(bed, "python3 /tmp/teller.py 'sum(time.monotonic() > 0 for _ in range(99))'")
        try:
            # The calls with which an interpreter begins would be enough of them, all of others.
            within(30 * context.slow, lambda: is_there(bed, "/tmp/told"), "it tells")
            migrate(bed, pid)

            def calls():
                return {c["name"]: c["count"] for c in thread_of(bed, pid)["syscalls_top"]}
            within(60 * context.slow, lambda: sum(calls().values()) > 30, "it makes calls")
            return calls().get("clock_gettime", 0) > 5
        finally:
            stop(bed, pid)
    try:
        assert not asked("tsc")
        assert asked(other[0])
    finally:
        bed.run(2, f"echo {before} > {path}current_clocksource")


# By how many seconds the date has been set while no call was made, and in all, most and last.
DATE = r"""
import os, time
def date():
    # Who is kept waiting between the two looks sees less: not all three times.
    return max(time.time() - time.monotonic() for _ in range(3))
first, most = date(), 0
while True:
    begin, end = date(), time.monotonic() + {seconds}
    while time.monotonic() < end:
        now = date()
    most = max(most, round(now - begin))
    with open("/tmp/told.new", "w") as file:
        print(most, round(now - first), file=file)
    os.rename("/tmp/told.new", "/tmp/told")
"""

SET_WHEN_TOLD = """
i=$(stat -c %i /tmp/told)
until [ $(stat -c %i /tmp/told) != $i ]; do sleep 0.1; done
[ "$(cat /tmp/told)" = "0 0" ] && date -s "+500 sec"
"""


def set_date_is_followed_later(context):
    """Home's date is set: a program that makes no call does not see it away from home, where
    it follows with the next call."""
    bed = context.bed
    bed.run(1, f"cat > /tmp/date.py <<'END'\n{DATE.format(seconds=4 * context.slow)}\nEND")

    def told():
        return tuple(map(int, bed.run(1, "cat /tmp/told 2>/dev/null || true").split()))

    def seen_when_set(move):
        """Sets the date, and back."""
        bed.run(1, "rm -f /tmp/told")
        pid = start(bed, "python3 /tmp/date.py")
        try:
            # At home, first: an interpreter begins with many pages.
            within(60 * context.slow, lambda: told() == (0, 0), "it tells the date")
            move(pid)
            # At the beginning of a time without calls: when it has told again.
            bed.run(1, SET_WHEN_TOLD, timeout=60 * context.slow)
            try:
                within(60 * context.slow, lambda: told()[1] in (499, 500, 501), "it has seen it")
                return told()[0]
            finally:
                bed.run(1, "date -s '-500 sec'")
        finally:
            stop(bed, pid)
    assert seen_when_set(lambda pid: None) in (499, 500, 501)
    assert seen_when_set(lambda pid: migrate(bed, pid)) == 0


def run(context, only):
    """The suite "differences"."""
    for program in PROGRAMS:
        yield from guest.run(context, program, only)
    if not context.native:
        yield from each(context, [
            visitor_runs_with_defaults, signals_on_its_node, stopped_on_its_node_is_killed,
            frozen_on_its_node, ids_are_of_the_first_move, replica_has_no_privilege,
            gained_rights_stay_home, programs_of_others_stay_home,
            others_see_that_it_is_away, traffic_is_readable,
            tracers_see_lent_memory, tai_has_the_nodes_offset, time_zone_is_the_nodes,
            other_clock_source, set_date_is_followed_later], only)
