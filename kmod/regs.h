/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: the x86-64 register image. */
#ifndef _RADIUM_REGS_H
#define _RADIUM_REGS_H

#include <linux/signal_types.h>
#include <linux/types.h>
#include "wire.h"

struct pt_regs;
struct task_struct;

/**
 * struct rad_restart - a system call that was taken apart
 * @code: with which it ended, 0: there is none
 * @nr: its number
 * @ip: of a thread that is about to make it again
 * @sp: see @ip
 * @ax: see @ip
 * @mask: signals that the call blocks, if @masked
 * @masked: see @mask
 */
struct rad_restart {
	long code;
	int nr;
	unsigned long ip, sp, ax;
	bool masked;
	sigset_t mask;
};

int rad_regs_init(void);
size_t rad_regs_xstate_len(void);

void rad_regs_restart_syscall(struct pt_regs *regs, struct rad_restart *restart);
void rad_regs_undo_restart(struct pt_regs *regs, struct rad_restart *restart);
void rad_regs_have_restarted(void);
void rad_regs_leave_rseq(struct pt_regs *regs);

u32 rad_regs_pkru(void);
bool rad_regs_forbid(void);
void rad_regs_set_pkru(u32 pkru);
int rad_regs_save(struct rad_wire_regs *image);
u32 rad_regs_check(const struct rad_wire_regs *image, size_t room);
unsigned long rad_regs_hold_off_cpu(struct task_struct *task);
int rad_regs_load(struct task_struct *task, const struct rad_wire_regs *image);

#endif /* _RADIUM_REGS_H */
