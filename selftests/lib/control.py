# SPDX-License-Identifier: GPL-2.0
"""The cluster as the tools show it, and wrong input: one line, nothing changed."""

import json
import re
import time

from . import paths
from .context import Skip, each
from .ends import GONE_S, SHELL, kill

# A process that computes until killed.
SPIN = f"sh {paths.GUEST}/spin.sh"
# Numbers of system calls, as /proc/PID/syscall begins.
READ_CALL, POLL, EPOLL_WAIT = "0", "7", "232"


# Until the background is neither this shell any more nor setsid: who looks at a program, or
# moves it, is to find the program. The shell's read passes over the zeros in a command line.
START = r"""setsid {command} </dev/null >/dev/null 2>&1 & p=$!
read -r me < /proc/$$/cmdline
while [ -e /proc/$p/exe ]; do
    c=; read -r c 2>/dev/null < /proc/$p/cmdline
    case "$c" in "" | "$me" | setsid*) sleep 0.02 ;; *) break ;; esac
done
echo $p"""


def start(bed, command, node=1):
    """PID of a program left running in a machine; it has been executed."""
    return int(bed.run(node, START.replace("{command}", command)))


def stop(bed, pid, node=1):
    """Ends a program with SIGKILL; it has to be gone soon, without a node's death."""
    kill(bed, pid, GONE_S * bed.slow, node)


def radctl(bed, *words, node=1, timeout=None):
    """A radctl command's CompletedProcess."""
    return bed.execute(node, "radctl", *words, timeout=timeout)


def shown(bed, *words, node=1):
    """What a reading command gives as JSON."""
    done = radctl(bed, "-j", *words, node=node)
    assert done.returncode == 0, f"radctl {' '.join(words)}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def processes(bed, node=1):
    """PIDs that are distributed."""
    listed = shown(bed, "ps", node=node)
    listed = listed if isinstance(listed, list) else listed["processes"]
    return [p["pid"] for p in listed]


def nodes(bed, node=1):
    """Nodes by id."""
    listed = shown(bed, "node", "list", node=node)
    listed = listed if isinstance(listed, list) else listed["nodes"]
    return {n["id"]: n for n in listed}


def migrate(bed, pid, node=2, **kwargs):
    """Moves a process, which must succeed."""
    done = radctl(bed, "migrate", str(pid), str(node), **kwargs)
    assert done.returncode == 0, f"migrate: {done.stderr}"


def one_moves(bed, node=2):
    """A program begins, and moves to a node: so that works, or works again."""
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid, node)
    finally:
        stop(bed, pid)


def within(seconds, condition, what):
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.3)


def told_lost(context, pid, node):
    """Waits for the line in home's log that a process is killed for the loss of a node."""
    line = re.compile(rf"radium: process {pid} .*is killed: .* on node {node}\b")
    # A console may be slow.
    within(10 * context.slow, lambda: line.search(context.bed.console(1)),
           f"a line in the log on process {pid}")


def becomes(bed, pid, comm):
    """Waits until a process that has been started by others, which it replaces, is a program."""
    within(20 * bed.slow, lambda: bed.run(1, f"cat /proc/{pid}/comm").strip() == comm,
           f"it is {comm}")


def child_of(bed, parent, command, node=1):
    """PID of the child of a shell that executes a command, as soon as it does."""
    found = []

    def executes():
        found[:] = bed.run(node, f"pgrep -P {parent} -fx '{command}' || true").split()
        return found
    within(20 * bed.slow, executes, f"{command} is executed")
    return int(found[0])


def exit_status(bed, path="/tmp/status", node=1):
    """What a shell says in a file of how its program has ended, as soon as it does."""
    found = []

    def said():
        found[:] = bed.run(node, f"cat {path} 2>/dev/null || true").split()
        return found
    within(60 * bed.slow, said, "the program ends")
    return int(found[0])


EVENTS = "/tmp/events"


