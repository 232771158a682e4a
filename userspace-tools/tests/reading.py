# SPDX-License-Identifier: GPL-2.0
"""What radctl prints."""
import errno
import json
import os
import re
import signal
import subprocess

from harness import HERE, RADCTL, contains, environment, equal, golden, radctl, test
from machine import tree

# As the kernel writes it: a file, the heap, memory without a name, a name from a program.
MAPS = """\
55d000400000-55d000403000 rw-p 00001000 fe:01 1234                       /opt/a \x1b b.so
55d000403000-55d000424000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000010000 rw-p 00000000 00:00 0\x20
7ffd00000000-7ffd00002000 rw-p 00000000 00:00 0                          [stack]
"""


@test
def usage():
    "wrong command lines end with 2, one line that says why, and nothing done"
    wrong = ["nonsense", "-x", "--nonsense", "migrate", "migrate x", "migrate 0", "migrate -5",
             "migrate 1 0", "migrate 1 65", "migrate 1 2 3", "migrate 1x", "migrate +1",
             "migrate 99999999999999999999", "migrate 1 --timeout", "migrate 1 --timeout 0",
             "migrate 1 --timeout nan", "migrate 1 --timeout -1", "migrate 1 --thread 0",
             "migrate 1 --thread 2 --all-threads", "recall", "recall 1 2",
             "recall 1 --all --thread 2", "recall 1 --thread x", "run", "run --",
             "run --node 65 -- true", "show", "show a", "explain", "ps 1", "node", "node foo",
             "node join", "node join --id 65", "node join --id 1", "node key", "node list x",
             "node join --id 1 --addr 1.2.3.4 --key k --port 65536", "monitor --count 0",
             "monitor --timeout x", "top --interval 0", "top x", "top 1 2", "check x", "node up a b"]
    for line in wrong:
        result = radctl(*line.split())
        equal((line, result.status, result.out, result.log), (line, 2, "", ""))
        equal(result.err.count("\n"), 1, line)
        contains(result.err, "--help'")
        result = radctl("-j", *line.split())
        equal(result.status, 2, line)
        equal(result.json()["reason"], "usage", line)
    # Asked for behind what is wrong; but what a program is told is not for us.
    for line in ("ps --bogus -j", "migrate 1 --timeout x --json", "ps x -j", "nonsense -j",
                 "node foo --json", "run --node 65 -j -- true", "--bogus ps -j", "--bogus run -j ls",
                 "-x node list --json", "node --bogus list -j"):
        equal(radctl(*line.split()).json()["reason"], "usage", line)
    for line in ("run --node 65 ls -j", "run --node 65 -- ls -j", "ps --bogus -- -j",
                 "--bogus run ls -j"):
        equal(radctl(*line.split()).out, "", line)
    for line, text in (("ps --json=1", "'--json=1': this option takes no value: "),
                       ("--verbose=x ps", "'--verbose=x': this option takes no value: "),
                       ("run --stay=1 true", "'--stay=1': this option takes no value: "),
                       ("ps -jx", "unknown option '-x'"), ("--nosuch ps", "unknown option '--nosuch'")):
        contains(radctl(*line.split()).err, text)


@test
def help_and_version():
    "--help for every command, --version"
    for command in ("migrate recall run ps show explain node monitor top check".split() +
                    ["node " + c for c in "up join leave drain list key".split()]):
        result = radctl(*command.split(), "--help")
        equal((result.status, result.err), (0, ""), command)
        contains(result.out, "usage: radctl " + command)
    contains(radctl("--version").out, "ABI 1")
    contains(radctl("--help").out, "explain")


@test
def absent():
    "resource and policy say that there are none"
    for command in "resource", "policy":
        result = radctl(command, "list")
        equal((result.status, result.err.count("\n")), (1, 1))
        contains(result.err, "this version has none")
    result = radctl("run", "--resource", "gpu", "true")
    equal((result.status, result.log, result.err.count("\n")), (1, "", 1))
    contains(result.err, "radctl: run --resource: this version has none: ")
    equal(radctl("run", "-j", "--resource", "gpu", "true").json()["reason"], "not_supported")


