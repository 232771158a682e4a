# SPDX-License-Identifier: GPL-2.0
"""migrate, recall and run."""
import errno
import os
import pty
import select
import signal
import time

from harness import RADCTL, contains, environment, equal, radctl, test


@test
def migrate():
    "migrate and recall pass on what was asked, and print only what was asked for"
    for line, want in (("migrate 1234 2", "MIGRATE flags=0 pid=1234 tid=0 node=2 timeout_ms=0"),
                       ("migrate 1234", "MIGRATE flags=0 pid=1234 tid=0 node=3 timeout_ms=0"),
                       ("migrate 12 2 --thread 13 --timeout 1.5",
                        "MIGRATE flags=0 pid=12 tid=13 node=2 timeout_ms=1500"),
                       ("migrate --all-threads 12 2",
                        "MIGRATE flags=1 pid=12 tid=0 node=2 timeout_ms=0"),
                       ("recall 12", "RECALL flags=1 pid=12 tid=0 node=0 timeout_ms=0"),
                       ("recall --thread 13 12", "RECALL flags=0 pid=12 tid=13 node=0 timeout_ms=0"),
                       ("recall --all 12 --timeout 3",
                        "RECALL flags=3 pid=12 tid=0 node=0 timeout_ms=3000")):
        result = radctl(*line.split())
        equal((result.status, result.out, result.err, result.log.strip()), (0, "", "", want))
    contains(radctl("migrate", "-v", "1234", "2").out,
             "1234: 1 thread to node 2 in 3.2 ms, 48.0 KiB\n")
    contains(radctl("recall", "-v", "1234").out,
             "1234: 4 threads to node 1 in 3.2 ms, 12 pages, 48.0 KiB\n")
    equal(radctl("migrate", "1234", "2", "-j").json(),
          {"pid": 1234, "tid": 1234, "node": 2, "threads": 1, "pages": 0, "bytes": 49152,
           "ns": 3210000})
    for words, tid in ((("migrate", "12", "2", "--thread", "13"), 13),
                       (("migrate", "12", "2", "--all-threads"), 0), (("recall", "12"), 0)):
        equal((words, radctl(*words, "-j").json()["tid"]), (words, tid))
    equal(radctl("recall", "1234", "-j").json()["node"], 1)


@test
def move_errors():
    "each failure of a move has its own message"
    for fake, reason, text in (
            (f"errno={errno.ESRCH} reason=1", "no_process",
             "no such process: check the PID with ps"),
            (f"errno={errno.ESRCH}", "no_process", "no such process: check the PID with ps"),
            (f"errno={errno.EHOSTDOWN} reason=6", "node_down", "the node is down: see"),
            (f"errno={errno.ETIMEDOUT} reason=37", "pending", "moves when the call ends: wait"),
            (f"errno={errno.ETIMEDOUT}", "timeout", "in time: it may still happen: see 'radctl explain PID'"),
            (f"errno={errno.EINVAL}", "einval", "Invalid argument: see"),
            (f"errno={errno.ENOTTY}", "enotty", "does not know this call: install"),
            (f"errno={errno.EIO} reason=4000", "reason_4000", "does not know: install"),
            (f"open={errno.ENOENT}", "not_loaded", "radium is not loaded: use 'radctl node up' or 'modprobe radium'"),
            (f"open={errno.EACCES}", "not_permitted", "may not be opened: "),
            ("abi=2", "abi", "ABI 1 (it answers 2): install"),
            (f"hello={errno.EPROTO}", "abi", "install radctl and the module")):
        result = radctl("migrate", "1234", "2", fake=fake)
        equal((result.status, result.out, result.err.count("\n")), (1, "", 1), fake)
        contains(result.err, "radctl: migrate 1234: ")
        contains(result.err, text)
        result = radctl("migrate", "1234", "2", "-j", fake=fake)
        equal((result.status, result.json()["reason"]), (1, reason), fake)
        contains(result.json()["error"], "migrate 1234: ")
    contains(radctl("migrate", "1", fake="alone=1").err, "no other node is up")
    contains(radctl("migrate", "1", fake="node=0").err, "has not joined a cluster")
    contains(radctl("migrate", "1", "2", fake=f"errno={errno.EPROTO}").err,
             "the kernel's answer is not understood: ")
    lost = f"errno={errno.EHOSTDOWN}"
    contains(radctl("recall", "1", "--all", fake=lost).err, "a page is lost with the node that had it")
    equal(radctl("recall", "1", "--all", "-j", fake=lost).json()["reason"], "node_lost")