def listen(bed, option=""):
    """PID of a radctl monitor that hears of all events from now on, until it is asked."""
    bed.run(1, f"rm -f {EVENTS}")
    monitor = start(bed, f"sh -c 'exec radctl {option} monitor >{EVENTS} 2>&1'")
    # Events are collected from its first poll() on.
    within(20 * bed.slow, lambda: bed.run(
        1, f"cut -d' ' -f1 /proc/{monitor}/syscall").strip() == POLL, "it waits for events")
    return monitor


def heard(bed, monitor):
    """What it has printed; it ends."""
    bed.run(1, f"kill -INT {monitor} && while kill -0 {monitor} 2>/dev/null; do sleep 0.1; done")
    return bed.run(1, f"cat {EVENTS}")


def see_each_other(context):
    """Waits until both nodes are up for each other."""
    def both():
        return all(nodes(context.bed, n).get(o, {}).get("state") == "up" for n, o in ((1, 2), (2, 1)))
    within(60 * context.slow, both, "the nodes see each other")


def all_see_all(context):
    """Waits until each node is up for each, itself included."""
    everybody = range(1, context.bed.nodes + 1)

    def sees_all(node):
        seen = nodes(context.bed, node)
        return all(seen.get(other, {}).get("state") == "up" for other in everybody)
    within(60 * context.slow, lambda: all(sees_all(node) for node in everybody), "all see all")


def boot_again(context, node, *options):
    """Boots a machine that is down, and lets it join again."""
    bed = context.bed
    started = bed.call("start", f"node{node}", *options, timeout=200 * context.slow)
    assert started.returncode == 0, started.stderr
    bed.provision(node)
    all_see_all(context)


def module_file(context):
    """The module that the machines have loaded."""
    return paths.TOP / ("build/debug/radium.ko" if context.debug else "radium.ko")


def reload(context, node, module="", parameters=""):
    """A node leaves, if it is one, and has another module loaded, or the usual one anew."""
    context.bed.run(node, "radctl node leave; ! grep -q ^radium /proc/modules || rmmod radium && "
                    f"insmod {module or module_file(context)} {parameters}",
                    timeout=60 * context.slow)


def address(node):
    """Where a machine is, for a shell in one."""
    return f"$(getent hosts node{node} | cut -d' ' -f1)"


KEY = "/run/radium.key"


def join(node, *others, options="", key=KEY, at=""):
    """The command by which a node joins others, for a shell in its machine."""
    return f"radctl node join --id {node} --addr {at or address(node)} --key {key} {options} " + \
        " ".join(map(address, others))


def rejoin(context, node, options=""):
    """Loads and joins again as the testbed did, or with more options."""
    bed = context.bed
    bed.run(node, f"grep -q ^radium /proc/modules || insmod {module_file(context)}")
    bed.run(node, join(node, 3 - node, options=options), timeout=60 * context.slow)
    see_each_other(context)


# The suite "boot".

def machines_answer(context):
    for node in (1, 2):
        context.bed.run(node, "true")


def module_is_loaded(context):
    for node in (1, 2):
        context.bed.run(node, "grep -q ^radium /proc/modules && [ -c /dev/radium ]")


def device_is_for_all(context):
    """As the module makes it: each call decides who may do what."""
    for node in (1, 2):
        said = context.bed.run(node, "stat -c '%F, %a, %U, %G' /dev/radium").strip()
        assert said == "character special file, 666, root, root", f"node{node}: {said}"


def nodes_see_each_other(context):
    see_each_other(context)


def check_is_content(context):
    done = radctl(context.bed, "check")
    assert done.returncode == 0, done.stdout + done.stderr


def one_process_moves(context):
    """There and back, the first thing to work."""
    bed = context.bed
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        assert pid in processes(bed), radctl(bed).stdout
        thread = shown(bed, "show", str(pid))["threads"][0]
        assert thread["node"] == 2, thread
        done = radctl(bed, "recall", str(pid), "--all")
        assert done.returncode == 0, done.stderr
        bed.run(1, f"[ -e /proc/{pid}/exe ]")
    finally:
        stop(bed, pid)