@test
def streams():
    "what fails in a stream of JSON is one line of it"
    for words, fake in ((("monitor", "-j"), "events=1 unload=1"), (("monitor", "-j"), f"open={errno.ENOENT}"),
                        (("top", "-j", "--count", "3"), f"hello={errno.EIO}"),
                        (("top", "1234", "-j", "--count", "3"), f"threads_errno={errno.EPERM}"),
                        (("monitor", "-j", "--count", "0"), "")):
        lines = radctl(*words, fake=fake).out.splitlines()
        equal(len(lines), 5 if "unload" in fake else 1)
        equal([sorted(json.loads(line)) for line in lines[-1:]], [["error", "reason", "remedy"]])


@test
def golden_output():
    "reading commands print what they should, as text and as JSON"
    root = tree(proc__1234__maps=MAPS)
    for name, arguments in (("status", ()), ("node_list", ("node", "list")), ("ps", ("ps",)),
                            ("show", ("show", "1234")), ("explain", ("explain", "1234"))):
        result = radctl(*arguments, root=root)
        equal((result.status, result.err), (0, ""), name)
        golden(name + ".txt", result.out)
        before, after = (radctl(*words, root=root)
                         for words in (("-j", *arguments), (*arguments, "-j")))
        equal(before.out, after.out, name)
        equal(before.json() is not None, True)
        golden(name + ".json", before.out)


@test
def json_values():
    "JSON holds exact numbers, booleans and clean names"
    nodes = radctl("node", "list", "-j").json()
    equal([(n["id"], n["state"], n["self"], n["reason"]) for n in nodes],
          [(1, "up", True, "none"), (2, "up", False, "none"), (3, "up", False, "none"),
           (4, "dead", False, "keepalive"), (0, "refused", False, "wrong_key")])
    equal((nodes[1]["load"], nodes[1]["clock_offset_ns"], nodes[2]["bytes_sent"]),
          (1.5, -7250000000, 2**64 - 1))
    process = radctl("ps", "-j").json()[0]
    equal((process["comm"], process["nodes"], process["user"]),
          ("wo?[2Jr?\"\u00e4", [2, 64], "4000000001"))
    show = radctl("show", "1234", "-j").json()
    equal([show["fault_latency"][k] for k in ("count", "p50_ns", "p99_ns", "max_ns")],
          [100, 2048, 32768, 2097152])
    equal([(s["name"], s["count"]) for s in show["syscalls_top"]],
          [("write", 35), ("futex", 20), ("read", 10), ("syscall_9999", 5)])
    equal(show["returns_by_reason"], {"asked": 1, "exception": 3, "syscall": 3, "fault": 1})
    contains(show["threads"][0]["reason_text"], "SIGUSR1")
    contains(show["threads"][1]["reason_text"], "execve")


