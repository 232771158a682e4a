# SPDX-License-Identifier: GPL-2.0
"""Every suite, in the order in which they run: what is cheap and basic first."""

from . import (build, builds, clocks, coherence, control, deaths, differences, groups, guest, hostile,
               install, leaks, lifetime, links, model, moments, moved, peers, servers, sessions, shows,
               static, stressors, testbeds, threaded, threads)
from .testbed import DEAD_MS


# In most suites nobody dies: that the host stands still for a while is not to look like it.
NOBODY_DIES_MS = 60000


class Suite:
    """A name, what it shows, and a generator of results."""

    def __init__(self, name, what, run, machines=2, default=True, native=True, dead_ms=DEAD_MS):
        self.name, self.what, self.run = name, what, run
        self.machines = machines    # how many it wants
        self.default = default      # part of a run without --tests
        self.native = native        # means something without the module
        self.dead_ms = dead_ms      # a silence that ends nothing


def program(name, what, *others):
    """The suite of a C program, and perhaps others, with its cases."""
    def run(context, only):
        for one in (name, *others):
            yield from guest.run(context, one, only)
    return Suite(name, what, run, dead_ms=NOBODY_DIES_MS)


ALL = [
    Suite("build", "everything builds without a warning", build.run, machines=0),
    Suite("static", "static checks of sources and scripts", static.run, machines=0),
    Suite("unit", "pure parts, in user space", build.unit, machines=0),
    Suite("model", "the protocol, by a model checker", model.run, machines=0, native=False),
    Suite("tools", "the tools' own checks", build.tools_check, machines=0),
    Suite("install", "what is installed and packaged, and where", install.run, machines=0,
          native=False),
    Suite("testbed", "the testbed's own promises", testbeds.run, machines=0, native=False),
    Suite("boot", "machines, module, cluster", control.boot, native=False),
    program("inline", "data that travels with calls arrives as it does at home", "inline_files",
            "inline_ioctl", "inline_ipc", "inline_memory", "inline_process", "inline_sockets",
            "inline_waits"),
    program("local", "calls that are answered where the thread is: right, and seen by who watches",
            "local_clocks"),
    program("blocking", "blocked calls end as if the thread had not moved", "blocking_files"),
    program("blocking_ipc", "the same for sockets, locks and IPC"),
    program("signals", "signals reach a thread that is away"),
    program("jobs", "processes that are away are ended, stopped and continued"),
    program("faults", "faults look as they do at home"),
    program("memory", "the memory calls and what they leave in memory", "memory_userfault",
            "memory_files"),
    program("files", "mappings of files, shared memory, buffers of calls"),
    program("process", "fork, exec, wait, exit and what a process has", "process_segments",
            "process_registers"),
    Suite("clock", "time goes on exactly", clocks.run),
    program("observe", "debuggers and /proc see the true state", "observe_tools",
            "observe_probes", "observe_cores"),
    program("pages", "swap, KSM, huge pages, compaction, failing memory while pages are away",
            "pages_failing"),
    program("hazards", "the known ways to lose a page or a wake-up", "hazards_races",
            "hazards_io", "hazards_files"),
    program("calls", "every system call by its number, at home and away: the same result"),
    program("forms", "calls that few programs make do what they are for", "forms_files",
            "forms_memory", "forms_privileged", "forms_process"),
    program("sockets", "sockets: the other end notices nothing", "sockets_inet6",
            "sockets_messages", "sockets_tcp"),
    program("notify", "descriptors that tell of events, timers, files, processes"),
    program("locks", "locks and leases of files"),
    program("pipes", "pipes, FIFOs and what moves bytes between files"),
    program("terminals", "terminals and their jobs", "terminals_devices"),
    program("storage", "directories, attributes, seals, rings, the disk"),
    program("shared", "memory that is shared, locked, growing, under a policy",
            "shared_advice", "shared_processes"),
    program("attributes", "users, capabilities, namespaces, groups, filters",
            "attributes_cgroups", "attributes_containers", "attributes_labels",
            "attributes_namespaces", "attributes_users"),
    program("limits", "each limit in the call that looks at it"),
    program("timers", "timers of all kinds, and processor time"),
    program("procfs", "/proc and /sys as a process reads them about itself"),
    Suite("programs", "unmodified programs give the same output when moved", moved.run,
          dead_ms=NOBODY_DIES_MS),
    Suite("stressors", "stress-ng judges itself away as it does at home", stressors.run),
    Suite("servers", "unmodified servers are moved, their clients notice nothing", servers.run,
          default=False, dead_ms=NOBODY_DIES_MS),
    Suite("sessions", "sshd, tmux, vim, git are moved while somebody works with them",
          sessions.run, default=False, dead_ms=NOBODY_DIES_MS),
    Suite("builds", "make is moved, and programs that run their own tests", builds.run,
          dead_ms=NOBODY_DIES_MS),
    Suite("shows", "what the tools show is what happens", shows.run, native=False,
          dead_ms=NOBODY_DIES_MS),
    Suite("differences", "what differs away from home does so as it is written", differences.run),
    Suite("peers", "programs on two machines talk while both are moved", peers.run,
          native=False, dead_ms=NOBODY_DIES_MS),
    Suite("groups", "control groups of visitors, and of their processes at home", groups.run,
          native=False),
    Suite("refusals", "wrong input: one message, nothing changed", control.refusals, native=False),
    Suite("lifetime", "kill, rmmod, drain, power loss", lifetime.run, native=False),
    Suite("moments", "missing nodes, half-loaded modules, shutdown while somebody waits",
          moments.run, native=False),
    Suite("hostile", "a node that breaks the protocol ends its session, and nothing else",
          hostile.run, native=False),
    Suite("links", "short losses are survived, long ones end what was away", links.run,
          native=False),
    Suite("leaks", "200 moves, and 600 more, leave nothing behind", leaks.run, native=False,
          dead_ms=NOBODY_DIES_MS),
    # Last, because it boots other machines.
    Suite("coherence", "threads on three machines see one memory", coherence.run,
          machines=coherence.MACHINES),
    Suite("deaths", "a machine dies while threads of a process are on three", deaths.run,
          machines=3, native=False),
    Suite("hostile_third", "nor does it with two others", hostile.third, machines=3, native=False),
    Suite("threads", "threads of one process on three nodes", threads.run, machines=3,
          dead_ms=NOBODY_DIES_MS),
    Suite("threaded", "unmodified programs with threads, spread over three nodes", threaded.run,
          machines=3, dead_ms=NOBODY_DIES_MS),
    Suite("soak", "10,000 moves leave nothing behind", leaks.soak, default=False, native=False),
    Suite("coherence_four", "threads on four machines see one memory", coherence.four,
          machines=coherence.FOUR, default=False, native=False),
    Suite("soak_coherence", "100,000 runs of each litmus shape, ten minutes of sweeping",
          coherence.soak, machines=coherence.MACHINES, default=False, native=False),
]