def run_on_node(context):
    """radctl run gives the program's output and exit status, and it was there."""
    done = radctl(context.bed, "run", "--node", "2", "--", "sh", "-c",
                  "radctl -j show $$; echo there; exit 7")
    assert done.returncode == 7 and done.stdout.endswith("}\nthere\n"), \
        (done.returncode, done.stdout, done.stderr)
    process = json.loads(done.stdout.removesuffix("there\n"))
    assert process["migrations"] >= 1 and process["nodes"] == [2], process


def children_follow(context):
    """What a program placed by radctl run starts runs where it runs."""
    bed = context.bed
    shell = start(bed, f"radctl run --node 2 -- sh -c '{SPIN} & {SPIN} & wait'")

    def away():
        family = set(map(int, bed.run(1, f"pgrep -P {shell} || true").split()))
        listed = shown(bed, "ps")
        return [p["pid"] for p in listed if p["pid"] in family and p["threads_away"] == 1
                and p["nodes"] == [2]]
    try:
        within(120 * context.slow, lambda: len(away()) == 2, "the children are on node2")
    finally:
        bed.run(1, f"pkill -9 -s {shell} || true")
        stop(bed, shell)


def children_follow_from_home(context):
    """Also those that it makes while it is at home by itself, for a while."""
    bed, count, said = context.bed, 5, "/tmp/children"
    bed.run(1, f"rm -f {said}")
    pid = start(bed, f"radctl run --node 2 -- {paths.GUEST}/spread {said} {count} fork")
    try:
        within(120 * context.slow, lambda: bed.run(1, f"cat {said} 2>/dev/null || true").count("\n")
               == count + 1, f"{count} children say where they are")
        where = [int(line.split()[2]) for line in bed.run(1, f"cat {said}").splitlines()]
        assert where == [2] * (count + 1), f"on {where}"
        returns = shown(bed, "show", str(pid))["threads"][0]["returns_by_reason"]
        assert returns.get("shared_memory", 0) >= 1, returns
    finally:
        bed.run(1, f"pkill -9 -s {pid} || true")


def boot(context, only):
    """The suite "boot"."""
    yield from each(context, [machines_answer, module_is_loaded, device_is_for_all,
                              nodes_see_each_other, check_is_content, one_process_moves, run_on_node,
                              children_follow, children_follow_from_home], only)


# The suite "refusals".

def refused(context, words, *expected, status=1, prefix=(), node=1):
    """A command that has to fail with one line that contains the words, and to
    leave no process distributed."""
    bed = context.bed

    def away():
        """Of all that are distributed, whether they are away."""
        return {p["pid"]: p["threads_away"] > 0 for p in shown(bed, "ps", node=node)}
    before, known = away(), sorted(nodes(bed, node))
    done = bed.execute(node, *prefix, "radctl", *words)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == status, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert len(lines) == 1, f"{len(lines)} lines: {done.stderr}"
    for text in expected:
        assert text in lines[0], f"'{text}' not in '{lines[0]}'"
    after = away()
    assert set(after) <= set(before) and sorted(nodes(bed, node)) == known, (before, after, known)
    # What the test before has killed may have been there still; all else is where it was.
    for pid in (pid for pid in before if before[pid] and not after.get(pid)):
        assert bed.execute(node, "test", "-e", f"/proc/{pid}/exe").returncode, (before, after)


def no_such_process(context):
    refused(context, ["migrate", "4194000", "2"], "no such process")


def recall_of_no_process(context):
    refused(context, ["recall", "4194000"], "no such process")


def not_distributed(context):
    pid = start(context.bed, "sleep 1000")
    try:
        refused(context, ["recall", str(pid)], "no thread away")
    finally:
        stop(context.bed, pid)


def no_such_node(context):
    pid = start(context.bed, "sleep 1000")
    try:
        refused(context, ["migrate", str(pid), "9"], "no such node")
        refused(context, ["migrate", str(pid), "99999"], status=2)
    finally:
        stop(context.bed, pid)