def keys(value):
    """All keys of objects in it, but those that are reasons."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key != "returns_by_reason":
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@test
def keys_are_documented():
    "every key of JSON is in the manual page"
    with open(os.path.join(HERE, "../../Documentation/radctl.8"), encoding="utf-8") as file:
        page = file.read().partition(".Sh JSON\n")[2].partition(".Sh ")[0]
    items = {item.partition("\n")[0]: set(re.findall(r"\w+", item))
             for item in page.split(".It ")[1:]}
    root = tree(proc__1234__maps=MAPS, sys__class__infiniband__rxe0__node_type="1\n",
                **{f"sys__module__{m}__refcnt": "0\n" for m in ("rdma_cm", "radium")})
    for words, names in (
            ("", ["no command"]), ("ps", ["Cm ps"]), ("show 1234", ["Cm ps", "Cm show"]),
            ("explain 1234", ["Cm show", "Cm explain"]), ("node list", ["Cm node list"]),
            ("migrate 1234 2", ["Cm migrate , recall"]), ("recall 1234", ["Cm migrate , recall"]),
            ("monitor --count 1", ["Cm monitor"]), ("top", ["Cm node list", "Cm top"]),
            ("top 1234", ["Cm show", "Cm top Ar pid"]), ("check", ["Cm check"]),
            ("node up", ["Cm node up"]), ("node drain", ["Cm node leave , node drain"]),
            ("show 99999", ["a failure"])):
        said = set(keys(radctl("-j", *words.split(), root=root, fake="events=1").json()))
        missing = said - set().union(*(items[name] for name in names))
        equal((words, bool(said), missing), (words, True, set()))


@test
def long_lists():
    "a list longer than the first room is read whole"
    equal(len(radctl("ps", "-j", fake="repeat=500").json()), 1000)
    equal(len(radctl("ps", fake="repeat=500").out.splitlines()), 1001)


@test
def monitor():
    "monitor prints events as text and JSON lines, and ends when told to"
    result = radctl("monitor", "--count", "4", fake="events=1")
    equal(result.status, 0)
    golden("monitor.txt", result.out)
    lines = radctl("monitor", "-j", "--count", "3", fake="events=1").out.splitlines()
    equal([json.loads(line)["event"] for line in lines], ["migrated", "returned", "events_lost"])
    equal(json.loads(lines[1])["reason"], "signal")
    equal(radctl("monitor", "--timeout", "0.1").status, 0)
    equal(radctl("monitor", fake="unload=1").status, 1)
    child = subprocess.Popen([RADCTL, "monitor"], env=environment("events=1"),
                             stdout=subprocess.PIPE)
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=10)
    equal(child.returncode, 0)


@test
def top():
    "top without a terminal is one view; -j an object"
    view = radctl("top", "-j").json()
    equal((len(view["nodes"]), view["processes"][0]["pid"]), (5, 1234))
    equal(radctl("top", "--count", "2", "--interval", "0.1").out.count("SYSCALLS/S"), 2)


@test
def top_of_one():
    "top PID shows its threads and its hottest pages"
    root = tree(proc__1234__maps=MAPS)
    views = radctl("top", "1234", "-j", "--count", "2", "--interval", "0.1", root=root)
    view = json.loads(views.out.splitlines()[1])
    equal([(t["tid"], t["faults_per_s"], t["waiting_percent"]) for t in view["threads"]],
          [(tid, 0, 0) for tid in range(1234, 1238)])
    equal([(p["mapping"], p["offset"], p["moves"]) for p in view["hottest_pages"]],
          [("/opt/a ? b.so", 0x3000, 5000000000), ("[anon]", 0x5000, 31), ("[stack]", 0x1000, 2),
           ("", 0, 1)])
    equal(view["hottest_pages"][1]["threads"][:2], [{"tid": 0, "node": 64}, {"tid": 1236, "node": 1}])
    text = radctl("top", "1234", root=root).out
    for part in "WAITING %", "HOTTEST PAGES", "MOVES/S", "1234@2 1235@1":
        contains(text, part)
    equal(radctl("top", "6", root=root).status, 1)
    # As wide as it looks, whatever it takes to write it.
    text = radctl("top", "1234", root=tree(proc__1234__maps=MAPS.replace("b.so", "b\u00e4\u00fc.so")))
    lines = text.out.partition("HOTTEST PAGES\n")[2].splitlines()
    equal({line.index(offset) + len(offset) for line, offset in
           zip(lines, ("OFFSET", "0x3000", "0x5000", "0x1000"))}, {lines[0].index("OFFSET") + 6})
    # As many lines as one reads.
    pages = radctl("show", "1234", root=root, fake="repeat=20").out.partition("HOTTEST PAGES\n")[2]
    equal(len(pages.partition("\n\n")[0].splitlines()), 11)


@test
def full_disk():
    "output that cannot be written is a failure"
    for words in (["ps"], ["monitor"], ["monitor", "-j"], ["top", "--count", "1000"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([RADCTL, *words], env=environment("events=1"), stdout=full,
                                  stderr=subprocess.PIPE, timeout=10)
        equal((words, done.returncode), (words, 1))
        contains(done.stderr.decode(), "radctl: standard output: No space left on device")