@test
def moved_in_part():
    "where some threads have moved and another has not, both is said"
    fake = f"errno={errno.EHOSTDOWN} reason=6 threads="
    for words, some, text in ((["migrate", "9", "2", "--all-threads"], 3,
                               "migrate 9: 3 threads moved, another did not: the node is down: see"),
                              (["recall", "9"], 1,
                               "recall 9: 1 thread moved, another did not: the node is down: see"),
                              (["recall", "9", "--all"], 2, "2 threads moved, others or pages did not: "),
                              (["migrate", "9", "2"], 0, "radctl: migrate 9: the node is down: see")):
        result = radctl(*words, fake=fake + str(some))
        equal((result.status, result.out, result.err.count("\n")), (1, "", 1))
        contains(result.err, text)
        error = radctl(*words, "-j", fake=fake + str(some)).json()
        equal((error["reason"], error["threads"]), ("node_down", some))
    equal("threads" in radctl("migrate", "9", "-j", fake="alone=1").json(), False)


@test
def waits_on():
    "a wait that a signal has ended, which has not ended radctl, goes on for the rest of the time"
    result = radctl("migrate", "9", "2", "--timeout", "5", "-j", fake="interrupt=2 sleep_ms=100")
    equal((result.status, result.json()["threads"]), (0, 1))
    times = [int(line.rpartition("=")[2]) for line in result.log.splitlines()]
    equal((len(times), times[0]), (3, 5000))
    equal([0 < later <= earlier - 100 for earlier, later in zip(times, times[1:])], [True] * 2)
    equal(result.json()["ns"] >= 300000000, True)
    # By the time that it is asked again everything is at home.
    home = f"errno={errno.ENOENT} reason=18"
    result = radctl("recall", "9", "-j", fake=home + " interrupt=1")
    equal((result.status, result.json()["threads"]), (0, 1))
    equal(radctl("recall", "9", "-j", fake=home).json()["reason"], "not_away")
    equal(radctl("migrate", "9", "2", "-j", fake=home + " interrupt=1").status, 1)


def on_terminal(*arguments, fake="", typed=(), program=RADCTL):
    """Status and output; what is typed is (what is awaited, keys), one after the other."""
    pid, fd = pty.fork()
    if pid == 0:
        # Who runs the tests in the background has these ignored, and radctl leaves them so.
        for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)
        os.execve(program, [program, *arguments], environment(fake))
    out, seen, typed = b"", 0, list(typed)
    end = time.monotonic() + 60
    while select.select([fd], [], [], 10)[0]:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            break
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        out += part
        while typed and typed[0][0] in out[seen:]:
            seen = out.index(typed[0][0], seen) + len(typed[0][0])
            os.write(fd, typed.pop(0)[1])
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


@test
def terminal():
    "on a terminal a long move shows progress and a summary; top ends at q"
    status, out = on_terminal("migrate", "1234", "2", fake="sleep_ms=700")
    equal(status, 0)
    contains(out, "\r1234: 0 pages, 0 B")
    contains(out, "1 thread to node 2 in 3.2 ms")
    status, out = on_terminal("top", typed=[(b"COMMAND", b"q")])
    equal(status, 0)
    contains(out, "SYSCALLS/S")
    contains(out, "\033[?1049l")
    status, out = on_terminal("top", typed=[(b"COMMAND", b"\x1c")])    # Ctrl-\\
    equal(status, 0)
    contains(out, "\033[?7h\033[?25h\033[?1049l")