# Block when told to, in calls that are restarted and that are not.
READ = ("rm -f /tmp/fifo; mkfifo /tmp/fifo; exec 3<>/tmp/fifo; "
        ": >/tmp/begun; until [ -e /tmp/go ]; do :; done; read x <&3")
EPOLL = """import os, select
open("/tmp/begun", "w").close()
while not os.path.exists("/tmp/go"):
    pass
select.epoll().poll()"""


def already_there(context):
    """Nothing to do is done at once, and changes nothing: for a process at home, and for
    one that is away, computes, or sleeps in a call that is restarted, or in one that is not."""
    bed = context.bed
    pid = start(bed, "sleep 1000")
    try:
        done = radctl(bed, "migrate", str(pid), "1")
        assert done.returncode == 0, done.stderr
        assert pid not in processes(bed)
    finally:
        stop(bed, pid)
    for name, command, call in (("spins", SPIN, None), ("reads", f"sh -c '{READ}'", READ_CALL),
                                ("epoll", f"python3 -c '{EPOLL}'", EPOLL_WAIT)):
        bed.run(1, "rm -f /tmp/go /tmp/begun")
        pid = start(bed, command)
        try:
            if call:
                within(30 * context.slow, lambda: not bed.execute(
                    1, "test", "-e", "/tmp/begun").returncode, "it begins")
            migrate(bed, pid)
            bed.run(1, "touch /tmp/go")
            if call:
                within(20 * context.slow, lambda pid=pid, call=call: bed.run(
                    1, f"cut -d' ' -f1 /proc/{pid}/syscall").strip() == call, f"it {name}")
            bed.run(1, f"sleep {context.slow / 2}")
            before = shown(bed, "show", str(pid))["threads"][0]
            out = bed.run(1, f"{SHELL} t; a=$t; radctl migrate {pid} 2 >/dev/null || exit 9; "
                             "t; echo $((t - a))")
            assert int(out) <= 1000 * context.slow, f"{name}: {int(out) / 100} s"
            after = shown(bed, "show", str(pid))["threads"][0]
            assert (after["state"], after["node"], after["returns"], after["migrations"]) == \
                ("away", 2, before["returns"], before["migrations"]), f"{name}: {before} {after}"
        finally:
            stop(bed, pid)


def kernel_thread(context):
    refused(context, ["migrate", "2", "2"], "kernel thread")


def init_of_the_machine(context):
    refused(context, ["migrate", "1", "2"], "init process")


COMPAT = """
cat > /tmp/c.s <<'END'
.globl _start
_start: movl $29, %eax
 int $0x80
 jmp _start
END
as --32 -o /tmp/c.o /tmp/c.s && ld -m elf_i386 -o /tmp/compat /tmp/c.o
"""


def compat_process(context):
    """A 32-bit program that waits in pause()."""
    bed = context.bed
    bed.run(1, COMPAT)
    pid = start(bed, "/tmp/compat")
    try:
        if not bed.run(1, f"sleep 0.2; cat /proc/{pid}/comm 2>/dev/null || true").strip():
            raise Skip("this kernel runs no 32-bit programs")
        refused(context, ["migrate", str(pid), "2"], "64-bit")
    finally:
        stop(bed, pid)


AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def other_users_process(context):
    pid = start(context.bed, "sleep 1000")
    try:
        context.bed.run(1, "chmod 666 /dev/radium")
        before = processes(context.bed)
        done = context.bed.execute(1, *AS_NOBODY, "radctl", "migrate", str(pid), "2")
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
        assert "may not trace" in done.stderr, done.stderr
        assert processes(context.bed) == before
    finally:
        stop(context.bed, pid)


