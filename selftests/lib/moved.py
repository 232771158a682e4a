# SPDX-License-Identifier: GPL-2.0
"""Unmodified programs, moved at random moments, give what they give unmoved:
the same bytes on both outputs, the same files, the same exit status."""

import dataclasses
import functools
import json
import os
import shlex

from . import paths
from .tap import FAIL, PASS, SKIP, Result
from .testbed import Dead

MOVES = 10
LIMIT = 240                 # seconds for one run of most programs
# A program that ended before it had moved often enough runs again, with shorter pauses.
TRIES = 4
WORK = "/tmp/moved"
DATA = "/tmp/data"
OUTPUT = "/tmp/moved-output"        # of a program, .out and .err
TAIL = 50000                        # bytes of each that are looked at


@dataclasses.dataclass
class Program:
    """A command line for a shell, and files that it makes."""
    name: str
    command: str            # {size} scales it
    size: int = 10          # on the stock kernel
    debug_size: int = 0     # on the one with the checkers, 0: the same
    leaves: str = ""        # files to compare as well
    needs: str = ""         # command that shows whether the program can run here
    comms: str = ""         # whose moves count, by /proc/PID/comm; else the name's first word
    each: str = ""          # of these at least one process of each name has to go, however short
    only: bool = False      # no other processes are moved
    limit: int = LIMIT      # seconds for one run
    status: int = -1        # it has to end with, -1: with any, moved or not
    reasons: str = ""       # for which it has to have come home by itself, as move_reason() says
    together: bool = False  # its processes are spread over nodes together: they have one thread each

    def counts(self):
        """Names of the processes that do the work, for the mover."""
        return self.comms or self.name.partition("_")[0]


# A megabyte that compresses a little, the same everywhere; and 64, and 16, of another kind.
PREPARE = f"""
mkdir -p {DATA} {WORK}
[ -e {DATA}/big ] || {{
seq 1 150000 | head -c 1000000 > {DATA}/text
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 500000 > {DATA}/noise
cat {DATA}/text {DATA}/noise > {DATA}/mix
xz -1 -k -c {DATA}/mix > {DATA}/mix.xz
openssl genrsa -out {DATA}/key.pem 2048 2>/dev/null
openssl enc -aes-128-ctr -K 01 -iv 00 -in /dev/zero 2>/dev/null | head -c {64 << 20} > {DATA}/big
head -c {16 << 20} {DATA}/big > {DATA}/quarter
}}
"""

ST = paths.GUEST
PROGRAMS = [
    Program("selfcheck", ST + "/selfcheck {size}", 600, 200),
    Program("avx2", ST + "/avx2 {size}", 3000, 1500, needs="grep -qw avx2 /proc/cpuinfo"),
    Program("python3", "/usr/bin/python3 " + ST + "/numbers.py {size}", 12, 6),
    Program("perl", "perl " + ST + "/text.pl {size}", 20, 12),
    Program("gawk", "gawk -v size={size} -f " + ST + "/table.awk", 30, 20),
    Program("sha256sum", f"sha256sum {DATA}/big"),
    Program("xz_compress", f"xz -1 -c {DATA}/mix > mix.xz && xz -1 -c {DATA}/text > out.xz",
            leaves="mix.xz out.xz"),
    Program("xz_decompress", "i=0; while [ $i -lt {size} ]; do "
            f"xz -d -c {DATA}/mix.xz > out; i=$((i+1)); done", 5, leaves="out"),
    Program("gzip", f"gzip -9 -n -c {DATA}/mix > out.gz && gzip -d -c out.gz > out",
            leaves="out.gz out"),
    Program("bzip2", f"bzip2 -c {DATA}/mix > out.bz2 && bzip2 -d -c out.bz2 > out",
            leaves="out.bz2 out"),
    Program("sqlite3", "sqlite3 t.db < " + ST + "/database.sql; s=$?; "
            "sqlite3 t.db .dump | cksum; exit $s"),
    Program("bash", "bash " + ST + "/shell.bash {size}", 8, 3),
    Program("gcc", "gcc -O2 -o hello " + ST + "/hello.c -lm && ./hello",
            comms="cc1,as,ld,hello", each="cc1,ld"),
    Program("openssl_digest", f"openssl dgst -sha512 {DATA}/quarter"),
    Program("openssl_rsa", "i=0; while [ $i -lt {size} ]; do openssl dgst -sha256 "
            f"-sign {DATA}/key.pem -out sig {DATA}/text && openssl rsa -in {DATA}/key.pem -pubout "
            f"-out pub 2>/dev/null && openssl dgst -sha256 -verify pub -signature sig {DATA}/text; "
            "i=$((i+1)); done", 3, 1, leaves="sig"),
]


def watch(context, options, command, limit):
    """What the mover tells of a program's run, a list of words, in a fresh directory; and the
    end of the program's output, which is in {OUTPUT}.out and .err."""
    mover = (f"rm -rf {WORK}; mkdir -p {WORK}; chmod 1777 {WORK}; cd {WORK} && "
             f"{ST}/mover -t {limit} -o {OUTPUT} {options} \"$@\" && "
             f"tail -qc {TAIL} {OUTPUT}.out {OUTPUT}.err")
    done = context.bed.execute(1, "sh", "-c", mover, "mover", *command, timeout=limit + 60)
    if done.returncode:
        raise AssertionError(f"mover ended with {done.returncode}: {done.stderr[-500:]}")
    report, _, text = done.stdout.partition("\n")
    return json.loads(report), text