@test
def fits_the_screen():
    "top shows as many processes as there is room for, those that are away first"
    for words, last, rows in (("top", b"COMMAND", 30 - 20 - 4), ("top 1234", b"MOVES/S", 30 - 13 - 2)):
        status, out = on_terminal("-c", f"stty rows 30; exec {RADCTL} {words} --interval 60", program="/bin/bash",
                                  fake="alone=1 repeat=20", typed=[(last, b"q")])
        view = out.partition("\033[?7l")[2].rpartition("\033[?7h")[0]
        lines = [line.split() for line in view.replace("\r", "").splitlines()]
        shown = [line for line in lines if line and line[0] in ("77", "1234", "1235", "1236", "1237")]
        equal((words, status, len(lines), len(shown)), (words, 0, 29, rows))
        equal({line[0] for line in shown}, {"1234"})


@test
def terminal_is_given_back():
    "Ctrl-Z to top gives the shell its terminal back, which is taken again afterwards"
    echoes = "stty -a | grep -o '[ -]echo '"
    shell = f"set -m; {RADCTL} top; {echoes}; echo again; fg >/dev/null; {echoes}"
    status, out = on_terminal("-c", shell, program="/bin/bash", typed=[
        (b"COMMAND", b"\x1a"), (b"again", b""), (b"COMMAND", b"x"), (b"COMMAND", b"q")])
    first, _, second = out.partition("again")
    for part in first, second:
        contains(part, "\033[?1049h")
        contains(part.rpartition("\033[?1049l")[2], " echo")
        equal("-echo" in part, False)
    equal("x" in second.partition("\033[?1049l")[2], False, "what was typed was shown")
    equal(status, 0)


@test
def run():
    "run places itself and becomes the command: its PID, status and signals"
    result = radctl("run", "--node", "2", "--", "sh", "-c", "echo $$; ls /proc/$$/fd; exit 7")
    lines = result.out.split()
    equal(result.status, 7)
    equal(result.log, f"MIGRATE flags=12 pid={lines[0]} tid=0 node=2 timeout_ms=0\n")
    equal(len(lines), 4, "descriptors left open")
    contains(radctl("run", "--stay", "true").log, "node=3")
    equal(radctl("run", "sh", "-c", "kill -9 $$").status, -signal.SIGKILL)
    equal(radctl("run", "--node", "1", "true").log, "")
    equal(radctl("run", "echo", "-j").out, "-j\n")
    equal(radctl("run", "/nonexistent").status, 127)
    equal(radctl("run", "/etc/passwd").status, 126)
    result = radctl("run", "echo", "x", fake=f"errno={errno.EHOSTDOWN} reason=6")
    equal((result.status, result.out), (1, ""))


@test
def spread():
    "run --policy spread spreads itself, and what it cannot understand changes nothing"
    for line, want in (("--policy spread", "0"), ("--policy=spread --node 2", "2"),
                       ("--node 1,3,64,3 --policy spread", "8000000000000005")):
        result = radctl("run", *line.split(), "--", "sh", "-c", "ls /proc/$$/fd; exit 9")
        equal((result.status, result.err, result.log), (9, "", f"SPREAD nodes={want}\n"))
        equal(len(result.out.split()), 3, "descriptors left open")
    for line, text in (("--policy nonsense", "no policy 'nonsense'"), ("--policy", "needs a value"),
                       ("--node 1,2", "several nodes are for '--policy spread'"),
                       ("--policy spread --node 1,65", "node '65' is not a number from 1 to 64"),
                       ("--policy spread --node 1,", "node '' is not a number"),
                       ("--policy spread --node 1-3", "node '1-3' is not a number"),
                       ("--policy spread --all-threads", "unknown option '--all-threads'")):
        result = radctl("run", *line.split(), *([] if text.startswith("needs") else ["true"]))
        equal((result.status, result.out, result.err.count("\n"), result.log), (2, "", 1, ""))
        contains(result.err, text)
    for fake, text in (("alone=1", "no other node is up"), ("node=0", "has not joined a cluster"),
                       (f"errno={errno.EHOSTDOWN} reason=6", "run echo: the node is down"),
                       (f"errno={errno.ENOTTY}", "does not know this call: install")):
        result = radctl("run", "--policy", "spread", "echo", "x", fake=fake)
        equal((result.status, result.out), (1, ""), fake)
        contains(result.err, text)
    equal(radctl("run", "--policy", "spread", "--node", "1,9", "true", fake="alone=1").status, 0)