def own_process_without_privilege(context):
    """Whom ptrace lets, moves."""
    pid = start(context.bed, " ".join(AS_NOBODY) + " sleep 1000")
    try:
        context.bed.run(1, "chmod 666 /dev/radium")
        becomes(context.bed, pid, "sleep")
        done = context.bed.execute(1, *AS_NOBODY, "radctl", "migrate", str(pid), "2")
        assert done.returncode == 0, done.stderr
        done = context.bed.execute(1, *AS_NOBODY, "radctl", "recall", str(pid))
        assert done.returncode == 0, done.stderr
    finally:
        stop(context.bed, pid)


def cluster_needs_privilege(context):
    """Not even with a key, where there is something to do."""
    bed = context.bed
    bed.run(1, "chmod 666 /dev/radium; head -c 32 /dev/zero | od -An -v -tx1 | tr -d ' \\n' > "
               "/tmp/nobodys; chmod 600 /tmp/nobodys; chown 65534:65534 /tmp/nobodys")
    address = nodes(bed)[1]["addr"]
    for words in (["leave"], ["drain"],
                  ["join", "--id", "1", "--key", "/tmp/nobodys", "--addr", address]):
        refused(context, ["node", *words], "run as root (CAP_SYS_ADMIN)", prefix=AS_NOBODY)


def vlan_device(context):
    """Soft-RoCE takes none, whoever asks."""
    bed = context.bed
    if bed.execute(1, "sh", "-c", "modprobe -q 8021q; "
                   "ip link add link eth0 name vlan5 type vlan id 5").returncode:
        raise Skip("this kernel has no VLAN devices")
    try:
        refused(context, ["node", "up", "vlan5"], "Soft-RoCE takes no VLAN device")
    finally:
        bed.run(1, "ip link del vlan5")


def second_network_device(context):
    """It gets an RDMA device of its own beside the one that there is, and one only, however many
    ask for that at once."""
    bed = context.bed
    bed.run(1, "ip link add veth0 type veth peer veth1 && ip link set veth0 up")
    try:
        bed.run(1, "pids=; for i in 1 2 3 4; do radctl node up veth0 & pids=\"$pids $!\"; done; "
                   "for pid in $pids; do wait $pid || exit; done", timeout=60 * context.slow)
        made = bed.run(1, "grep -l veth0 /sys/class/infiniband/*/parent").split()
        assert len(made) == 1, made
    finally:
        bed.run(1, "ip link del veth0")


def ordinary_user(context):
    """Each call of the device that needs no rights works, no other does; nor does it where the
    user has all capabilities in a user namespace."""
    bed = context.bed
    bed.run(1, f"rm -rf /tmp/user; mkdir /tmp/user; cp {paths.GUEST}/ordinary /tmp/user; "
               "chmod 755 /tmp/user")
    pid = start(bed, SPIN)
    try:
        migrate(bed, pid)
        for user in AS_NOBODY, (*AS_NOBODY, "unshare", "--map-root-user"):
            done = bed.execute(1, *user, "/tmp/user/ordinary", pid, timeout=60 * context.slow)
            assert done.returncode == 0, f"{user[-1]}: {done.stdout}{done.stderr}"
        thread = shown(bed, "show", str(pid))["threads"][0]
        assert (thread["state"], thread["node"]) == ("away", 2), thread
        see_each_other(context)
    finally:
        stop(bed, pid)


def join_twice(context):
    context.bed.run(1, "head -c 32 /dev/zero | od -An -v -tx1 | tr -d ' \\n' > /tmp/key; chmod 600 /tmp/key")
    address = nodes(context.bed)[1]["addr"]
    refused(context, ["node", "join", "--id", "1", "--key", "/tmp/key", "--addr", address],
            "already")


def join_is_ensured(context):
    """What is to be a node, and is that node already, remains it; it does not become another."""
    address = nodes(context.bed)[1]["addr"]
    join = ["node", "join", "--ensure", "--key", "/run/radium.key", "--addr", address]
    done = radctl(context.bed, *join, "--id", "1")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    refused(context, [*join, "--id", "3"], "already")
    see_each_other(context)


