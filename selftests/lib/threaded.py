# SPDX-License-Identifier: GPL-2.0
"""Unmodified programs with threads, which are sent one by one to any of two or three
nodes, are on all of these at one moment, and come back: they give what they give on one, the
same bytes and the same exit status."""

import functools

from . import paths
from .moved import DATA, Program, compare, each_program, play, unmoved
from .tap import FAIL, PASS, Result

ST = paths.GUEST
MOVES = 6           # as many of them away, or the program runs again with shorter pauses
TRIES = 4
# 300 kB that compress a little. And lines in no order: sort makes a thread for the half of 2^17 or
# more, and for the half of that if it has as many itself.
PREPARE = f"""
mkdir -p {DATA}
awk 'BEGIN {{ for (i = 1; i <= 270000; i++) print i * 7919 % 1000003 }}' > {DATA}/unsorted
seq 1 150000 | head -c 600000 > {DATA}/lines
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 100000 > {DATA}/some
head -c 200000 {DATA}/lines >> {DATA}/some
"""
# Nodes besides home.
SPREADS = {"2_nodes": "2", "3_nodes": "2,3"}


def stress(name, operations, options="", together=False):
    """A stressor that checks what it has done; it prints times, so that its judgement counts."""
    return Program(f"stress_{name}", f"stress-ng --{name} 2 --{name}-ops {operations} {options} "
                   "--verify --timeout 60 -q", comms=f"stress-ng-{name}"[:15], together=together)


PROGRAMS = [
    Program("xz_2", f"xz -1 -T2 --block-size=100000 -c {DATA}/some > out.xz && "
            "xz -d -T2 -c out.xz | cksum", leaves="out.xz"),
    Program("xz_4", f"xz -0 -T4 --block-size=50000 -c {DATA}/some > out.xz && "
            "xz -d -T4 -c out.xz | cksum", leaves="out.xz"),
    Program("pigz", f"pigz -3 -n -p 3 -b 128 -c {DATA}/some > out.gz && pigz -d -c out.gz | cksum",
            leaves="out.gz"),
    Program("zstd", f"zstd -q -3 -T4 -B524288 -c {DATA}/lines {DATA}/some > out.zst && zstd -q -d -c out.zst | "
            "cksum", leaves="out.zst"),
    Program("pbzip2", f"pbzip2 -q -1 -p3 -b1 -c {DATA}/some > out.bz2 && pbzip2 -q -d -p3 -c "
            "out.bz2 | cksum", leaves="out.bz2"),
    Program("python3_threads", "/usr/bin/python3 " + ST + "/threads.py threads {size}", 4),
    Program("python3_processes", "/usr/bin/python3 " + ST + "/threads.py processes {size}", 8,
            together=True),
    Program("sort", f"sort -r --parallel=4 -S 32M {DATA}/unsorted > out", leaves="out"),
    Program("openssl_speed", "openssl speed -multi 3 -seconds 1 -bytes 1024 sha256 "
            ">/dev/null 2>&1; echo $?", comms="openssl", together=True),
    Program("standard_threads", ST + "/standard_threads {size}", 40, 20, comms="standard_thread"),
    Program("openmp", "OMP_WAIT_POLICY=passive " + ST + "/openmp {size}", 30, 10),
    Program("openmp_spinning", "OMP_WAIT_POLICY=active GOMP_SPINCOUNT=1000 " + ST +
            "/openmp {size}", 6, 3, comms="openmp"),
    # Its library would try the RDMA device for what does not leave the machine.
    Program("mpi", "UCX_TLS=posix,self mpiexec.mpich -n 3 " + ST + "/mpi {size}", 8, 4,
            together=True),
    stress("pthread", 100, "--pthread-max 8"),
    stress("futex", 300, together=True),
    stress("mutex", 300, "--mutex-procs 4"),
    stress("vm", 40, "--vm-bytes 1M", together=True),
    stress("fork", 30, together=True),
]
# Of a run that nobody asked for by name.
SHORT = {"xz_2.2_nodes", "pigz.3_nodes", "standard_threads.3_nodes", "openmp.3_nodes"}


def lacks(program, report, moves, nodes):
    """What a run has not shown, or nothing."""
    if report["named_away"] < moves:
        return f"{program.counts()} ended before {moves} of its threads had gone"
    if report["nodes_at_once"] < nodes:
        return (f"threads of {program.counts()} were on {report['nodes_at_once']} nodes at once, "
                f"not on {nodes}")
    if not report["named_returned"]:
        return f"{program.counts()} ended before one of its threads had come back"
    return ""


def one(context, program, nodes):
    """Result of one program on some nodes; native[0] is its run on one."""
    size = program.debug_size or program.size if context.debug else program.size
    moves = context.moves or MOVES
    native = unmoved(context, program, size)
    name = f"{program.name}.{nodes}"
    notes = [f"{program.name}: {native[0]['ms']} ms unmoved"]
    wrong = native[0]["error"]
    if not wrong and native[0]["status"]:
        wrong = f"unmoved it ends with {native[0]['status']:#x}\n{native[1]}"
    if wrong or context.native:
        return Result(name, FAIL if wrong else PASS, wrong, notes)
    mean = max(1, native[0]["ms"] // (4 * moves))
    for _ in range(TRIES):
        seed = context.random.randrange(1 << 30)
        moved = play(context, program, size, moves, seed, mean, spread=SPREADS[nodes])
        report = moved[0]
        notes.append(f"seed {seed}: {report['away']} moves to nodes, {report['home']} home, "
                     f"{report['ms']} ms, longest move {report['away_ns_max'] / 1e6:.1f} ms, "
                     f"on {report['nodes_at_once']} nodes at once, "
                     f"refused {report['refused']}; of " + ", ".join(
                         f"{comm}: {away} and {back}"
                         for comm, (away, back) in report["comms"].items()))
        notes += context.homecomings.tell(report)
        wrong = compare(context, native, moved, seed)
        if wrong:
            return Result(name, FAIL, wrong, notes)
        missing = lacks(program, report, moves, len(SPREADS[nodes].split(",")) + 1)
        if not missing:
            return Result(name, PASS, notes=notes)
        mean = max(1, mean // 3)
    return Result(name, FAIL, missing, notes)


def run(context, only):
    """The suite "threaded"."""
    tests = {f"{program.name}.{nodes}": functools.partial(one, context, program, nodes)
             for program in PROGRAMS for nodes in SPREADS}
    yield from each_program(context, "threaded", PREPARE, {
        name: test for name, test in tests.items()
        if only(name) and (context.thorough or name in SHORT)})
