/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: allocations that would rather fail than have the OOM killer choose somebody.
 *
 * Who fails comes home, or stays there, and says so. Whom the OOM killer shoots, on the machine or
 * in a memory control group, has nothing to do with it as a rule: what Radium has allocated counts
 * for no process.
 */
#ifndef _RADIUM_MODEST_H
#define _RADIUM_MODEST_H

#include <linux/gfp.h>

#define RAD_GFP_MODEST		(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
/* Charged to the group of current, if that is no kernel thread. */
#define RAD_GFP_MODEST_ACCOUNT	(RAD_GFP_MODEST | __GFP_ACCOUNT)
/* What is of use later, if at all. */
#define RAD_GFP_AHEAD		(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

#endif /* _RADIUM_MODEST_H */