def kernel_without_ftrace(context):
    """The module does not load, and says why; so does check, with the remedy."""
    bed = context.bed
    assert radctl(bed, "node", "leave", node=2).returncode == 0
    try:
        bed.run(2, "rmmod radium && echo 0 > /proc/sys/kernel/ftrace_enabled",
                timeout=60 * context.slow)
        done = bed.execute(2, "insmod", str(module_file(context)))
        assert done.returncode, "insmod worked"
        assert re.search(r"radium: cannot hook .*kernel\.ftrace_enabled", bed.console(2)), \
            bed.console(2)[-500:]
        done = radctl(bed, "-j", "check", node=2)
        row = {f["check"]: f for f in json.loads(done.stdout)}["ftrace"]
        assert done.returncode == 1 and not row["ok"], done
        assert row["remedy"] == "sysctl kernel.ftrace_enabled=1", row
    finally:
        bed.run(2, "echo 1 > /proc/sys/kernel/ftrace_enabled")
        rejoin(context, 2)


def usage(context):
    """Mistakes on the command line: status 2 and one line."""
    for words in (["migrate"], ["migrate", "abc"], ["recall"], ["nonsense"], ["node", "list", "x"],
                  ["migrate", "-5", "2"], ["migrate", "1", "2", "--timeout", "x"]):
        done = radctl(context.bed, *words)
        assert done.returncode == 2, f"{words}: status {done.returncode} {done.stderr}"
        assert len(done.stderr.strip().splitlines()) == 1 and not done.stdout, f"{words}: {done}"


def device_garbage(context):
    """Calls with wrong sizes, numbers and addresses are refused and harm nothing; those of
    programs of other versions, whose structures have other sizes, are not."""
    context.bed.run(1, f"{paths.GUEST}/badcalls")


# Reads events by more and more descriptors, and says how many could, and what the next one was told.
READERS = """
import errno, os, select
files = []
while len(files) < 500:
    file = os.open("/dev/radium", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.read(file, 4096)
    except BlockingIOError:
        pass
    except OSError as error:
        poll = select.poll()
        poll.register(file)
        print(len(files), errno.errorcode[error.errno], poll.poll(0)[0][1] == select.POLLERR)
        break
    files.append(file)
else:
    print("any")
"""


def readers_of_events(context):
    """Each event is put down for each descriptor that reads events: an ordinary user has not any
    number of them."""
    bed = context.bed
    bed.run(1, f"cat >/tmp/readers.py <<'END'\n{READERS}\nEND")
    try:
        done = bed.execute(1, *AS_NOBODY, "python3", "/tmp/readers.py")
        assert done.stdout.split() == ["64", "EMFILE", "True"], done.stdout + done.stderr
        assert bed.run(1, "python3 /tmp/readers.py").strip() == "any"
    finally:
        bed.run(1, "rm /tmp/readers.py")


def silence_has_bounds(context):
    """No silence is set that would end all sessions at once, nor one that never ends any."""
    bed = context.bed
    for name in ("suspect_ms", "dead_ms"):
        place = f"/sys/module/radium/parameters/{name}"
        before = bed.run(1, f"cat {place}")
        for value in ("0", "2249", "3600001", "-1", "x", ""):
            done = bed.execute(1, "sh", "-c", f"echo {value} >{place}")
            assert done.returncode != 0, f"{name} {value!r}"
        assert bed.run(1, f"cat {place}") == before, name
    assert nodes(bed)[2]["state"] == "up", nodes(bed)


def refusals(context, only):
    """The suite "refusals"."""
    yield from each(context, [
        no_such_process, recall_of_no_process, not_distributed, no_such_node, already_there,
        kernel_thread, init_of_the_machine, compat_process, other_users_process,
        own_process_without_privilege, cluster_needs_privilege, vlan_device, second_network_device,
        ordinary_user, join_twice, join_is_ensured, usage, device_garbage, readers_of_events,
        silence_has_bounds, kernel_without_ftrace], only)
