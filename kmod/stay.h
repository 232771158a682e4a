/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: how long a page stays where it has been fetched to, at least.
 *
 * The rule of forward progress. A page that a fault has waited for is not taken away
 * before the fault has mapped it and RAD_STAY_NS have gone by: time for the one
 * instruction that needs it. An instruction may need several pages at once, or a
 * machine be slow: whoever faults with the same registers again has got nowhere, and
 * keeps what it gets twice as long as the last time. Requests for a page are served one
 * after the other, and none is passed over for ever: so everybody gets it, and everybody
 * gets somewhere.
 */
#ifndef _RADIUM_STAY_H
#define _RADIUM_STAY_H

#include <linux/jhash.h>
#include <linux/ptrace.h>
#include <linux/types.h>

enum {
	RAD_STAY_NS		= 100 * 1000,
	RAD_STAY_DOUBLED	= 5,			/* times at most */
	RAD_STAY_UNUSED_NS	= 20 * 1000 * 1000,	/* for a fault to map what it waited for */
};

/* What a thread's last fault looked like. */
struct rad_patience {
	u32 digest;
	u32 doubled;
};

/**
 * rad_stay() - how long the page of this fault stays
 * @patience: of the thread that faults, or of the place that it faults at
 * @regs: of user mode
 * @calls: that the thread has made so far, if that does not show there
 *
 * Return: ns.
 */
static inline u64 rad_stay(struct rad_patience *patience, const struct pt_regs *regs, u64 calls)
{
	u32 digest = jhash(regs, sizeof(*regs), calls);

	if (digest != patience->digest)
		patience->doubled = 0;
	else if (patience->doubled < RAD_STAY_DOUBLED)
		patience->doubled++;
	patience->digest = digest;
	return (u64)RAD_STAY_NS << patience->doubled;
}

#endif /* _RADIUM_STAY_H */
