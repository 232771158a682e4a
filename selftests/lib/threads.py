# SPDX-License-Identifier: GPL-2.0
"""The suite "threads": threads of one process on three nodes."""

from . import guest, spread
from .context import each

# Programs, and of their cases those of a run that nobody asked for by name.
PROGRAMS = {
    "threads": {"create_from_anywhere", "leader_ends_first", "recall_without_leader",
                "exit_group_from_anywhere", "exec_from_anywhere", "exec_then_move",
                "robust_owner_dies", "cancel_from_anywhere", "fault_from_anywhere",
                "kill_from_anywhere"},
    "threads_instant": {"fork_is_an_instant", "core_has_every_thread", "core_in_the_midst_of_calls",
                        "core_of_the_living",
                        "stop_and_continue"},
    "threads_signals": {"signals_to_a_thread", "signals_to_the_process", "ids_change_in_all"},
    "threads_moves": {"moved_and_ended", "many_move_together", "node_to_node",
                      "killed_while_faulting", "moved_while_blocked"},
    "threads_sync": {"wait_and_wake", "requeue", "mutexes", "conditions", "atomics",
                     "wait_for_several", "priority_inheritance"},
    "threads_memory": {"unmapped_for_all", "protected_for_all", "moved_for_all",
                       "dropped_for_all", "replaced_for_all", "changed_under_fire"},
    "threads_pages": {"copied_while_changing", "all_change", "read_by_all", "passed_on",
                      "one_page_for_all", "two_pages_at_once", "told_into_one_page",
                      "write_only_is_shared", "passed_on_by_home"},
    "threads_sharing": {"reader_becomes_writer", "readers_write_at_once",
                        "upgraded_while_changing"},
    "threads_futex": {"wake_op_forms", "futexes_with_limits", "locks_with_limits",
                      "shared_by_processes", "owner_is_killed"},
    "threads_own": {"spawned_from_anywhere", "files_of_one_thread", "seen_in_proc"},
    "threads_requests": {"each_gets_its_own_answer", "recall_against_move",
                         "called_home_in_a_handler", "moved_while_it_asks",
                         "asleep_and_not_waited_for"},
    "threads_crowd": {"answers_have_their_own_credit"},
    "threads_files": {"slow_file", "slow_memory", "marks_are_written", "closed_when_it_returns"},
    "threads_tools": {"gdb_meets_all", "strace_follows_all"},
}


def run(context, only):
    """The cases of all programs, and those of threads that are spread as they are made."""
    for program, short in PROGRAMS.items():
        yield from guest.run(context, program, lambda case, short=short: only(case) and
                             (context.thorough or case in short))
    if not context.native:
        yield from each(context, spread.TESTS, lambda case: only(case) and
                        (context.thorough or case in spread.SHORT))
