/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: which system call is done where. */
#ifndef _RADIUM_SYSCALL_H
#define _RADIUM_SYSCALL_H

#include <linux/types.h>
#include "syscall_table.h"

struct pt_regs;
struct task_struct;

enum rad_syscall_class rad_syscall_class(int nr);
bool rad_syscall_is_homes(int nr);
bool rad_syscall_is_own(int nr, unsigned long what);
bool rad_syscall_is_restarted(struct task_struct *task, int nr, const unsigned long *args);

#endif /* _RADIUM_SYSCALL_H */
