/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: processes whose new threads are spread over the nodes, or follow to one.
 *
 * The mark belongs to the thread group: it outlives exec, and what the process forks has
 * one of its own. A process that is marked need not be distributed.
 */
#ifndef _RADIUM_SPREAD_H
#define _RADIUM_SPREAD_H

#include <linux/types.h>

struct task_struct;

void rad_spread_uninit(void);

int rad_spread_begin(u64 nodes, u32 *node);
int rad_spread_follow(u32 node);
void rad_spread_unfollow(struct task_struct *task);
bool rad_spread_end(struct task_struct *task);
void rad_spread_end_all(void);
void rad_spread_avoid(u32 node);
u64 rad_spread_nodes(struct task_struct *task);

#endif /* _RADIUM_SPREAD_H */
