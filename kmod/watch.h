/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: what watches system calls at home: seccomp, ptrace, audit, tracepoints, user
 * dispatch.
 */
#ifndef _RADIUM_WATCH_H
#define _RADIUM_WATCH_H

#include <linux/types.h>

bool rad_watch_is_on(void);
void rad_watch_after_seccomp(u32 operation, u32 flags, long result);
void rad_watch_after_tracepoint(void);

#endif /* _RADIUM_WATCH_H */
