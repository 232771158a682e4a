/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: which addresses of a process its layout is changing at.
 *
 * Each change is announced when it begins and when it is over, with the same range. So many are
 * told apart; what more there are count as one, from the lowest address of theirs to the highest.
 */
#ifndef _RADIUM_GATE_H
#define _RADIUM_GATE_H

#include <linux/compiler.h>
#include <linux/types.h>

enum { RAD_GATE_RANGES = 16 };

/**
 * struct rad_gate_range - addresses
 * @start: the first
 * @end: behind the last; 0: none
 */
struct rad_gate_range {
	unsigned long start;
	unsigned long end;
};

/**
 * struct rad_gate - the changes of a process that are under way
 * @ranges: of one change each
 * @shut: how many changes there are
 * @more: how many of these found no range free
 * @rest: what those concern together
 *
 * Written by who holds a lock of the caller's; all zero: it is open.
 */
struct rad_gate {
	struct rad_gate_range ranges[RAD_GATE_RANGES];
	u32 shut;
	u32 more;
	struct rad_gate_range rest;
};

static inline void rad_gate_set(struct rad_gate_range *range, unsigned long start,
				unsigned long end)
{
	WRITE_ONCE(range->start, start);
	WRITE_ONCE(range->end, end);
}

/* Changes may begin in the middle of a page (uprobes): all of it is meant. */
static inline bool rad_gate_covers(const struct rad_gate_range *range, unsigned long page,
				   unsigned long page_size)
{
	return page + page_size > READ_ONCE(range->start) && page < READ_ONCE(range->end);
}

/* rad_gate_shut() - a change begins; the lock is held */
static inline void rad_gate_shut(struct rad_gate *gate, unsigned long start, unsigned long end)
{
	int i;

	WRITE_ONCE(gate->shut, gate->shut + 1);
	for (i = 0; i < RAD_GATE_RANGES; i++)
		if (!gate->ranges[i].end) {
			rad_gate_set(&gate->ranges[i], start, end);
			return;
		}
	if (gate->more++) {
		start = start < gate->rest.start ? start : gate->rest.start;
		end = end > gate->rest.end ? end : gate->rest.end;
	}
	rad_gate_set(&gate->rest, start, end);
}

/*
 * rad_gate_open() - that change is over; the lock is held. Of two alike it does not matter which: one
 * that has no range is among the rest.
 */
static inline void rad_gate_open(struct rad_gate *gate, unsigned long start, unsigned long end)
{
	int i;

	WRITE_ONCE(gate->shut, gate->shut - 1);
	for (i = 0; i < RAD_GATE_RANGES; i++)
		if (gate->ranges[i].end == end && gate->ranges[i].start == start) {
			rad_gate_set(&gate->ranges[i], 0, 0);
			return;
		}
	if (gate->more && !--gate->more)
		rad_gate_set(&gate->rest, 0, 0);
}

/**
 * rad_gate_is_shut() - is the layout changing there?
 * @gate: the gate
 * @page: address of a page
 * @page_size: its size
 *
 * Context: with the lock held, which those take who shut and open it; without it a guess.
 */
static inline bool rad_gate_is_shut(const struct rad_gate *gate, unsigned long page,
				    unsigned long page_size)
{
	bool is = false;
	int i;

	if (!READ_ONCE(gate->shut))
		return false;
	for (i = 0; i < RAD_GATE_RANGES; i++)
		is |= rad_gate_covers(&gate->ranges[i], page, page_size);
	return is || rad_gate_covers(&gate->rest, page, page_size);
}

#endif /* _RADIUM_GATE_H */