def play(context, program, size, moves, seed, mean_ms, leave_away=False, spread=""):
    """One run in a fresh directory: (report of the mover, digest of what it gave). With nodes
    in spread, threads go there one by one."""
    options = [f"-m {moves} -s {seed} -i {mean_ms} -c {shlex.quote(program.counts())}"]
    options += [f"-e {program.each}"] * bool(moves and program.each)
    options += ["-C"] * program.only + ["-l"] * leave_away
    options += [f"-T {spread}"] * bool(spread) + ["-A"] * (bool(spread) and program.together)
    report, _ = watch(context, " ".join(options), ["sh", "-c", program.command.format(size=size)],
                      program.limit * context.slow)
    digest = context.bed.run(1, f"cd {WORK} && sha256sum {OUTPUT}.out {OUTPUT}.err "
                             f"{program.leaves}; tail -n 5 {OUTPUT}.err",
                             timeout=60 * context.slow)
    return report, digest


def compare(context, native, moved, seed):
    """What differs, or nothing."""
    (report, digest), (expected, expected_digest) = moved, native
    if report["error"]:
        return report["error"]
    if report["status"] != expected["status"]:
        return f"wait status {report['status']:#x} instead of {expected['status']:#x}\n{digest}"
    if digest != expected_digest:
        differs = context.bed.execute(1, "sh", "-c", f"diff -a /tmp/unmoved-output.out "
                                      f"{OUTPUT}.out | head -c 3000").stdout
        return f"other output (seed {seed}):\n{digest}instead of\n{expected_digest}{differs}"
    return ""


def unmoved(context, program, size):
    """A run without moves, whose output is kept."""
    native = play(context, program, size, 0, 0, 0)
    context.bed.run(1, f"cp {OUTPUT}.out /tmp/unmoved-output.out")
    if not native[0]["error"] and program.status >= 0:
        status = os.waitstatus_to_exitcode(native[0]["status"])
        if status != program.status:
            native[0]["error"] = f"unmoved it ends with {status}\n{native[1]}"
    return native


def lacks(program, report, moves):
    """What a run has not shown, or nothing."""
    if report["named_away"] < moves or report["named_returned"] < moves:
        return f"{program.counts()} ended before it had gone and returned {moves} times"
    stayed = [comm for comm in program.each.split(",") if comm
              and not report["comms"].get(comm, (0, 0))[0]]
    if stayed:
        return f"{' and '.join(stayed)} ended before it had gone"
    missing = [reason for reason in program.reasons.split() if reason not in report["came_home"]]
    return f"{program.counts()} has not come home for {' '.join(missing)}" if missing else ""


def one(context, program):
    """Result for one program."""
    if program.needs and context.bed.execute(1, "sh", "-c", program.needs).returncode:
        return Result(program.name, SKIP, "this CPU cannot")
    size = program.debug_size or program.size if context.debug else program.size
    moves = context.moves or MOVES
    native = unmoved(context, program, size)
    notes = [f"{program.name}: {native[0]['ms']} ms unmoved"]
    if native[0]["error"]:
        return Result(program.name, FAIL, native[0]["error"], notes)
    if context.native:
        again = play(context, program, size, 0, 0, 0)
        wrong = compare(context, native, again, 0)
        return Result(program.name, FAIL if wrong else PASS, wrong, notes)
    mean = max(1, native[0]["ms"] // (3 * moves))
    for _ in range(TRIES):
        seed = context.random.randrange(1 << 30)
        # What has to come home for a reason of its own is away when there is one.
        moved = play(context, program, size, moves, seed, mean,
                     leave_away=seed % 2 == 1 or bool(program.reasons))
        report = moved[0]
        notes.append(f"seed {seed}: {report['away']} moves, {report['home']} recalls, "
                     f"{report['home_by_itself']} home by itself, {report['ms']} ms, longest move "
                     f"{report['away_ns_max'] / 1e6:.1f} ms, refused {report['refused']}; "
                     "moves and returns of " + ", ".join(
                         f"{comm}: {away} and {back}"
                         for comm, (away, back) in report["comms"].items()))
        notes += context.homecomings.tell(report)
        wrong = compare(context, native, moved, seed)
        if wrong:
            return Result(program.name, FAIL, wrong, notes)
        missing = lacks(program, report, moves)
        if not missing:
            return Result(program.name, PASS, notes=notes)
        mean = max(1, mean // 3)
    return Result(program.name, FAIL, missing, notes)


def each_program(context, suite, prepare, tests):
    """Results of tests, given as {name: function that makes one}, in machines where the script
    prepare has run on node 1."""
    boots = -1
    for name, test in tests.items():
        try:
            context.bed.up()
            if boots != context.bed.boots:
                context.bed.run(1, prepare, timeout=240 * context.slow)
                boots = context.bed.boots
            yield test()
        except (Dead, AssertionError) as error:
            yield Result(name, FAIL, str(error))
            if isinstance(error, Dead):
                context.bed.discard(f"{suite}-{name}")


def chosen(context, programs, only):
    """Tests of these programs, for each_program()."""
    return {program.name: functools.partial(one, context, program) for program in programs
            if only(program.name)}


def run(context, only):
    """The suite "programs"."""
    yield from each_program(context, "programs", PREPARE, chosen(context, PROGRAMS, only))
