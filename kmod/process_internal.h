/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: what the files process*.c share; see process.h. */
#ifndef _RADIUM_PROCESS_INTERNAL_H
#define _RADIUM_PROCESS_INTERNAL_H

#include <linux/types.h>

struct rad_node;
struct rad_process;

/* process.c */
struct rad_process **rad_process_snapshot(u32 *n);
struct rad_process **rad_process_snapshot_wait(u32 *n);
unsigned long rad_process_pages_away(void);
void rad_process_tell_gone(struct rad_node *node, u64 id);
long rad_process_await_retired(unsigned long timeout);

#endif /* _RADIUM_PROCESS_INTERNAL_H */
