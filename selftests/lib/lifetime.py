# SPDX-License-Identifier: GPL-2.0
"""The suite "lifetime": processes and threads end, nodes are drained and unloaded, machines die."""

from .context import each
from .drains import (drain_from_away, drain_of_many, drain_of_the_visited, drain_then_unload,
                     shutdown_empties, suspend_asked_from_away, suspend_empties,
                     unload_refused_while_away, unload_while_joined)
from .joins import (device_comes_back, device_goes_while_joining, iwarp_device, kernel_build, new_address, same_id,
                    stranger_cannot_write, stranger_is_dialed, stranger_takes_keys, strangers_in_the_door, wire_version,
                    wrong_key)
from .kills import (core_with_frozen_peer, kill_away, kill_during_moves, kill_sleeping_visitor_on_its_node,
                    kill_visitor_on_its_node, kill_with_frozen_peer,
                    owner_kills_visitor_on_its_node)
from .losses import home_loss, lost_pages_are_not_read, power_loss
from .processors import high_base_stays, other_cpu
from .remains import (container_powers_off, ended_threads_are_forgotten, exit_leaves_nothing,
                      memory_of_calls_goes)
from .shortages import allocations_fail, visitors_fill_the_pool
from .tossed import kill_in_moves_with_frozen_peer, power_lost_in_moves
from .visitors import killed_before_its_replica, replica_that_cannot_attach, traps_while_preempted


def run(context, only):
    """The suite "lifetime"."""
    yield from each(context, [
        exit_leaves_nothing, container_powers_off, kill_away, kill_during_moves, kill_visitor_on_its_node,
        kill_sleeping_visitor_on_its_node, owner_kills_visitor_on_its_node,
        lost_pages_are_not_read, traps_while_preempted, replica_that_cannot_attach,
        killed_before_its_replica, unload_refused_while_away,
        drain_from_away, drain_of_the_visited, drain_of_many, memory_of_calls_goes,
        drain_then_unload, unload_while_joined, visitors_fill_the_pool, wrong_key,
        stranger_cannot_write, stranger_takes_keys, strangers_in_the_door, stranger_is_dialed,
        same_id, new_address, wire_version, kernel_build, iwarp_device, device_goes_while_joining, device_comes_back, other_cpu, high_base_stays,
        kill_with_frozen_peer, core_with_frozen_peer, kill_in_moves_with_frozen_peer,
        ended_threads_are_forgotten, allocations_fail, suspend_empties, suspend_asked_from_away,
        shutdown_empties, power_loss, power_lost_in_moves, home_loss], only)
