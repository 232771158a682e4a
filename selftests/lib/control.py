# SPDX-License-Identifier: GPL-2.0
"""The cluster as the tools show it, and wrong input: one line, nothing changed."""

import json

from . import paths
from .context import Skip, each

# A process that computes until killed.
SPIN = f"sh {paths.GUEST}/spin.sh"


def start(bed, command, node=1):
    """PID of a program left running in a machine."""
    return int(bed.run(node, f"setsid {command} </dev/null >/dev/null 2>&1 & echo $!"))


def stop(bed, pid, node=1):
    """Ends a program with SIGKILL; it has to be gone within two seconds."""
    bed.run(node, f"kill -9 {pid} 2>/dev/null; i=0; while [ -e /proc/{pid}/exe ]; do "
                  f"[ $i -lt 20 ] || exit 9; i=$((i+1)); sleep 0.1; done")


def radctl(bed, *words, node=1, timeout=60):
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


# The suite "boot".

def machines_answer(context):
    for node in (1, 2):
        context.bed.run(node, "true")


def module_is_loaded(context):
    for node in (1, 2):
        context.bed.run(node, "grep -q ^radium /proc/modules && [ -c /dev/radium ]")


def nodes_see_each_other(context):
    for node, other in ((1, 2), (2, 1)):
        listed = nodes(context.bed, node)
        assert listed.get(other, {}).get("state") == "up", f"node{node} sees {listed}"


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
    """radctl run gives the program's output and exit status."""
    done = radctl(context.bed, "run", "--node", "2", "--", "sh", "-c", "echo there; exit 7")
    assert (done.returncode, done.stdout) == (7, "there\n"), (done.returncode, done.stdout, done.stderr)


def boot(context, only):
    """The suite "boot"."""
    yield from each(context, [machines_answer, module_is_loaded, nodes_see_each_other,
                              check_is_content, one_process_moves, run_on_node], only)


# The suite "refusals".

def refused(context, words, *expected, status=1, prefix=(), node=1):
    """A command that has to fail with one line that contains the words, and to
    leave no process distributed."""
    before = (processes(context.bed, node), sorted(nodes(context.bed, node)))
    done = context.bed.execute(node, *prefix, "radctl", *words)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == status, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert len(lines) == 1, f"{len(lines)} lines: {done.stderr}"
    for text in expected:
        assert text in lines[0], f"'{text}' not in '{lines[0]}'"
    assert (processes(context.bed, node), sorted(nodes(context.bed, node))) == before


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


def already_there(context):
    """Nothing to do is done at once, and makes nothing distributed."""
    pid = start(context.bed, "sleep 1000")
    try:
        done = radctl(context.bed, "migrate", str(pid), "1")
        assert done.returncode == 0 or "already" in done.stderr, done.stderr
        assert pid not in processes(context.bed)
    finally:
        stop(context.bed, pid)


def kernel_thread(context):
    refused(context, ["migrate", "2", "2"], "kernel thread")


def init_of_the_machine(context):
    """Whatever is said of it: it must not be moved by accident and still runs."""
    done = radctl(context.bed, "migrate", "1", "2")
    if done.returncode == 0:
        radctl(context.bed, "recall", "1")
    context.bed.run(1, "true")


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
        context.bed.run(1, "chmod 666 /dev/radium; sleep 0.3")
        done = context.bed.execute(1, *AS_NOBODY, "radctl", "migrate", str(pid), "2")
        assert done.returncode == 0, done.stderr
        done = context.bed.execute(1, *AS_NOBODY, "radctl", "recall", str(pid))
        assert done.returncode == 0, done.stderr
    finally:
        stop(context.bed, pid)


def cluster_needs_privilege(context):
    before = nodes(context.bed)
    for words in (["node", "leave"], ["node", "drain"]):
        done = context.bed.execute(1, *AS_NOBODY, "radctl", *words)
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
    assert sorted(nodes(context.bed)) == sorted(before)


def join_twice(context):
    context.bed.run(1, "head -c 32 /dev/zero | od -An -v -tx1 | tr -d ' \\n' > /tmp/key; chmod 600 /tmp/key")
    address = nodes(context.bed)[1]["addr"]
    refused(context, ["node", "join", "--id", "1", "--key", "/tmp/key", "--addr", address],
            "already")


def usage(context):
    """Mistakes on the command line: status 2 and one line."""
    for words in (["migrate"], ["migrate", "abc"], ["recall"], ["nonsense"], ["node", "list", "x"],
                  ["migrate", "-5", "2"], ["migrate", "1", "2", "--timeout", "x"]):
        done = radctl(context.bed, *words)
        assert done.returncode == 2, f"{words}: status {done.returncode} {done.stderr}"


def device_garbage(context):
    """Calls with wrong sizes, numbers and addresses are refused and harm nothing."""
    context.bed.run(1, f"{paths.GUEST}/badcalls")


def refusals(context, only):
    """The suite "refusals"."""
    yield from each(context, [
        no_such_process, recall_of_no_process, not_distributed, no_such_node, already_there,
        kernel_thread, init_of_the_machine, compat_process, other_users_process,
        own_process_without_privilege, cluster_needs_privilege, join_twice, usage,
        device_garbage], only)
